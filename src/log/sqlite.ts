/** The embedded log: an SQLite file, owned by one thread. The default for one instance. */
import type { CourierError } from '../errors.ts';
import { CommitListeners, numbered, unavailable } from './answers.ts';
import { bytesOf, fillsCommit, MAX_IN_FLIGHT_BYTES } from './group-commit.ts';
import type { Appended, Concern, EventLog, LogBounds, LogCopy, LogPage, LogQuery, NewEvent, StoredEvent } from './log.ts';
import { Positions } from './positions.ts';
import { AppendFrame } from './sqlite/append-frames.ts';
import { openCopy, removeCopy } from './sqlite/copy.ts';
import { concernsOf, makeFolder, requireRoomForCopy } from './sqlite/disk.ts';
import type { Answers, Disk, LogPort, Opened, Question, Reply, Request } from './sqlite/messages.ts';
import { packCall, unpackAnswer, unpackPage } from './sqlite/packing.ts';
import { messageOf } from './sqlite/schema.ts';
import { openThread } from './sqlite/thread.ts';
import { remoteStates, type StateStore } from './state-store.ts';
import { clockOf, type Moment } from './steady-clock.ts';

export interface SqliteLogOptions {
  readonly path: string;
  /** Refuses a file that is not there or empty, instead of making a log of it. */
  readonly mustExist?: boolean;
  /** Size that the file may grow to, in bytes; until the disk is full when absent. */
  readonly maxBytes?: number;
  /** Bytes of memory that the events may take that wait to be stored; further appends are refused. */
  readonly maxInFlightBytes?: number;
  /** The clock, in ms since 1970, which is believed whatever it does; this machine's, watched for jumps, when absent. */
  readonly now?: () => number;
  /** Told of a jump of this machine's clock: by how many ms, forward when positive. */
  readonly onClockJump?: (byMs: number) => void;
  /** Told of everything that failed but probes, with the error that its callers get. */
  readonly onError?: (error: CourierError, operation: Request['kind']) => void;
  /** Told when the worker is gone without having been closed: nothing can be read or stored any more. */
  readonly onBroken?: (error: unknown) => void;
}

/** What settles a question. */
interface Pending {
  resolve(value: never): void;
  reject(error: unknown): void;
}

/** An append that has yet to be stored. */
interface PendingAppend {
  readonly events: readonly NewEvent[];
  /** Of memory. */
  readonly bytes: number;
  resolve(appended: readonly Appended[]): void;
  reject(error: unknown): void;
}

/** Appends that are sent together. */
function outgoing() {
  return { appends: 0, count: 0, bytes: 0 };
}

/** Opens the log, making the file when there is none. @throws {LogOpenError} when it is damaged, in use, or no log of ours. */
export async function openSqliteLog(options: SqliteLogOptions): Promise<EventLog> {
  const { port, opened } = await openSqliteFile(options);
  return new SqliteLog(port, opened, options);
}

/** The same for several who use it. */
export async function openSqliteFile({ path, mustExist = false, maxBytes }: SqliteLogOptions): ReturnType<typeof openThread> {
  if (!mustExist) makeFolder(path);
  return openThread({ path, mustExist, maxBytes });
}

export class SqliteLog implements EventLog {
  readonly positions: Positions;
  readonly pool = undefined;
  readonly #port: LogPort;
  readonly #options: SqliteLogOptions;
  readonly #now: () => Moment;
  readonly #maxInFlightBytes: number;
  readonly #pending = new Map<number, Pending>();
  /** In the order in which the thread gets them. */
  readonly #appends: PendingAppend[] = [];
  /** Those of this turn of the event loop, which go together. */
  #outgoing = outgoing();
  readonly #frame = new AppendFrame();
  readonly #listeners = new CommitListeners();
  readonly onCommit = this.#listeners.add;
  #nextId = 1;
  #inFlightBytes = 0;
  /** Why nothing can be done any more; set by closing and by the end of the thread. */
  #ended: string | undefined;
  #closing: Promise<void> | undefined;
  problem: string | undefined;
  #disk: Disk | undefined;

  constructor(port: LogPort, { epochs, knownMs }: Opened, options: SqliteLogOptions) {
    this.positions = new Positions(epochs);
    this.#port = port;
    this.#options = options;
    this.#now = clockOf(options, knownMs);
    this.#maxInFlightBytes = options.maxInFlightBytes ?? MAX_IN_FLIGHT_BYTES;
    port.listen({
      onReply: (reply) => this.#settle(reply),
      onEnd: (error) => {
        this.#end(error === undefined ? 'it is closed' : `its worker failed: ${messageOf(error)}`);
        if (error !== undefined) options.onBroken?.(error);
      },
    });
  }

  get now(): Moment {
    return this.#now();
  }

  get freeBytes(): number | undefined {
    return this.#disk?.freeBytes;
  }

  get concerns(): readonly Concern[] {
    return concernsOf(this.#disk);
  }

  append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (events.length === 0) return Promise.resolve([]);
    if (this.#ended !== undefined) return Promise.reject(unavailable(this.#ended));
    const bytes = bytesOf(events);
    if (this.#inFlightBytes + bytes > this.#maxInFlightBytes) return Promise.reject(unavailable('too much is waiting to be stored'));
    this.#inFlightBytes += bytes;
    const { promise, resolve, reject } = Promise.withResolvers<readonly Appended[]>();
    this.#appends.push({ events, bytes, resolve, reject });
    if (this.#outgoing.appends === 0) setImmediate(this.#sendAppends);
    this.#frame.add({ events, now: this.#now() });
    this.#outgoing.appends += 1;
    this.#outgoing.count += events.length;
    this.#outgoing.bytes += bytes;
    if (fillsCommit(this.#outgoing)) this.#sendAppends();
    return promise;
  }

  async read({ channels, types, limit, givesWay = false, ...start }: LogQuery, signal: AbortSignal): Promise<LogPage> {
    signal.throwIfAborted();
    const page = await this.#request({ kind: 'read', start, channels, types, limit, givesWay });
    signal.throwIfAborted();
    return unpackPage(page);
  }

  bytes(): Promise<number> {
    return this.#request({ kind: 'bytes' });
  }

  async bounds(): Promise<LogBounds> {
    const { bounds, disk } = await this.#request({ kind: 'bounds' });
    this.#disk = disk;
    return bounds;
  }

  storedAt(seqs: readonly number[]): Promise<readonly (number | undefined)[]> {
    return this.#request({ kind: 'stored-at', seqs });
  }

  async probe(): Promise<void> {
    await this.#request({ kind: 'probe' });
    this.problem = undefined;
  }

  trim(keepMs: number, limit: number): Promise<boolean> {
    return this.#request({ kind: 'trim', keepMs, limit, now: this.#now() });
  }

  readonly states: StateStore = remoteStates(async (call) =>
    unpackAnswer(call, await this.#request({ kind: 'states', call: packCall(call) })),
  );

  async copy(signal: AbortSignal): Promise<LogCopy> {
    signal.throwIfAborted();
    await requireRoomForCopy(this.#options.path, await this.bytes());
    const id = this.#nextId;
    const made = this.#request({ kind: 'copy' });
    const abandon = () => this.#port.post({ kind: 'abandon-copy', id });
    const release = () => this.#port.post({ kind: 'release-copy', id });
    signal.addEventListener('abort', abandon, { once: true });
    if (signal.aborted) abandon();
    const copy = await made.finally(() => signal.removeEventListener('abort', abandon));
    if ('path' in copy && !signal.aborted) {
      return openCopy(copy.path, release).catch((error: unknown) => {
        release();
        throw error;
      });
    }
    if ('path' in copy) removeCopy(copy.path);
    release();
    if ('isBusy' in copy && copy.isBusy) throw unavailable('another copy of it is being made or read');
    throw signal.reason ?? unavailable('it is closed');
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = this.#request({ kind: 'close' }).catch(() => undefined);
    this.#ended = 'it is closed';
    await closed;
    await this.#port.close();
  }

  #request<K extends keyof Answers>(question: Question & { readonly kind: K }): Promise<Answers[K]> {
    if (this.#ended !== undefined) return Promise.reject(unavailable(this.#ended));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      // What was appended before is stored before.
      this.#sendAppends();
      this.#port.post({ ...question, id });
    });
  }

  readonly #sendAppends = (): void => {
    if (this.#outgoing.appends === 0) return;
    this.#port.post({ kind: 'append', ...this.#outgoing, frame: this.#frame.take() });
    this.#outgoing = outgoing();
  };

  #settle(reply: Reply): void {
    if (reply.kind === 'committed') this.#settleCommit(reply);
    else if (reply.kind === 'failed') this.#fail(reply);
    else if (reply.kind === 'answer') this.#take(reply.id)?.resolve(reply.value as never);
  }

  #settleCommit({ appends, first, duplicates }: Extract<Reply, { kind: 'committed' }>): void {
    this.problem = undefined;
    const stored = this.#takeAppends(appends);
    const known = new Map(duplicates.map(({ index, event }) => [index, event]));
    const fresh: StoredEvent[] = [];
    let index = 0;
    const settled = stored.map(({ events }) =>
      events.map((given): Appended => {
        const before = known.get(index);
        index += 1;
        if (before !== undefined) return { event: before, duplicate: true };
        const event = numbered(given, first + fresh.length);
        fresh.push(event);
        return { event, duplicate: false };
      }),
    );
    this.#listeners.tell(fresh);
    for (const [at, { resolve }] of stored.entries()) resolve(settled[at] as readonly Appended[]);
  }

  #fail({ reason, detail, ...failed }: Extract<Reply, { kind: 'failed' }>): void {
    const operation = 'id' in failed ? failed.of : 'append';
    if (operation === 'append' || operation === 'probe') this.problem = reason;
    const error = unavailable(reason, new Error(detail));
    if (operation !== 'probe') this.#options.onError?.(error, operation);
    const pending = 'id' in failed ? [this.#take(failed.id)] : this.#takeAppends(failed.appends);
    for (const each of pending) each?.reject(error);
  }

  #takeAppends(count: number): PendingAppend[] {
    const taken = this.#appends.splice(0, count);
    for (const { bytes } of taken) this.#inFlightBytes -= bytes;
    return taken;
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    const all = [...this.#takeAppends(this.#appends.length), ...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of all) reject(unavailable(this.#ended));
  }
}
