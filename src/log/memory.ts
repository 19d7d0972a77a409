/** A log in memory, for tests and for trying things out: it keeps every guarantee but durability. */
import { CHANNEL_FAMILIES, type ChannelSet } from '../contract/channels.ts';
import { CourierError } from '../errors.ts';
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import {
  type Appended,
  type EventLog,
  IDEMPOTENCY_WINDOW_MS,
  type LogBounds,
  type LogPage,
  type LogQuery,
  type NewEvent,
  PAGE_BYTES,
  type StoredEvent,
} from './log.ts';
import { newEpochName, Positions } from './positions.ts';
import { type Span, spanOf } from './span.ts';
import { clockOf, type Moment } from './steady-clock.ts';
import { unavailable } from './unavailable.ts';

export interface MemoryLogOptions {
  /** The clock, in ms since 1970, which is believed whatever it does; this machine's, watched for jumps, when absent. */
  readonly now?: () => number;
  /** Bytes of memory that its events may take; a quarter of the heap when absent. */
  readonly maxBytes?: number;
}

/** Of the heap: the rest is for those who read it. */
const MAX_PART = 1 / 4;
/** What an event takes beside itself: its places in the indexes, its key. */
const ENTRY_BYTES = 400;

interface Entry {
  readonly event: StoredEvent;
  readonly appendedMs: number;
}

export function openMemoryLog(options: MemoryLogOptions = {}): EventLog {
  return new MemoryLog(clockOf(options), options.maxBytes ?? upTo(Number.POSITIVE_INFINITY, MAX_PART));
}

class MemoryLog implements EventLog {
  readonly freeBytes = undefined;
  readonly concerns = [];
  readonly positions = new Positions([{ name: newEpochName(), first: 1 }]);
  readonly #now: () => Moment;
  #entries: Entry[] = [];
  /** Numbers by channel and by family, ascending; of what is retained. */
  readonly #index = new Map<string, number[]>();
  readonly #keys = new Map<string, Entry & { readonly keyedMs: number }>();
  readonly #listeners = new Set<(events: readonly StoredEvent[]) => void>();
  #trimmedThrough = 0;
  readonly #maxBytes: number;
  /** Of memory, about. */
  #bytes = 0;
  #problem: string | undefined;
  #closed = false;

  constructor(now: () => Moment, maxBytes: number) {
    this.#now = now;
    this.#maxBytes = maxBytes;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  onCommit(listener: (events: readonly StoredEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async append(drafts: readonly NewEvent[]): Promise<readonly Appended[]> {
    this.#assertOpen();
    const added = drafts.filter((draft) => this.#known(draft) === undefined);
    if (this.#bytes + added.reduce((sum, draft) => sum + bytesOf(draft), 0) > this.#maxBytes) {
      this.#problem = 'the memory that the log in memory may take is full: keep the log in a file (COURIER_LOG=sqlite:PATH), or give more';
      throw unavailable(this.#problem);
    }
    this.#problem = undefined;
    const results = drafts.map((draft) => this.#place(draft));
    const fresh = results.filter(({ duplicate }) => !duplicate).map(({ event }) => event);
    if (fresh.length > 0) for (const listener of this.#listeners) listener(fresh);
    return results;
  }

  /** What was stored under the draft's key. */
  #known({ idempotency }: NewEvent): StoredEvent | undefined {
    const known = idempotency && this.#keys.get(keyOf(idempotency));
    return known !== undefined && this.#now().earliest - known.keyedMs < IDEMPOTENCY_WINDOW_MS ? known.event : undefined;
  }

  #place(draft: NewEvent): Appended {
    const known = this.#known(draft);
    if (known !== undefined) return { event: known, duplicate: true };
    const { latest } = this.#now();
    const { channel, family, type, body, idempotency } = draft;
    const event = { seq: this.#head + 1, channel, family, type, body };
    const entry = { event, appendedMs: latest };
    this.#entries.push(entry);
    this.#bytes += bytesOf(event);
    this.#addTo(`c:${channel}`, event.seq);
    this.#addTo(`f:${family}`, event.seq);
    if (idempotency !== undefined) this.#keys.set(keyOf(idempotency), { ...entry, keyedMs: latest });
    return { event, duplicate: false };
  }

  async read({ channels, types, limit, ...start }: LogQuery, signal: AbortSignal): Promise<LogPage> {
    signal.throwIfAborted();
    this.#assertOpen();
    const span = spanOf(start, this.#bounds);
    const events: StoredEvent[] = [];
    let rows = 0;
    let bytes = 0;
    let endSeq = span.end;
    for (const seq of channels.families.size === CHANNEL_FAMILIES.length ? this.#range(span) : this.#matches(channels, span)) {
      const { event } = this.#entries[seq - this.#trimmedThrough - 1] as Entry;
      rows += 1;
      bytes += Buffer.byteLength(event.body);
      if (types?.has(event.type) ?? true) events.push(event);
      if (rows === limit || bytes > PAGE_BYTES) {
        endSeq = seq;
        break;
      }
    }
    return { events, endSeq, ...this.#bounds };
  }

  async bytes(): Promise<number> {
    this.#assertOpen();
    return this.#bytes;
  }

  async bounds(): Promise<LogBounds> {
    this.#assertOpen();
    return this.#bounds;
  }

  async trim(keepMs: number, limit: number): Promise<boolean> {
    this.#assertOpen();
    const { earliest: now } = this.#now();
    const rows = Math.min(limit, this.#oldEntries(now - keepMs, now));
    for (const { event } of this.#entries.slice(0, rows)) this.#bytes -= bytesOf(event);
    this.#entries = this.#entries.slice(rows);
    this.#trimmedThrough += rows;
    if (rows > 0) this.#trimIndex();
    for (const [key, { event, keyedMs }] of this.#keys) {
      if (event.seq <= this.#trimmedThrough || now - keyedMs >= IDEMPOTENCY_WINDOW_MS) this.#keys.delete(key);
    }
    return rows === limit;
  }

  /**
   * How many of the first entries were appended before `before`. One is at least as old as those behind it: one from a time
   * that is still to come, as a clock said that was wrong, goes with the next that is not.
   */
  #oldEntries(before: number, now: number): number {
    let old = 0;
    for (const [index, { appendedMs }] of this.#entries.entries()) {
      if (appendedMs < before) old = index + 1;
      else if (appendedMs <= now) break;
    }
    return old;
  }

  async copy(): Promise<never> {
    throw new CourierError('BAD_REQUEST', 'this log is in memory only and has no backup: COURIER_LOG=sqlite:PATH keeps events in a file');
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  get #head(): number {
    return this.#trimmedThrough + this.#entries.length;
  }

  get #bounds(): LogBounds {
    return { first: this.#trimmedThrough + 1, head: this.#head };
  }

  /** Every number of the span. */
  *#range({ begin, step }: Span): Generator<number> {
    for (let seq = begin; seq > this.#trimmedThrough && seq <= this.#head; seq += step) yield seq;
  }

  /** The numbers of the span that the channels matches: those of all its lists, of which each is in one only. */
  *#matches(channels: ChannelSet, { begin, step }: Span): Generator<number> {
    const keys = [...[...channels.families].map((family) => `f:${family}`), ...[...channels.singles].map((channel) => `c:${channel}`)];
    const lists = keys
      .map((key) => this.#index.get(key) ?? [])
      .map((numbers) => ({ numbers, next: step > 0 ? firstAfter(numbers, begin - 1) : firstAfter(numbers, begin) - 1 }));
    for (;;) {
      let nearest: (typeof lists)[number] | undefined;
      let seq = 0;
      for (const list of lists) {
        const next = list.numbers[list.next];
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
    const numbers = this.#index.get(key);
    if (numbers === undefined) this.#index.set(key, [seq]);
    else numbers.push(seq);
  }

  #trimIndex(): void {
    for (const [key, numbers] of this.#index) {
      const from = firstAfter(numbers, this.#trimmedThrough);
      if (from === numbers.length) this.#index.delete(key);
      else if (from > 0) this.#index.set(key, numbers.slice(from));
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw unavailable('it is closed');
  }
}

function bytesOf({ body }: { readonly body: string }): number {
  return bytesInMemory(body.length) + ENTRY_BYTES;
}

function keyOf({ principal, key }: NonNullable<NewEvent['idempotency']>): string {
  return JSON.stringify([principal, key]);
}

/** Index of the first number greater than `after` in an ascending list. */
function firstAfter(numbers: readonly number[], after: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
