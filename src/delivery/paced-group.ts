/**
 * Live subscribers with equal filters that are told what has changed some times in a second at most, each thing once as it is then.
 *
 * Invariant: every subscriber of the group has been handed all that the group took since it joined, except what is gathered: where
 * nothing is, it has everything up to now.
 */
import type { Filter } from '../contract/filter.ts';
import type { Batch, Delivery, Sink } from './batch.ts';
import type { Group, LiveSubscriber } from './groups.ts';
import { LatestThings } from './latest-things.ts';
import type { SubscriberGroupOptions } from './subscriber-group.ts';

export interface PacedGroupOptions extends SubscriberGroupOptions {
  readonly maxPerSecond: number;
}

/** What a subscriber was handed. */
interface Told {
  /** Everything up to this number. */
  seq: number;
  /** How much of what is gathered came before it joined. */
  since: number;
}

export class PacedGroup implements Group {
  readonly filter: Filter;
  readonly #options: PacedGroupOptions;
  readonly #intervalMs: number;
  readonly #subscribers = new Map<LiveSubscriber, Told>();
  /** What was taken since the last hand-over. */
  #gathered: LatestThings | undefined;
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
    // What has one number stays together: a subscriber goes on behind a number.
    if (this.#gathered?.isFull && this.#gathered.lastSeq !== delivery.seq) this.#handOver();
    if (this.#isClosed) return false;
    this.#gathered ??= this.#gather(delivery.seq - 1);
    this.#gathered.take(delivery);
    return false;
  }

  /** It has its own time. */
  handOver(): void {}

  join(subscriber: LiveSubscriber, seq: number): void {
    this.#subscribers.set(subscriber, { seq, since: this.#gathered?.join() ?? 0 });
  }

  leave(subscriber: LiveSubscriber, seq: number): number | undefined {
    const told = this.#subscribers.get(subscriber);
    if (told === undefined) return undefined;
    this.#remove(subscriber);
    const toldSeq = this.#toldSeq(told, seq);
    this.#closeIfEmpty();
    return toldSeq;
  }

  tellQuiet(notice: Batch, seq: number): void {
    for (const [subscriber, told] of this.#subscribers) if (told.seq <= seq) this.tell(subscriber, notice);
  }

  tell(subscriber: LiveSubscriber, notice: Batch): void {
    const told = this.#subscribers.get(subscriber);
    // While something is to be told the position is not yet the subscriber's.
    if (told === undefined || this.#gathered !== undefined || !subscriber.sink.writable) return;
    subscriber.sink.deliver(notice);
    told.seq = notice.lastSeq;
  }

  interrupt(seq: number): void {
    const all = [...this.#subscribers].map(([subscriber, told]) => ({ subscriber, toldSeq: Math.min(this.#toldSeq(told, seq), seq) }));
    for (const { subscriber } of all) this.#remove(subscriber);
    this.#closeIfEmpty();
    for (const { subscriber, toldSeq } of all) subscriber.onBehind(toldSeq);
  }

  /** Begins to gather what comes after a number: until then nothing came that the subscribers have not been handed. */
  #gather(afterSeq: number): LatestThings {
    const dueMs = Math.max(0, this.#handedOverAt + this.#intervalMs - performance.now());
    this.#timer = setTimeout(() => this.#handOver(), dueMs).unref();
    return new LatestThings(this.filter, afterSeq);
  }

  /** Up to which number a subscriber was handed everything. @param seq up to which everything was given to the group. */
  #toldSeq(told: Told, seq: number): number {
    return this.#gathered === undefined ? seq : Math.max(told.seq, this.#gathered.afterSeq);
  }

  #handOver(): void {
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    clearTimeout(this.#timer);
    this.#handedOverAt = performance.now();
    const behind: { readonly subscriber: LiveSubscriber; readonly toldSeq: number }[] = [];
    for (const [subscriber, told] of this.#subscribers) {
      const batches = gathered.toldSince(told.since, this.#options.batchUnits);
      told.seq = Math.max(told.seq, gathered.afterSeq);
      if (!this.#deliver(subscriber.sink, told, batches)) behind.push({ subscriber, toldSeq: told.seq });
      told.since = 0;
    }
    this.#gathered = undefined;
    for (const { subscriber } of behind) this.#remove(subscriber);
    this.#closeIfEmpty();
    for (const { subscriber, toldSeq } of behind) subscriber.onBehind(toldSeq);
  }

  /** Returns whether its sink could take all of it; `told` has how far it came. */
  #deliver(sink: Sink, told: Told, batches: readonly Batch[]): boolean {
    for (const batch of batches) {
      if (!sink.writable) return false;
      sink.deliver(batch);
      told.seq = batch.lastSeq;
      this.#options.meter.delivered(batch.deliveries.length);
    }
    return true;
  }

  #remove(subscriber: LiveSubscriber): void {
    this.#subscribers.delete(subscriber);
    this.#options.onLeft();
  }

  #closeIfEmpty(): void {
    if (this.#isClosed || this.#subscribers.size > 0) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#gathered = undefined;
    this.#options.onEmpty();
  }
}
