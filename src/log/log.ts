/**
 * The event log: the only truth in Courier. Everything else may be lost and rebuilt from it.
 *
 * What every implementation guarantees:
 * - **Durable.** When `append` resolves, its events survive a crash of the process and of the machine (the memory log,
 *   which says so in its name, survives neither). When it rejects, nothing is known to be stored; the same call with
 *   the same idempotency keys may be repeated and stores nothing twice.
 * - **All or none.** The events of one `append` get consecutive sequence numbers in the order given, or none is stored.
 * - **Dense, in commit order.** Sequence numbers are 1, 2, 3 … without holes. Whoever has read n never finds a number
 *   below n later that could not be read then.
 * - **Idempotent.** A key is stored once per principal within IDEMPOTENCY_WINDOW_MS; repeats, concurrent ones too,
 *   get the event that was stored first, marked as a duplicate. Two equal keys within one append count as repeats.
 * - **Proportional.** Reading costs in proportion to the events that the channels have, or that belong together, not to the log's
 *   length, in either direction.
 * - **Trimmed from the front only.** Retention removes the oldest events; numbers are never given out again.
 * - **Recognisable.** A position of another log, or of this one in a state that was lost, is never taken for one of now.
 */
import type { Readable } from 'node:stream';
import type { PoolFigures } from '../contract/admin.ts';
import type { ChannelSet } from '../contract/channels.ts';
import type { Positions } from './positions.ts';
import type { StateStore } from './state-store.ts';
import type { Moment } from './steady-clock.ts';

/** For how long an idempotency key is remembered, in ms: 24 h. */
export const IDEMPOTENCY_WINDOW_MS = 24 * 60 * 60 * 1000;

/** How much longer than asked for events may stay, in ms: storage may drop whole days (UTC) only. */
export const TRIM_GRAIN_MS = 24 * 60 * 60 * 1000;

/** An event that is validated and authorised, but has no position yet. */
export interface NewEvent {
  readonly channel: string;
  readonly family: string;
  readonly type: string;
  /** Of the form that the type's data has. */
  readonly version: number;
  /** The event as JSON text without its `id`: `{"channel":…,"type":…,"metadata":…,"data":…}`. */
  readonly body: string;
  readonly idempotency?: { readonly principal: string; readonly key: string } | undefined;
  /** Of the piece of work that it belongs to, as its body says it; absent where it begins one. */
  readonly correlationId?: string | undefined;
  /** The number of the event that led to it; absent where that is not of this log. */
  readonly causeSeq?: number | undefined;
}

/** An event in the log. */
export interface StoredEvent {
  /** Its number in the log: 1 or more. */
  readonly seq: number;
  readonly channel: string;
  readonly family: string;
  readonly type: string;
  readonly version: number;
  /** As in NewEvent. */
  readonly body: string;
  /** The body where it has yet to be read. */
  readonly later?: LaterText | undefined;
}

/** A text that is read when it is asked for. */
export interface LaterText {
  /** UTF-16 units, at most. */
  readonly units: number;
  read(): string;
}

export interface Appended {
  readonly event: StoredEvent;
  /** True when the idempotency key was known, and `event` is what was stored under it before. */
  readonly duplicate: boolean;
}

export interface LogBounds {
  /** The first number still retained; `head + 1` when nothing is. */
  readonly first: number;
  /** The last number given out; 0 when the log is empty. */
  readonly head: number;
}

/** Where a page begins, and in which order it goes: pages of one order, each from where the last one ended, give everything. */
export type LogStart =
  /** Oldest first, what comes after this number (0 for everything retained). */
  | { readonly afterSeq: number; readonly beforeSeq?: undefined }
  /** Newest first, what comes before this number (`head + 1` or more for everything retained). */
  | { readonly beforeSeq: number; readonly afterSeq?: undefined };

/** Events that belong together: of one piece of work, or caused by one of so many events, at most MAX_CAUSES. */
export type Related =
  | { readonly correlationId: string; readonly causes?: undefined }
  | { readonly causes: readonly number[]; readonly correlationId?: undefined };

export const MAX_CAUSES = 100;

export type LogQuery = LogStart & {
  /** `all` is every event that there is, of families too that the contract no longer has. */
  readonly channels: ChannelSet | 'all' | Related;
  /** Only events of these types; all when absent. */
  readonly types?: ReadonlySet<string> | undefined;
  /** Rows looked at, at most; a page may have fewer events when `types` filters. */
  readonly limit: number;
  /** It may end early when something is to be stored meanwhile. */
  readonly givesWay?: boolean;
};

/**
 * A page is a snapshot: its events and bounds belong together. It ends with the event that brings its bodies to more than
 * PAGE_BYTES, or earlier where the query gives way.
 */
export interface LogPage extends LogBounds {
  /** In the order that was asked for. */
  readonly events: readonly StoredEvent[];
  /**
   * How far the page reaches: every retained match between where it began and here, this number included, is in `events`.
   * - After `afterSeq`: `head` when nothing more is to be had; always greater than `afterSeq`, unless that is `head` or
   *   beyond, and then `afterSeq` itself.
   * - Before `beforeSeq`: `first` when nothing more is to be had; always less than `beforeSeq`, unless that is `first` or
   *   older, and then `beforeSeq` itself.
   */
  readonly endSeq: number;
}

/** Bytes of bodies (UTF-8) after which a page ends: about what a socket takes before it is full. */
export const PAGE_BYTES = 256 * 1024;

/** A copy of a log, in storage of its own until it is disposed of. */
export interface LogCopy extends AsyncDisposable {
  readonly bytes: number;
  /** All of it, from its beginning. */
  read(): Readable;
}

export interface EventLog extends AsyncDisposable {
  readonly positions: Positions;

  /** The states of entities, in the same storage. Rejects as `read` does. */
  readonly states: StateStore;

  /** The time that it goes by where its storage has no clock of its own: what is stored gets the later one, and the earlier one tells what is old. */
  readonly now: Moment;

  /**
   * Called once per commit of this instance with its new events, in sequence order, before the appends of that commit
   * resolve. Returns the function that ends it.
   */
  onCommit(listener: (events: readonly StoredEvent[]) => void): () => void;

  /**
   * Stores events. Resolves, in the order of `events`, when they are durable.
   *
   * @throws {CourierError} SERVICE_UNAVAILABLE when the log cannot take them now (disk full, closing, too much in
   * flight): retryable with the same idempotency keys.
   */
  append(events: readonly NewEvent[]): Promise<readonly Appended[]>;

  /** Reads one page. An aborted signal rejects with its reason. */
  read(query: LogQuery, signal: AbortSignal): Promise<LogPage>;

  /** Why the last append failed; undefined once one has been stored again, or would be. */
  readonly problem: string | undefined;

  /** Resolves when an append would be stored now: the log writes what an append writes, and keeps nothing of it. @throws as `append`. */
  probe(): Promise<void>;

  /** Bytes that the log takes in its storage, about. */
  bytes(): Promise<number>;

  /** The bounds now, as the storage has them. */
  bounds(): Promise<LogBounds>;

  /**
   * When these events were stored, in ms since 1970 by the clock that decides over retention, in their order; undefined where one is not
   * retained, or was stored by a Courier that did not note it.
   */
  storedAt(seqs: readonly number[]): Promise<readonly (number | undefined)[]>;

  /**
   * One short step of removing the oldest events, all of them appended more than `keepMs` ago, and of forgetting idempotency
   * keys past their window: at most `limit` of each, or as many events as the storage drops whole at once. Resolves to whether
   * more may be left. Events may stay for up to TRIM_GRAIN_MS longer. The number of the last removed event is never given out
   * again.
   *
   * One clock decides, that which appending goes by: the database's where instances share one, else this machine's, whose
   * jumps are not believed at once (`SteadyClock`). What is being written to is never removed.
   */
  trim(keepMs: number, limit: number): Promise<boolean>;

  /**
   * Copies the log as it is at one moment: all that was acknowledged before the call, and of what is appended meanwhile a
   * beginning without holes. The copy is a file that a log can be opened on. Appending, reading and trimming go on, and wait
   * for a small step of it at most. There is one copy at a time, from the call until it is disposed of.
   *
   * @throws {CourierError} BAD_REQUEST, with what to do instead, when the log is no file; SERVICE_UNAVAILABLE while there is
   * another copy, or no room for one. An aborted signal rejects with its reason. Nothing is left of a copy that failed.
   */
  copy(signal: AbortSignal): Promise<LogCopy>;

  /** Bytes that are left for it where it is stored; undefined where that is not known. */
  readonly freeBytes: number | undefined;

  /** The connections to its server; undefined where there is none. */
  readonly pool: PoolFigures | undefined;

  /** What an operator should see to though the log works. */
  readonly concerns: readonly Concern[];
}

export interface Concern {
  readonly about: 'clock' | 'disk' | 'retention' | 'standbys';
  /** A sentence that says what it is, and what to do. */
  readonly action: string;
}
