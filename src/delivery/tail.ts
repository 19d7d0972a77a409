/**
 * The tail: makes one sequence of everything that is appended, by this instance or another.
 *
 * Guarantee: it dispatches every event of the log after the start once, in sequence order. What arrives out of order waits
 * for its predecessors for a moment; what does not arrive is read from the log. A last event that nobody told of is found by
 * looking at the log's head on a timer. From time to time quiet subscribers are told their position, so that it does not
 * grow old while they miss nothing.
 */
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import { Turns } from '../limits/turns.ts';
import type { EventLog, StoredEvent } from '../log/log.ts';
import type { Hub } from './hub.ts';
import { LiveWindow } from './live-window.ts';
import { liveNotice } from './notices.ts';
import type { DeliveryOf } from './present.ts';

export interface TailOptions {
  /** How long an event waits for its predecessors before the log is read, in ms. */
  readonly reorderWaitMs?: number;
  /** How often the log's head is looked at, in ms. */
  readonly headCheckMs?: number;
  /** Bytes of memory for the live window. */
  readonly windowBytes?: number;
  /** After so many events for others a subscriber that was handed nothing is told its position. */
  readonly quietEvents?: number;
  /** The same by time: at the latest after so long, in ms. */
  readonly quietMs?: number;
  /** Told when the log cannot be read; the tail tries again with the next head check. */
  readonly onError?: (error: unknown) => void;
}

/** Bytes of events that may wait for their predecessors; further ones are dropped and read from the log. */
const EARLY_BYTES = 16 * 1024 * 1024;
/** Bytes of the live window by default. */
const WINDOW_BYTES = 16 * 1024 * 1024;
/** The part of the heap that either takes, at most. */
const MAX_PART = 1 / 16;
const REPAIR_ROWS = 1000;
/** Events read into memory at the start, at most. */
const START_ROWS = 4000;
/** Events of the window that cut-overs read in one turn of the event loop, about. */
const CUT_OVERS_PER_TURN = 150_000;
/** Defaults of the options with these names. */
const QUIET_EVENTS = 100_000;
const QUIET_MS = 24 * 60 * 60 * 1000;
/**
 * Quiet subscribers are looked for so often within that: one that was handed something just after one look is told at the
 * second look after it.
 */
export const QUIET_LOOKS = 3;

/** What the tail needs of what it passes events on to. */
export type TailHub = Pick<Hub, 'dispatch' | 'tellQuiet' | 'interrupt'>;

export class Tail implements Disposable {
  readonly window: LiveWindow;
  /** Cut-overs of subscribers, some in each turn of the event loop: each reads through the part of the window that it has missed. */
  readonly cutOvers = new Turns(CUT_OVERS_PER_TURN);
  readonly #log: EventLog;
  readonly #hub: TailHub;
  readonly #deliveryOf: DeliveryOf;
  readonly #options: Required<TailOptions>;
  readonly #stop = new AbortController();
  readonly #early = new Map<number, StoredEvent>();
  #earlyBytes = 0;
  readonly #maxEarlyBytes = upTo(EARLY_BYTES, MAX_PART);
  /** Subscribers that have read further in the log than the tail has come. */
  readonly #waiting = new Set<{ readonly seq: number; readonly resolve: () => void }>();
  /** The last event that it has passed on. */
  #seq = 0;
  /** The log's head at the start: events up to it are in the window, and dispatched to nobody. */
  #startSeq = 0;
  #repairs = 0;
  #repairing: Promise<void> | undefined;
  #reorderTimer: NodeJS.Timeout | undefined;
  #headTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  /** Where it was when quiet subscribers were told last. */
  #toldSeq = 0;

  private constructor(log: EventLog, hub: TailHub, deliveryOf: DeliveryOf, options: TailOptions) {
    this.#log = log;
    this.#deliveryOf = deliveryOf;
    this.#hub = hub;
    this.#options = {
      reorderWaitMs: 50,
      headCheckMs: 1000,
      windowBytes: upTo(WINDOW_BYTES, MAX_PART),
      quietEvents: QUIET_EVENTS,
      quietMs: QUIET_MS,
      onError: () => undefined,
      ...options,
    };
    this.window = new LiveWindow(this.#options.windowBytes);
  }

  /**
   * Starts at the log's head, with the latest events in its window: after a restart most subscribers come back from there.
   *
   * @throws what the log throws.
   */
  static async start(log: EventLog, hub: TailHub, deliveryOf: DeliveryOf, options: TailOptions = {}): Promise<Tail> {
    const tail = new Tail(log, hub, deliveryOf, options);
    await tail.#readLatest();
    await tail.#repair();
    tail.#headTimer = setInterval(() => tail.checkHead(), tail.#options.headCheckMs);
    tail.#headTimer.unref();
    tail.#toldSeq = tail.#seq;
    tail.#quietTimer = setInterval(() => tail.#tellQuiet(), Math.min(tail.#options.quietMs, QUIET_MS) / QUIET_LOOKS);
    tail.#quietTimer.unref();
    return tail;
  }

  /** The number of the last event that it has come to. Of those after the start, the hub was given all up to here. */
  get seq(): number {
    return this.#seq;
  }

  /** After so many events for others a subscriber that was handed nothing is told its position. */
  get quietEvents(): number {
    return this.#options.quietEvents;
  }

  /** Pages read from the log because nobody had told of what is in them. */
  get repairs(): number {
    return this.#repairs;
  }

  /** Resolves when the tail has come to `seq`; rejects with the signal's reason when that aborts first. */
  reached(seq: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
      };
      const waiting = {
        seq,
        resolve: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      if (signal.aborted) reject(signal.reason);
      else if (this.#seq >= seq) resolve();
      else {
        this.#waiting.add(waiting);
        signal.addEventListener('abort', onAbort);
      }
    });
  }

  /** Takes appended events, in any order, with repeats and holes. */
  offer(events: readonly StoredEvent[]): void {
    for (const event of events) {
      if (event.seq === this.#seq + 1) this.#emit(event);
      else if (event.seq > this.#seq) this.#keepEarly(event);
    }
    this.#emitEarly();
    if (this.#early.size > 0) this.#scheduleRepair();
    this.#wake();
  }

  /** Looks whether the log is ahead, and reads what is missing. */
  checkHead(): void {
    this.#repairing ??= this.#repair()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#options.onError(error);
      })
      .finally(() => {
        this.#repairing = undefined;
        if (this.#early.size > 0) this.#scheduleRepair();
      });
  }

  /** The newest events first, until they take as much as may be kept. */
  async #readLatest(): Promise<void> {
    const { first, head } = await this.#log.bounds();
    const latest: StoredEvent[] = [];
    let bytes = 0;
    let from = head + 1;
    while (from > first && bytes < this.#options.windowBytes && latest.length < START_ROWS) {
      const query = { beforeSeq: from, channels: 'all' as const, limit: START_ROWS - latest.length };
      const { events, endSeq } = await this.#log.read(query, this.#stop.signal);
      for (const event of events) bytes += bytesOf(event);
      latest.push(...events);
      from = endSeq;
      if (events.length === 0) break;
    }
    this.#startSeq = head;
    this.#seq = latest.length === 0 ? head : (latest.at(-1) as StoredEvent).seq - 1;
    this.offer(latest.reverse());
  }

  #keepEarly(event: StoredEvent): void {
    const bytes = bytesOf(event);
    if (this.#early.has(event.seq) || this.#earlyBytes + bytes > this.#maxEarlyBytes) return;
    this.#early.set(event.seq, event);
    this.#earlyBytes += bytes;
  }

  #forgetEarly(event: StoredEvent): void {
    this.#early.delete(event.seq);
    this.#earlyBytes -= bytesOf(event);
  }

  #emit(event: StoredEvent): void {
    const delivery = this.#deliveryOf(event);
    this.#seq = event.seq;
    this.window.push(delivery);
    if (event.seq <= this.#startSeq) return;
    this.#hub.dispatch(delivery);
    if (event.seq - this.#toldSeq >= this.#options.quietEvents / QUIET_LOOKS) this.#tellQuiet();
  }

  #tellQuiet(): void {
    if (this.#seq > this.#toldSeq) this.#hub.tellQuiet(() => liveNotice(this.#log.positions, this.#seq, 0), this.#toldSeq);
    this.#toldSeq = this.#seq;
  }

  #wake(): void {
    for (const waiting of this.#waiting) {
      if (waiting.seq > this.#seq) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  #emitEarly(): void {
    if (this.#early.size === 0) return;
    for (let next = this.#early.get(this.#seq + 1); next !== undefined; next = this.#early.get(this.#seq + 1)) {
      this.#forgetEarly(next);
      this.#emit(next);
    }
    for (const event of this.#early.values()) if (event.seq <= this.#seq) this.#forgetEarly(event);
  }

  #scheduleRepair(): void {
    if (this.#reorderTimer !== undefined || this.#stop.signal.aborted) return;
    this.#reorderTimer = setTimeout(() => {
      this.#reorderTimer = undefined;
      if (this.#early.size > 0) this.checkHead();
    }, this.#options.reorderWaitMs);
    this.#reorderTimer.unref();
  }

  async #repair(): Promise<void> {
    const { head } = await this.#log.bounds();
    while (this.#seq < head && !this.#stop.signal.aborted) {
      this.#repairs += 1;
      const page = await this.#log.read({ afterSeq: this.#seq, channels: 'all', limit: REPAIR_ROWS }, this.#stop.signal);
      if (page.first > this.#seq + 1) this.#jumpTo(page.first - 1);
      this.offer(page.events);
    }
  }

  /** The log no longer has what comes next (it was trimmed first). Live subscribers learn of the gap from the log. */
  #jumpTo(seq: number): void {
    const from = this.#seq;
    this.#seq = seq;
    this.window.clear();
    this.#hub.interrupt(from);
    this.#wake();
  }

  /** Emits nothing more. A question to the log that is on its way is not waited for: the log ends it when it is closed. */
  [Symbol.dispose](): void {
    this.#stop.abort();
    clearInterval(this.#headTimer);
    clearInterval(this.#quietTimer);
    clearTimeout(this.#reorderTimer);
  }
}

/** Of memory, at most. */
function bytesOf(event: StoredEvent): number {
  return bytesInMemory(event.later?.units ?? event.body.length);
}
