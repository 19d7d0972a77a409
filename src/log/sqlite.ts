/** The embedded log: an SQLite file, owned by one worker thread. The default for one instance. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { CourierError } from '../errors.ts';
import { CommitListeners, numbered, unavailable } from './answers.ts';
import { bytesOf, MAX_IN_FLIGHT_BYTES } from './group-commit.ts';
import type { Appended, Concern, EventLog, LogBounds, LogCopy, LogPage, LogQuery, NewEvent, StoredEvent } from './log.ts';
import { Positions } from './positions.ts';
import { openCopy, removeCopy } from './sqlite/copy.ts';
import { concernsOf, makeFolder, requireRoomForCopy } from './sqlite/disk.ts';
import type { Answers, Disk, Question, Reply, Request, WorkerSettings } from './sqlite/messages.ts';
import { type Packed, pack, unpackPage } from './sqlite/packing.ts';
import { LogOpenError, messageOf } from './sqlite/schema.ts';
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

/** Opens the log, making the file when there is none. @throws {LogOpenError} when it is damaged, in use, or no log of ours. */
export async function openSqliteLog(options: SqliteLogOptions): Promise<EventLog> {
  const { path, mustExist = false, maxBytes } = options;
  if (!mustExist) makeFolder(path);
  const settings: WorkerSettings = { path, mustExist, maxBytes };
  // Sources run as they are, packages as JavaScript.
  const file = new URL(`./sqlite/worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  const worker = new Worker(file, { workerData: settings });
  const [reply] = (await Promise.race([
    once(worker, 'message'),
    once(worker, 'exit').then(() => [{ kind: 'refused', message: `the event log ${path} cannot be opened: its worker ended` }]),
  ])) as [Reply];
  if (reply.kind !== 'opened') throw new LogOpenError(reply.kind === 'refused' ? reply.message : 'the worker does not answer');
  return new SqliteLog(worker, new Positions(reply.epochs), clockOf(options, reply.knownMs), options);
}

class SqliteLog implements EventLog {
  readonly positions: Positions;
  readonly pool = undefined;
  readonly #worker: Worker;
  readonly #options: SqliteLogOptions;
  readonly #now: () => Moment;
  readonly #maxInFlightBytes: number;
  readonly #pending = new Map<number, Pending>();
  /** In the order in which the worker gets them. */
  readonly #appends: PendingAppend[] = [];
  /** Those of this turn of the event loop, which go together. */
  #outgoing: Packed = [];
  readonly #listeners = new CommitListeners();
  readonly onCommit = this.#listeners.add;
  #nextId = 1;
  #inFlightBytes = 0;
  /** Why nothing can be done any more; set by closing and by the end of the worker. */
  #ended: string | undefined;
  #closing: Promise<void> | undefined;
  #hasCopy = false;
  problem: string | undefined;
  #disk: Disk | undefined;

  constructor(worker: Worker, positions: Positions, now: () => Moment, options: SqliteLogOptions) {
    this.positions = positions;
    this.#worker = worker;
    this.#options = options;
    this.#now = now;
    this.#maxInFlightBytes = options.maxInFlightBytes ?? MAX_IN_FLIGHT_BYTES;
    worker.on('message', (reply: Reply) => this.#settle(reply));
    worker.on('error', (error) => {
      this.#end(`its worker failed: ${messageOf(error)}`);
      options.onBroken?.(error);
    });
    worker.on('exit', () => this.#end('it is closed'));
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
    if (this.#outgoing.length === 0) setImmediate(this.#sendAppends);
    pack(this.#outgoing, { events, now: this.#now() });
    return new Promise((resolve, reject) => {
      this.#appends.push({ events, bytes, resolve, reject });
    });
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

  async probe(): Promise<void> {
    await this.#request({ kind: 'probe' });
    this.problem = undefined;
  }

  trim(keepMs: number, limit: number): Promise<boolean> {
    return this.#request({ kind: 'trim', keepMs, limit, now: this.#now() });
  }

  async copy(signal: AbortSignal): Promise<LogCopy> {
    signal.throwIfAborted();
    if (this.#hasCopy) throw unavailable('another copy of it is being made or read');
    this.#hasCopy = true;
    const onClose = () => {
      this.#hasCopy = false;
    };
    try {
      await requireRoomForCopy(this.#options.path, await this.bytes());
      const path = await this.#makeCopy(signal);
      return await openCopy(path, onClose);
    } catch (error) {
      onClose();
      throw error;
    }
  }

  /** Resolves to the path of the copy. */
  async #makeCopy(signal: AbortSignal): Promise<string> {
    const id = this.#nextId;
    const made = this.#request({ kind: 'copy' });
    const abandon = () => this.#post({ kind: 'abandon-copy', id });
    signal.addEventListener('abort', abandon, { once: true });
    if (signal.aborted) abandon();
    const path = await made.finally(() => signal.removeEventListener('abort', abandon));
    if (path === undefined || signal.aborted) {
      if (path !== undefined) removeCopy(path);
      throw signal.reason ?? unavailable('it is closed');
    }
    return path;
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
    await this.#worker.terminate();
  }

  #request<K extends keyof Answers>(question: Question & { readonly kind: K }): Promise<Answers[K]> {
    if (this.#ended !== undefined) return Promise.reject(unavailable(this.#ended));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      // What was appended before is stored before.
      this.#sendAppends();
      this.#post({ ...question, id });
    });
  }

  readonly #sendAppends = (): void => {
    if (this.#outgoing.length === 0) return;
    this.#post({ kind: 'append', packed: this.#outgoing });
    this.#outgoing = [];
  };

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }

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
