/**
 * The events of a background publisher that wait, in their order, and which of them may be published now.
 *
 * At most `maxQueued` events of `maxQueuedBytes` together wait, besides one batch: the one that is being published, or has returned.
 */
import { MAX_CALL_BYTES, MAX_CALL_EVENTS } from './arguments.ts';
import type { AnyContract, EventDraft, TypeIn } from './events.ts';

/** The shortest rest of a channel, in ms. */
const MIN_REST_MS = 100;

/** What a caller submits. */
export type Submitted<C extends AnyContract> = EventDraft<TypeIn<C>, C>;

/** An event that waits. */
export interface Queued<C extends AnyContract> {
  /** What `submit` was given, as it was then. */
  readonly event: Submitted<C>;
  /** Its size in a message. */
  readonly bytes: number;
  /** Whether something that was published directly before is under way. */
  isHeld: boolean;
  /** Whether an attempt to publish it had no answer. */
  mayBeStored: boolean;
  /** Tells that it is stored, refused or dropped. */
  readonly settle: () => void;
}

export interface QueueBounds {
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly whenFull: 'drop-oldest' | 'drop-newest';
}

export class BackgroundQueue<C extends AnyContract> {
  readonly #bounds: QueueBounds;
  #events: Queued<C>[] = [];
  #bytes = 0;
  /** When the channels whose limits are reached may be published on again, by `performance.now()`. */
  readonly #resting = new Map<string, number>();

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#events.length;
  }

  /** Adds an event. @returns the events that must be dropped for it, or itself. */
  add(queued: Queued<C>): Queued<C>[] {
    const { maxQueued, maxQueuedBytes, whenFull } = this.#bounds;
    if (queued.bytes > maxQueuedBytes) return [queued];
    // What has returned may be more than what may wait: then an event takes the place of others.
    const most = Math.max(maxQueued, this.#events.length);
    const mostBytes = Math.max(maxQueuedBytes, this.#bytes);
    this.#events.push(queued);
    this.#bytes += queued.bytes;
    const lost: Queued<C>[] = [];
    while (this.#events.length > most || this.#bytes > mostBytes) {
      const next = (whenFull === 'drop-oldest' ? this.#events.shift() : this.#events.pop()) as Queued<C>;
      this.#bytes -= next.bytes;
      lost.push(next);
    }
    return lost;
  }

  /** Takes the first events that may be published now and fit one message. */
  takeBatch(): Queued<C>[] {
    const now = performance.now();
    for (const [channel, until] of this.#resting) if (until <= now) this.#resting.delete(channel);
    const passedOver = new Set(this.#resting.keys());
    const batch = new Set<Queued<C>>();
    // The brackets around the events, and a comma behind each.
    let bytes = 2;
    for (const queued of this.#events) {
      const { channel } = queued.event;
      if (queued.isHeld) passedOver.add(channel);
      if (passedOver.has(channel)) continue;
      bytes += queued.bytes + 1;
      if (batch.size === MAX_CALL_EVENTS || (batch.size > 0 && bytes > MAX_CALL_BYTES)) break;
      batch.add(queued);
    }
    this.#events = this.#events.filter((queued) => !batch.has(queued));
    for (const queued of batch) this.#bytes -= queued.bytes;
    return [...batch];
  }

  /** Puts events of a batch back at the head. */
  giveBack(batch: readonly Queued<C>[]): void {
    this.#events.unshift(...batch);
    for (const { bytes } of batch) this.#bytes += bytes;
  }

  /** Takes everything. */
  clear(): Queued<C>[] {
    this.#bytes = 0;
    return this.#events.splice(0);
  }

  /** Lets batches pass over a channel for so long. */
  rest(channel: string, ms: number): void {
    this.#resting.set(channel, performance.now() + Math.max(MIN_REST_MS, ms));
  }

  /** The time until a channel has rested, in ms; Infinity when none rests. */
  get restMs(): number {
    return Math.min(...this.#resting.values()) - performance.now();
  }
}
