/**
 * Live subscribers with equal filters that are told what has changed some times in a second at most, each thing once as it is then. The
 * group holds nothing of what changes: when it is time it looks up what has changed since the last time.
 */
import type { Filter } from '../contract/filter.ts';
import { Batch, type Delivery } from './batch.ts';
import type { Group, LiveSubscriber, Recent } from './groups.ts';
import type { SubscriberGroupOptions } from './subscriber-group.ts';

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
    if (this.#timer === undefined) {
      const waitMs = Math.max(0, this.#handedOverAt + this.#intervalMs - performance.now());
      this.#timer = setTimeout(() => this.#handOver(), waitMs).unref();
    }
    return false;
  }

  /** It has its own time. */
  handOver(): void {}

  join(subscriber: LiveSubscriber, seq: number): void {
    this.#subscribers.set(subscriber, seq);
  }

  leave(subscriber: LiveSubscriber): void {
    if (this.#subscribers.delete(subscriber)) this.#options.onLeft();
    this.#closeIfEmpty();
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

  #handOver(): void {
    this.#timer = undefined;
    this.#handedOverAt = performance.now();
    const gathered = this.#gathered;
    this.#gathered = [];
    const { recent } = this.#options;
    const { seq } = recent;
    const removed: (readonly [LiveSubscriber, number])[] = [];
    /** By the number behind which it begins: most have the same. */
    const batches = new Map<number, Batch | undefined>();
    for (const [subscriber, toldSeq] of this.#subscribers) {
      if (!subscriber.sink.writable || !recent.covers(toldSeq)) {
        this.#remove(subscriber);
        removed.push([subscriber, toldSeq]);
        continue;
      }
      if (!batches.has(toldSeq)) batches.set(toldSeq, this.#batchAfter(toldSeq, gathered));
      const batch = batches.get(toldSeq);
      if (batch !== undefined) {
        subscriber.sink.deliver(batch);
        this.#options.meter.delivered(batch.deliveries.length);
      }
      this.#subscribers.set(subscriber, seq);
    }
    this.#closeIfEmpty();
    for (const [subscriber, toldSeq] of removed) subscriber.onBehind(toldSeq);
  }

  #batchAfter(seq: number, gathered: readonly Delivery[]): Batch | undefined {
    const deliveries = [...this.#options.recent.recent(this.filter, seq), ...gathered];
    return deliveries.length === 0 ? undefined : new Batch(deliveries);
  }

  #remove(subscriber: LiveSubscriber): void {
    this.#subscribers.delete(subscriber);
    this.#options.onLeft();
  }

  #closeIfEmpty(): void {
    if (this.#subscribers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#options.onEmpty();
  }
}
