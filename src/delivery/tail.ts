/**
 * The tail: makes one sequence of everything that is appended, by this instance or another.
 *
 * Guarantee: every event of the log after the start is dispatched once, in sequence order. What arrives out of order
 * waits for its predecessors for a moment; what does not arrive is read from the log. A last event that nobody told of
 * is found by looking at the log's head on a timer. Subscribers that nothing comes to are told from time to time where they
 * are, so that their position does not grow old while they miss nothing.
 */
import { EVERYTHING } from '../contract/channels.ts';
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import { Turns } from '../limits/turns.ts';
import type { EventLog, StoredEvent } from '../log/log.ts';
import { Delivery } from './delivery.ts';
import type { Hub } from './hub.ts';
import { liveNotice } from './notices.ts';
import { RecentEvents } from './recent.ts';

export interface TailOptions {
  /** How long an event waits for its predecessors before the log is read, in ms. */
  readonly reorderWaitMs?: number;
  /** How often the log's head is looked at, in ms. */
  readonly headCheckMs?: number;
  /** Bytes of memory for the latest events, which serve subscribers that are a little behind. */
  readonly recentBytes?: number;
  /** A subscriber that is given nothing is told where it is after so many events that were others', in ms or so long at the latest. */
  readonly quietEvents?: number;
  readonly quietMs?: number;
  /** Told when the log cannot be read; the tail tries again with the next head check. */
  readonly onError?: (error: unknown) => void;
}

/** Bytes of events that may wait for their predecessors, and at most which part of the heap. Beyond that they are dropped and read from the log. */
const HELD_BYTES = 16 * 1024 * 1024;
/** Bytes of the latest events that are kept by default. */
const RECENT_BYTES = 16 * 1024 * 1024;
/** The part of the heap that either takes, at most. */
const MAX_PART = 1 / 16;
const REPAIR_ROWS = 1000;
/** Events read into memory at the start, at most. */
const START_ROWS = 4000;
/** Events that are looked through in one turn of the event loop, about. */
const CUT_OVERS_PER_TURN = 150_000;
/** Others' events after which a subscriber is told where it is, and how long it takes at most, in ms. */
const QUIET_EVENTS = 100_000;
const QUIET_MS = 24 * 60 * 60 * 1000;
/**
 * Looks for the quiet within that: who was given something just after one look is told at the second one, and may not have
 * known for a third before that where it was.
 */
export const QUIET_LOOKS = 3;

export class Tail implements Disposable {
  readonly recent: RecentEvents;
  /** Those who come from the log to the latest events, some in each turn of the event loop: each looks through those that it has missed. */
  readonly cutOvers = new Turns(CUT_OVERS_PER_TURN);
  readonly #log: EventLog;
  readonly #hub: Hub;
  readonly #options: Required<TailOptions>;
  readonly #stop = new AbortController();
  readonly #held = new Map<number, StoredEvent>();
  #heldBytes = 0;
  readonly #maxHeldBytes = upTo(HELD_BYTES, MAX_PART);
  /** Subscribers that have read further in the log than the tail has come. */
  readonly #waiting = new Set<{ readonly seq: number; readonly resolve: () => void }>();
  #position = 0;
  /** The log's head at the start: what came until then is kept in memory, but dispatched to nobody. */
  #startedAt = 0;
  #repairs = 0;
  #repairing: Promise<void> | undefined;
  #reorderTimer: NodeJS.Timeout | undefined;
  #headTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  /** Where it was when the quiet were told last. */
  #toldAt = 0;

  private constructor(log: EventLog, hub: Hub, options: TailOptions) {
    this.#log = log;
    this.#hub = hub;
    this.#options = {
      reorderWaitMs: 50,
      headCheckMs: 1000,
      recentBytes: upTo(RECENT_BYTES, MAX_PART),
      quietEvents: QUIET_EVENTS,
      quietMs: QUIET_MS,
      onError: () => undefined,
      ...options,
    };
    this.recent = new RecentEvents(this.#options.recentBytes);
  }

  /**
   * Starts at the log's head. The latest events are read into memory: after a restart most subscribers come back from
   * there.
   *
   * @throws what the log throws.
   */
  static async start(log: EventLog, hub: Hub, options: TailOptions = {}): Promise<Tail> {
    const tail = new Tail(log, hub, options);
    await tail.#readLatest();
    await tail.#repair();
    tail.#headTimer = setInterval(() => tail.checkHead(), tail.#options.headCheckMs);
    tail.#headTimer.unref();
    tail.#toldAt = tail.#position;
    tail.#quietTimer = setInterval(() => tail.#tellQuiet(), Math.min(tail.#options.quietMs, QUIET_MS) / QUIET_LOOKS);
    tail.#quietTimer.unref();
    return tail;
  }

  /** The number of the last event that it has come to: of those after the start, all up to here have been passed to the hub. */
  get position(): number {
    return this.#position;
  }

  /** As in TailOptions. */
  get quietEvents(): number {
    return this.#options.quietEvents;
  }

  /** Pages read from the log because nobody had told of what is in them. */
  get repairs(): number {
    return this.#repairs;
  }

  /** Resolves when `position` has come to `seq`; rejects with the signal's reason when that aborts first. */
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
      else if (this.#position >= seq) resolve();
      else {
        this.#waiting.add(waiting);
        signal.addEventListener('abort', onAbort);
      }
    });
  }

  /** Takes appended events, in any order, with repeats and holes. */
  offer(events: readonly StoredEvent[]): void {
    for (const event of events) {
      if (event.seq === this.#position + 1) this.#emit(event);
      else if (event.seq > this.#position) this.#hold(event);
    }
    this.#emitHeld();
    if (this.#held.size > 0) this.#scheduleRepair();
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
        if (this.#held.size > 0) this.#scheduleRepair();
      });
  }

  /** The newest events first, until they take as much as may be kept. */
  async #readLatest(): Promise<void> {
    const { first, head } = await this.#log.bounds();
    const latest: StoredEvent[] = [];
    let bytes = 0;
    let from = head + 1;
    while (from > first && bytes < this.#options.recentBytes && latest.length < START_ROWS) {
      const query = { before: from, selector: EVERYTHING, limit: START_ROWS - latest.length };
      const { events, through } = await this.#log.read(query, this.#stop.signal);
      for (const event of events) bytes += bytesInMemory(event.body.length);
      latest.push(...events);
      from = through;
      if (events.length === 0) break;
    }
    this.#startedAt = head;
    this.#position = latest.length === 0 ? head : (latest.at(-1) as StoredEvent).seq - 1;
    this.offer(latest.reverse());
  }

  #hold(event: StoredEvent): void {
    const bytes = bytesInMemory(event.body.length);
    if (this.#held.has(event.seq) || this.#heldBytes + bytes > this.#maxHeldBytes) return;
    this.#held.set(event.seq, event);
    this.#heldBytes += bytes;
  }

  #letGo(event: StoredEvent): void {
    this.#held.delete(event.seq);
    this.#heldBytes -= bytesInMemory(event.body.length);
  }

  #emit(event: StoredEvent): void {
    const delivery = new Delivery(this.#log.positions.at(event.seq), event);
    this.#position = event.seq;
    this.recent.push(delivery);
    if (event.seq <= this.#startedAt) return;
    this.#hub.dispatch(delivery);
    if (event.seq - this.#toldAt >= this.#options.quietEvents / QUIET_LOOKS) this.#tellQuiet();
  }

  #tellQuiet(): void {
    if (this.#position > this.#toldAt) this.#hub.tellQuiet(() => liveNotice(this.#log.positions, this.#position, 0), this.#toldAt);
    this.#toldAt = this.#position;
  }

  #wake(): void {
    for (const waiting of this.#waiting) {
      if (waiting.seq > this.#position) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  #emitHeld(): void {
    if (this.#held.size === 0) return;
    for (let next = this.#held.get(this.#position + 1); next !== undefined; next = this.#held.get(this.#position + 1)) {
      this.#letGo(next);
      this.#emit(next);
    }
    for (const event of this.#held.values()) if (event.seq <= this.#position) this.#letGo(event);
  }

  #scheduleRepair(): void {
    if (this.#reorderTimer !== undefined || this.#stop.signal.aborted) return;
    this.#reorderTimer = setTimeout(() => {
      this.#reorderTimer = undefined;
      if (this.#held.size > 0) this.checkHead();
    }, this.#options.reorderWaitMs);
    this.#reorderTimer.unref();
  }

  async #repair(): Promise<void> {
    const { head } = await this.#log.bounds();
    while (this.#position < head && !this.#stop.signal.aborted) {
      this.#repairs += 1;
      const page = await this.#log.read({ after: this.#position, selector: EVERYTHING, limit: REPAIR_ROWS }, this.#stop.signal);
      if (page.first > this.#position + 1) this.#jumpTo(page.first - 1);
      this.offer(page.events);
    }
  }

  /** The log no longer has what comes next (it was trimmed first). Live subscribers learn of the gap from the log. */
  #jumpTo(seq: number): void {
    const from = this.#position;
    this.#position = seq;
    this.recent.clear();
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
