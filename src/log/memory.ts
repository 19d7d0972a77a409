/** A log in memory, for tests and for trying things out: it keeps every guarantee but durability. */
import { CourierError } from '../errors.ts';
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import { CommitListeners, numbered, unavailable } from './answers.ts';
import {
  type Appended,
  type EventLog,
  IDEMPOTENCY_WINDOW_MS,
  type LogBounds,
  type LogPage,
  type LogQuery,
  type NewEvent,
  type StoredEvent,
} from './log.ts';
import { newEpochName, Positions } from './positions.ts';
import { fillPage, isEverything, isRelated, type Span, spanOf } from './reading.ts';
import { openMemoryStates } from './sqlite/memory-states.ts';
import { remoteStates, type StateStore } from './state-store.ts';
import { clockOf, type Moment } from './steady-clock.ts';

export interface MemoryLogOptions {
  /** The clock, in ms since 1970, which is believed whatever it does; this machine's, watched for jumps, when absent. */
  readonly now?: () => number;
  /** Bytes of memory that its events may take; a quarter of the heap when absent. */
  readonly maxBytes?: number;
}

/** The share of the heap that events may take: the rest is for whoever reads them. */
const MAX_HEAP_SHARE = 1 / 4;
/** Bytes that an event takes beside itself: its places in the indexes, its key. */
const ENTRY_BYTES = 400;

interface Entry {
  readonly event: StoredEvent;
  readonly appendedMs: number;
}

export function openMemoryLog(options: MemoryLogOptions = {}): EventLog {
  return new MemoryLog(clockOf(options), options.maxBytes ?? upTo(Number.POSITIVE_INFINITY, MAX_HEAP_SHARE));
}

class MemoryLog implements EventLog {
  readonly freeBytes = undefined;
  readonly pool = undefined;
  readonly concerns = [];
  readonly positions = new Positions([{ name: newEpochName(), first: 1 }]);
  readonly #now: () => Moment;
  #entries: Entry[] = [];
  /** Numbers by channel, family, correlation id and cause, ascending; of what is retained. */
  readonly #index = new Map<string, number[]>();
  /** Of which it has had events. */
  readonly #families = new Set<string>();
  readonly #keys = new Map<string, Entry & { readonly keyedMs: number }>();
  readonly #listeners = new CommitListeners();
  readonly onCommit = this.#listeners.add;
  /** The last number that was removed. */
  #trimmedSeq = 0;
  readonly #maxBytes: number;
  /** Of memory, about. */
  #bytes = 0;
  /** What the last append would have taken, which was refused; 0 when it was stored. */
  #refusedBytes = 0;
  #closed = false;
  readonly #states = openMemoryStates({ bounds: () => this.#bounds });

  constructor(now: () => Moment, maxBytes: number) {
    this.#now = now;
    this.#maxBytes = maxBytes;
  }

  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    this.#assertOpen();
    const added = events.filter((event) => this.#known(event) === undefined);
    this.#refusedBytes = added.reduce((sum, event) => sum + entryBytes(event), 0);
    this.#requireRoom();
    this.#refusedBytes = 0;
    const appended = events.map((event) => this.#place(event));
    this.#listeners.tell(appended.filter(({ duplicate }) => !duplicate).map(({ event }) => event));
    return appended;
  }

  get problem(): string | undefined {
    if (this.#bytes + this.#refusedBytes <= this.#maxBytes) return undefined;
    return 'the memory that the log in memory may take is full: keep the log in a file (COURIER_LOG=sqlite:PATH), or give more';
  }

  async probe(): Promise<void> {
    this.#assertOpen();
    this.#requireRoom();
  }

  #requireRoom(): void {
    const { problem } = this;
    if (problem !== undefined) throw unavailable(problem);
  }

  /** What was stored under the event's key. */
  #known({ idempotency }: NewEvent): StoredEvent | undefined {
    const known = idempotency && this.#keys.get(keyText(idempotency));
    return known !== undefined && this.#now().earliest - known.keyedMs < IDEMPOTENCY_WINDOW_MS ? known.event : undefined;
  }

  #place(newEvent: NewEvent): Appended {
    const known = this.#known(newEvent);
    if (known !== undefined) return { event: known, duplicate: true };
    const { latest } = this.#now();
    const { idempotency } = newEvent;
    const event = numbered(newEvent, this.#head + 1);
    const entry = { event, appendedMs: latest };
    this.#entries.push(entry);
    this.#bytes += entryBytes(event);
    this.#addTo(`c:${event.channel}`, event.seq);
    this.#addTo(`f:${event.family}`, event.seq);
    if (newEvent.correlationId !== undefined) this.#addTo(`w:${newEvent.correlationId}`, event.seq);
    if (newEvent.causeSeq !== undefined) this.#addTo(`b:${newEvent.causeSeq}`, event.seq);
    this.#families.add(event.family);
    if (idempotency !== undefined) this.#keys.set(keyText(idempotency), { ...entry, keyedMs: latest });
    return { event, duplicate: false };
  }

  async read({ channels, types, limit, ...start }: LogQuery, signal: AbortSignal): Promise<LogPage> {
    signal.throwIfAborted();
    this.#assertOpen();
    const bounds = this.#bounds;
    const span = spanOf(start, bounds);
    const seqs = channels === 'all' || isEverything(channels, this.#families) ? this.#range(span) : this.#matches(listsOf(channels), span);
    const eventAt = (seq: number) => (this.#entries[seq - this.#trimmedSeq - 1] as Entry).event;
    return fillPage(seqs, eventAt, { span, bounds, limit, types });
  }

  async bytes(): Promise<number> {
    this.#assertOpen();
    return this.#bytes;
  }

  async bounds(): Promise<LogBounds> {
    this.#assertOpen();
    return this.#bounds;
  }

  async storedAt(seqs: readonly number[]): Promise<readonly (number | undefined)[]> {
    this.#assertOpen();
    return seqs.map((seq) => this.#entries[seq - this.#trimmedSeq - 1]?.appendedMs);
  }

  async trim(keepMs: number, limit: number): Promise<boolean> {
    this.#assertOpen();
    const { earliest: now } = this.#now();
    const { neededSeq = this.#head } = this.#states;
    const rows = Math.max(0, Math.min(limit, this.#oldEntries(now - keepMs, now), neededSeq - this.#trimmedSeq));
    for (const { event } of this.#entries.slice(0, rows)) this.#bytes -= entryBytes(event);
    this.#entries = this.#entries.slice(rows);
    this.#trimmedSeq += rows;
    if (rows > 0) this.#trimIndex();
    for (const [key, { event, keyedMs }] of this.#keys) {
      if (event.seq <= this.#trimmedSeq || now - keyedMs >= IDEMPOTENCY_WINDOW_MS) this.#keys.delete(key);
    }
    return rows === limit;
  }

  /**
   * How many of the first entries were appended before `beforeMs`. Each is at least as old as those behind it: one from a time
   * that is still to come, by a clock that was wrong, goes with the next that is not.
   */
  #oldEntries(beforeMs: number, now: number): number {
    let old = 0;
    for (const [index, { appendedMs }] of this.#entries.entries()) {
      if (appendedMs < beforeMs) old = index + 1;
      else if (appendedMs <= now) break;
    }
    return old;
  }

  get states(): StateStore {
    return remoteStates(async (call) => {
      this.#assertOpen();
      return this.#states.call(call);
    });
  }

  get now(): Moment {
    return this.#now();
  }

  async copy(): Promise<never> {
    throw new CourierError('BAD_REQUEST', 'this log is in memory only and has no backup: COURIER_LOG=sqlite:PATH keeps events in a file');
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#states[Symbol.dispose]();
    this.#closed = true;
    return Promise.resolve();
  }

  get #head(): number {
    return this.#trimmedSeq + this.#entries.length;
  }

  get #bounds(): LogBounds {
    return { first: this.#trimmedSeq + 1, head: this.#head };
  }

  /** Every number of the span. */
  *#range({ beginSeq, step }: Span): Generator<number> {
    for (let seq = beginSeq; seq > this.#trimmedSeq && seq <= this.#head; seq += step) yield seq;
  }

  /** The numbers of the span that are in these lists, each of which is in one list only. */
  *#matches(keys: readonly string[], { beginSeq, step }: Span): Generator<number> {
    const lists = keys
      .map((key) => this.#index.get(key) ?? [])
      .map((seqs) => ({ seqs, next: step > 0 ? firstAfter(seqs, beginSeq - 1) : firstAfter(seqs, beginSeq) - 1 }));
    for (;;) {
      let nearest: (typeof lists)[number] | undefined;
      let seq = 0;
      for (const list of lists) {
        const next = list.seqs[list.next];
        if (next === undefined || (nearest !== undefined && (next - seq) * step > 0)) continue;
        nearest = list;
        seq = next;
      }
      if (nearest === undefined) return;
      yield seq;
      nearest.next += step;
    }
  }

  #addTo(key: string, seq: number): void {
    const seqs = this.#index.get(key);
    if (seqs === undefined) this.#index.set(key, [seq]);
    else seqs.push(seq);
  }

  #trimIndex(): void {
    for (const [key, seqs] of this.#index) {
      const from = firstAfter(seqs, this.#trimmedSeq);
      if (from === seqs.length) this.#index.delete(key);
      else if (from > 0) this.#index.set(key, seqs.slice(from));
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw unavailable('it is closed');
  }
}

/** The lists that have what is asked for. */
function listsOf(channels: Exclude<LogQuery['channels'], 'all'>): string[] {
  if (!isRelated(channels))
    return [...[...channels.families].map((family) => `f:${family}`), ...[...channels.singles].map((channel) => `c:${channel}`)];
  return channels.causes === undefined ? [`w:${channels.correlationId}`] : channels.causes.map((seq) => `b:${seq}`);
}

/** Bytes of memory that an event takes with its entry, about. */
function entryBytes({ body }: { readonly body: string }): number {
  return bytesInMemory(body.length) + ENTRY_BYTES;
}

function keyText({ principal, key }: NonNullable<NewEvent['idempotency']>): string {
  return JSON.stringify([principal, key]);
}

/** Index of the first number greater than `seq` in an ascending list. */
function firstAfter(seqs: readonly number[], seq: number): number {
  let low = 0;
  let high = seqs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((seqs[middle] as number) <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
