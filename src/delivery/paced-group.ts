/**
 * Live subscribers with equal filters that are told what has changed some times in a second at most, each thing once as it is then. The
 * group holds nothing of what changes: when it is time it looks up what has changed since the last time.
 */
import type { Filter } from '../contract/filter.ts';
import { Batch, batchesOf, type Delivery } from './batch.ts';
import type { Group, LiveSubscriber, Recent } from './groups.ts';
import type { SubscriberGroupOptions } from './subscriber-group.ts';

/** With so many that cannot be looked up it is handed over before its time. */
const MAX_GATHERED = 10_000;

export interface PacedGroupOptions extends SubscriberGroupOptions {
  readonly recent: Recent;
  readonly maxPerSecond: number;
}

export class PacedGroup implements Group {
  readonly filter: Filter;
  readonly #options: PacedGroupOptions;
  readonly #intervalMs: number;
  /** With the number up to which each was handed everything. */
  readonly #subscribers = new Map<LiveSubscriber, number>();
  /** What cannot be looked up. */
  #gathered: Delivery[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** In ms of the monotonic clock. Its first subscribers have just been handed everything. */
  #handedOverAt = performance.now();

  constructor(filter: Filter, options: PacedGroupOptions) {
    this.filter = filter;
    this.#options = options;
    this.#intervalMs = 1000 / options.maxPerSecond;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  take(delivery: Delivery): boolean {
    if (!delivery.isRecent) this.#gathered.push(delivery);
    if (this.#gathered.length === MAX_GATHERED) this.#handOverIn(0);
    else if (this.#timer === undefined) this.#handOverIn(Math.max(0, this.#handedOverAt + this.#intervalMs - performance.now()));
    return false;
  }

  /** It has its own time. */
  handOver(): void {}

  join(subscriber: LiveSubscriber, seq: number): void {
    this.#subscribers.set(subscriber, seq);
  }

  leave(subscriber: LiveSubscriber): number | undefined {
    const toldSeq = this.#subscribers.get(subscriber);
    if (toldSeq !== undefined) this.#remove(subscriber);
    this.#closeIfEmpty();
    return toldSeq;
  }

  tellQuiet(notice: Batch, seq: number): void {
    for (const [subscriber, toldSeq] of this.#subscribers) if (toldSeq <= seq) this.tell(subscriber, notice);
  }

  tell(subscriber: LiveSubscriber, notice: Batch): void {
    // While something is to be told the position is not yet the subscriber's.
    if (this.#timer !== undefined || !subscriber.sink.writable) return;
    subscriber.sink.deliver(notice);
    this.#subscribers.set(subscriber, notice.lastSeq);
  }

  interrupt(seq: number): void {
    const all = [...this.#subscribers];
    for (const [subscriber] of all) this.#remove(subscriber);
    this.#closeIfEmpty();
    for (const [subscriber, toldSeq] of all) subscriber.onBehind(Math.min(toldSeq, seq));
  }

  #handOverIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#handOver(), ms).unref();
  }

  #handOver(): void {
    this.#timer = undefined;
    this.#handedOverAt = performance.now();
    const { recent, batchUnits } = this.#options;
    const { seq } = recent;
    const removed: (readonly [LiveSubscriber, number])[] = [];
    const ready: (readonly [LiveSubscriber, number])[] = [];
    for (const told of this.#subscribers) (told[0].sink.writable && recent.covers(told[1]) ? ready : removed).push(told);
    for (const [subscriber] of removed) this.#remove(subscriber);
    const batches = [...batchesOf(this.#changesAfter(Math.min(...ready.map(([, toldSeq]) => toldSeq))), batchUnits)];
    this.#gathered = [];
    const parts = new Map<number, Batch | undefined>();
    for (const [subscriber, toldSeq] of ready) {
      const handedSeq = this.#deliver(subscriber, toldSeq, batches, parts);
      if (handedSeq === undefined) this.#subscribers.set(subscriber, seq);
      else {
        this.#remove(subscriber);
        removed.push([subscriber, handedSeq]);
      }
    }
    this.#closeIfEmpty();
    for (const [subscriber, toldSeq] of removed) subscriber.onBehind(toldSeq);
  }

  /**
   * Returns the number up to which it was handed everything, where its sink was full before the end.
   *
   * @param parts of the batch that it has a part of, by that number: others have the same.
   */
  #deliver(
    { sink }: LiveSubscriber,
    toldSeq: number,
    batches: readonly Batch[],
    parts: Map<number, Batch | undefined>,
  ): number | undefined {
    let handedSeq = toldSeq;
    for (const whole of batches) {
      if (whole.lastSeq < toldSeq) continue;
      const isWhole = (whole.deliveries[0] as Delivery).seq > toldSeq;
      if (!isWhole && !parts.has(toldSeq)) parts.set(toldSeq, partAfter(whole, toldSeq));
      const batch = isWhole ? whole : parts.get(toldSeq);
      if (batch === undefined) continue;
      if (!sink.writable) return handedSeq;
      sink.deliver(batch);
      handedSeq = batch.lastSeq;
      this.#options.meter.delivered(batch.deliveries.length);
    }
    return undefined;
  }

  /** In their order: what was forgotten comes before what the same thing became later. */
  #changesAfter(seq: number): Delivery[] {
    if (seq === Number.POSITIVE_INFINITY) return [];
    const gathered = this.#gathered.filter((delivery) => delivery.seq >= seq);
    const recent = [...this.#options.recent.recent(this.filter, seq)];
    return gathered.length === 0 ? recent : [...recent, ...gathered].sort((one, other) => one.seq - other.seq);
  }

  #remove(subscriber: LiveSubscriber): void {
    this.#subscribers.delete(subscriber);
    this.#options.onLeft();
  }

  #closeIfEmpty(): void {
    if (this.#isClosed || this.#subscribers.size > 0) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#options.onEmpty();
  }
}

/** What was forgotten stands where the log ended then: who was told of what changed there was not told of that. */
function partAfter({ deliveries }: Batch, seq: number): Batch | undefined {
  const part = deliveries.filter((delivery) => delivery.seq > seq || (delivery.seq === seq && !delivery.isRecent));
  return part.length === 0 ? undefined : new Batch(part);
}
