/** The embedded log: an SQLite file, owned by one worker thread. The default for one instance. */
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CourierError } from '../errors.ts';
import { CommitListeners, numbered, unavailable } from './answers.ts';
import { bytesOf, MAX_IN_FLIGHT_BYTES } from './group-commit.ts';
import type { Appended, Concern, EventLog, LogBounds, LogCopy, LogPage, LogQuery, NewEvent, StoredEvent } from './log.ts';
import { Positions } from './positions.ts';
import { openCopy, removeCopy } from './sqlite/copy.ts';
import type { Answers, Disk, Placement, Question, Reply, Request, WorkerSettings } from './sqlite/messages.ts';
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

const MEBIBYTE = 1024 * 1024;
/** A disk is nearly full when less than this is left of it: a share of it, and so many bytes at most. */
const MIN_FREE_SHARE = 0.05;
const MIN_FREE_BYTES = 5 * 1024 * MEBIBYTE;
/** Bytes of the disk that a copy leaves free, at least: what is published meanwhile needs room too. */
const SPARE_BYTES = 64 * MEBIBYTE;

/** What settles a request. */
interface Pending {
  resolve(value: never): void;
  reject(error: unknown): void;
  /** Of an append. */
  readonly events?: readonly NewEvent[];
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

/** @throws {LogOpenError} */
function makeFolder(path: string): void {
  try {
    makeWithParents(dirname(path));
  } catch (cause) {
    throw new LogOpenError(`the folder of the event log ${path} cannot be made: ${(cause as Error).message}`, { cause });
  }
}

/** Node.js' own `recursive` never ends below a folder, such as /proc, that takes none and says that there is no such. */
function makeWithParents(folder: string): void {
  if (existsSync(folder)) return;
  makeWithParents(dirname(folder));
  mkdirSync(folder);
}

class SqliteLog implements EventLog {
  readonly positions: Positions;
  readonly pool = undefined;
  readonly #worker: Worker;
  readonly #options: SqliteLogOptions;
  readonly #now: () => Moment;
  readonly #maxInFlightBytes: number;
  readonly #pending = new Map<number, Pending>();
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
    if (this.#disk === undefined || this.#disk.freeBytes >= Math.min(this.#disk.bytes * MIN_FREE_SHARE, MIN_FREE_BYTES)) return [];
    const left = mebibytes(this.#disk.freeBytes);
    const action = `its disk has ${left} MiB left, and publishes are refused when it is full: make room, or keep less (COURIER_RETENTION_DAYS)`;
    return [{ about: 'disk', action }];
  }

  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (events.length === 0) return [];
    const bytes = bytesOf(events);
    if (this.#inFlightBytes + bytes > this.#maxInFlightBytes) throw unavailable('too much is waiting to be stored');
    this.#inFlightBytes += bytes;
    return this.#request({ kind: 'append', events, now: this.#now() }).finally(() => {
      this.#inFlightBytes -= bytes;
    });
  }

  async read({ channels, types, limit, ...start }: LogQuery, signal: AbortSignal): Promise<LogPage> {
    signal.throwIfAborted();
    const page = await this.#request({ kind: 'read', start, channels, types, limit });
    signal.throwIfAborted();
    return page;
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
      await this.#requireRoom();
      const path = await this.#makeCopy(signal);
      return await openCopy(path, onClose);
    } catch (error) {
      onClose();
      throw error;
    }
  }

  /** @throws {CourierError} when a copy would leave too little of the disk. */
  async #requireRoom(): Promise<void> {
    const needed = (await this.bytes()) + SPARE_BYTES;
    const { bavail, bsize } = await statfs(dirname(this.#options.path)).catch((cause: unknown) => {
      throw unavailable('the folder of its file is gone', cause);
    });
    if (bavail * bsize >= needed) return;
    throw unavailable(`a copy needs ${mebibytes(needed)} MiB beside its file, and the disk has ${mebibytes(bavail * bsize)} MiB left`);
  }

  /** Resolves to the path of the copy. */
  async #makeCopy(signal: AbortSignal): Promise<string> {
    const id = this.#nextId;
    const made = this.#request({ kind: 'copy' });
    const abandon = () => this.#worker.postMessage({ kind: 'abandon-copy', id } satisfies Request);
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
      this.#pending.set(id, { resolve, reject, ...('events' in question && { events: question.events }) });
      this.#worker.postMessage({ ...question, id });
    });
  }

  #settle(reply: Reply): void {
    if (reply.kind === 'committed') this.#settleCommit(reply.appends);
    else if (reply.kind === 'failed') this.#fail(reply);
    else if (reply.kind === 'answer') this.#take(reply.id)?.resolve(reply.value as never);
  }

  #settleCommit(appends: readonly { readonly id: number; readonly placements: readonly Placement[] }[]): void {
    this.problem = undefined;
    const fresh: StoredEvent[] = [];
    const settled = appends.map(({ id, placements }) => {
      const pending = this.#take(id);
      const appended = placements.map((placement, index): Appended => {
        if (typeof placement !== 'number') return { event: placement, duplicate: true };
        const event = numbered(pending?.events?.[index] as NewEvent, placement);
        fresh.push(event);
        return { event, duplicate: false };
      });
      return () => pending?.resolve(appended as never);
    });
    this.#listeners.tell(fresh);
    for (const resolve of settled) resolve();
  }

  #fail({ ids, of, reason, detail }: Extract<Reply, { kind: 'failed' }>): void {
    if (of === 'append' || of === 'probe') this.problem = reason;
    const error = unavailable(reason, new Error(detail));
    if (of !== 'probe') this.#options.onError?.(error, of);
    for (const id of ids) this.#take(id)?.reject(error);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const { reject } of this.#pending.values()) reject(unavailable(this.#ended));
    this.#pending.clear();
  }
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / MEBIBYTE);
}
