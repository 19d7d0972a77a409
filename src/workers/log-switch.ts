/**
 * One thread that owns the file of the log, for the supervisor and its workers: what each asks goes to it in the order of coming, each
 * reply to who asked. Of every commit those who did not append it are given the events, in the bytes in which they came.
 */
import type { Placed } from '../log/sqlite/append-frames.ts';
import { removeCopy } from '../log/sqlite/copy.ts';
import type { AppendRequest, CopyAnswer, Duplicate, LogPort, LogPortListener, Reply, Request } from '../log/sqlite/messages.ts';

export interface LogMember extends LogPortListener {
  /** Another has appended something. @param frame of its request. */
  onAppended(placed: Placed, frame: Uint8Array): void;
}

/** A worker's way to the log. */
export interface LogWay {
  post(request: Request): void;
  /** It is gone: what it has appended is stored, and nobody is told; a copy that it has asked for is given up. */
  leave(): void;
}

type Question = Exclude<Request, AppendRequest>;
/** A question on its way; of a copy that was made, where that is. */
interface Asked {
  readonly from: LogMember;
  readonly question: Question;
  copy?: string;
}
type Failed = Extract<Reply, { kind: 'failed' }>;

export class LogSwitch {
  readonly #port: LogPort;
  readonly #members = new Set<LogMember>();
  /** In the order in which the thread gets them. */
  readonly #appends: { readonly from: LogMember; readonly request: AppendRequest }[] = [];
  /** By their ids on the way to the thread. Copies that were made stay until they are released, with where they are. */
  readonly #questions = new Map<number, Asked>();
  #nextId = 1;
  /** Members that close their way, and the ids of their questions. */
  readonly #closing = new Map<LogMember, number>();

  /** The supervisor's own port, which closes the log. */
  readonly own: LogPort;
  /** Told of each failure of a worker's: an append, or a question. */
  readonly #onFailed: (failed: Failed) => void;

  constructor(port: LogPort, onFailed: (failed: Failed) => void) {
    this.#port = port;
    this.#onFailed = onFailed;
    let owner: LogPortListener | undefined;
    const own: LogMember = {
      onReply: (reply) => owner?.onReply(reply),
      onEnd: (error) => owner?.onEnd(error),
      onAppended: () => undefined,
    };
    this.#members.add(own);
    this.own = {
      post: (request) => this.#post(own, request),
      listen: (listener) => {
        owner = listener;
      },
      close: () => port.close(),
    };
    port.listen({
      onReply: (reply) => this.#pass(reply, own),
      onEnd: (error) => {
        for (const { onEnd } of this.#members) onEnd(error);
      },
    });
  }

  join(member: LogMember): LogWay {
    this.#members.add(member);
    return {
      post: (request) => {
        if (request.kind !== 'close') this.#post(member, request);
        else {
          this.#closing.set(member, request.id);
          this.#closeSettled();
        }
      },
      leave: () => this.#leave(member),
    };
  }

  #post(from: LogMember, request: Request): void {
    if (request.kind === 'append') {
      this.#appends.push({ from, request });
      this.#port.post(request);
    } else if (request.kind === 'abandon-copy' || request.kind === 'release-copy') {
      for (const [id, { from: asker, question }] of this.#questions) {
        if (asker !== from || question.id !== request.id) continue;
        this.#port.post({ ...request, id });
        if (request.kind === 'release-copy') this.#questions.delete(id);
      }
    } else {
      const id = this.#nextId++;
      this.#questions.set(id, { from, question: request });
      this.#port.post({ ...request, id });
    }
  }

  #leave(member: LogMember): void {
    this.#members.delete(member);
    this.#closing.delete(member);
    for (const [id, { from, question, copy }] of this.#questions) {
      if (from !== member || question.kind !== 'copy') continue;
      if (copy === undefined) this.#port.post({ kind: 'abandon-copy', id });
      else this.#forgetCopy(id, copy);
    }
  }

  #pass(reply: Reply, own: LogMember): void {
    if (reply.kind === 'committed') this.#passCommit(reply);
    else if (reply.kind === 'failed' && 'appends' in reply) this.#passFailure(reply);
    else if (reply.kind === 'answer' || reply.kind === 'failed') {
      const asked = this.#questions.get(reply.id);
      if (asked === undefined) return;
      const { from, question } = asked;
      const copy = question.kind === 'copy' && reply.kind === 'answer' ? pathOf(reply.value as CopyAnswer) : undefined;
      if (copy === undefined) this.#questions.delete(reply.id);
      else asked.copy = copy;
      if (copy !== undefined && !this.#members.has(from)) this.#forgetCopy(reply.id, copy);
      from.onReply({ ...reply, id: question.id });
      if (reply.kind === 'failed' && from !== own) this.#onFailed(reply);
    }
    if (this.#closing.size > 0) this.#closeSettled();
  }

  /** Who asked for it is gone, and may not have opened it. */
  #forgetCopy(id: number, path: string): void {
    removeCopy(path);
    this.#port.post({ kind: 'release-copy', id });
    this.#questions.delete(id);
  }

  /** A way is closed once all is settled that came over it. */
  #closeSettled(): void {
    for (const [member, id] of this.#closing) {
      const isPending =
        this.#appends.some(({ from }) => from === member) || [...this.#questions.values()].some(({ from }) => from === member);
      if (isPending) continue;
      this.#closing.delete(member);
      member.onReply({ kind: 'answer', id, value: undefined });
    }
  }

  #passCommit({ appends, first, duplicates }: Extract<Reply, { kind: 'committed' }>): void {
    let next = first;
    let index = 0;
    let left = duplicates;
    for (const { from, request } of this.#take(appends)) {
      const end = index + request.count;
      const known = left
        .filter((duplicate) => duplicate.index < end)
        .map((duplicate): Duplicate => ({ ...duplicate, index: duplicate.index - index }));
      left = left.slice(known.length);
      this.#tell(from, request, next, known);
      next += request.count - known.length;
      index = end;
    }
  }

  #tell(from: LogMember, { appends, count, frame }: AppendRequest, first: number, duplicates: readonly Duplicate[]): void {
    // Before it is acknowledged: whoever hears of the answer finds the event on the way to everybody.
    const isNew = duplicates.length < count;
    const placed = { first, duplicates: duplicates.map(({ index }) => index) };
    for (const member of this.#members) if (isNew && member !== from) member.onAppended(placed, frame);
    if (this.#members.has(from)) from.onReply({ kind: 'committed', appends, first, duplicates });
  }

  #passFailure(failed: Extract<Failed, { appends: number }>): void {
    for (const { from, request } of this.#take(failed.appends)) from.onReply({ ...failed, appends: request.appends });
    this.#onFailed(failed);
  }

  /** Whole requests: the thread stores each in one commit. */
  #take(appends: number): { readonly from: LogMember; readonly request: AppendRequest }[] {
    let size = 0;
    for (let taken = 0; taken < appends; size += 1) taken += this.#appends[size]?.request.appends ?? Number.POSITIVE_INFINITY;
    return this.#appends.splice(0, size);
  }
}

function pathOf(answer: CopyAnswer): string | undefined {
  return 'path' in answer ? answer.path : undefined;
}
