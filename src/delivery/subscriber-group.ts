/**
 * Live subscribers with equal filters. An event costs a group one step, however many subscribers it has: the group gathers
 * events for the rest of the turn of the event loop and then hands all of them to each subscriber at once.
 *
 * Invariant: every subscriber of the group has been handed each event that the group took since the subscriber joined, except
 * the events that are gathered now. Before a subscriber joins or leaves, the group hands over what is gathered.
 */
import type { Filter } from '../contract/filter.ts';
import type { Meter } from '../observe/meter.ts';
import { Batch, type Delivery } from './batch.ts';
import type { Group, LiveSubscriber } from './groups.ts';

export interface SubscriberGroupOptions {
  /** UTF-16 units of bodies that are gathered before they are handed over, about. */
  readonly batchUnits: number;
  readonly meter: Meter;
  /** Called once for each subscriber that was removed or has left. */
  readonly onLeft: () => void;
  /** Called once, when the group has no subscribers any more: nobody can join it from then on. */
  readonly onEmpty: () => void;
}

export class SubscriberGroup implements Group {
  readonly filter: Filter;
  readonly #options: SubscriberGroupOptions;
  readonly #subscribers = new Set<LiveSubscriber>();
  #gathered: Delivery[] = [];
  #gatheredUnits = 0;
  /** The `seq` of the last event or notice that was handed to every subscriber. */
  #toldSeq: number;
  /** Subscribers that the present operation has removed, with the number up to which each was handed everything. */
  #removed: { readonly subscriber: LiveSubscriber; readonly seq: number }[] = [];
  #isClosed = false;

  /** @param seq of the last event or notice that its first subscriber was handed. */
  constructor(filter: Filter, seq: number, options: SubscriberGroupOptions) {
    this.filter = filter;
    this.#toldSeq = seq;
    this.#options = options;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  take(delivery: Delivery): boolean {
    // What has one number stays in one batch: a subscriber goes on behind a number.
    if (this.#gatheredUnits >= this.#options.batchUnits && this.#gathered.at(-1)?.seq !== delivery.seq) this.handOver();
    this.#gatheredUnits += delivery.units;
    return this.#gathered.push(delivery) === 1;
  }

  /** Adds the subscriber before the group can close for lack of others: it never joins a closed group, to which no events come. */
  join(subscriber: LiveSubscriber): void {
    this.#handOver();
    this.#subscribers.add(subscriber);
    this.#settle();
  }

  /** Hands over what is gathered, and removes the subscriber if it is still in the group. */
  leave(subscriber: LiveSubscriber, seq: number): number | undefined {
    this.#handOver();
    const isLeaving = this.#subscribers.delete(subscriber);
    if (isLeaving) this.#options.onLeft();
    this.#settle();
    return isLeaving ? seq : undefined;
  }

  /** Hands what is gathered to every subscriber that can take it, and removes the others. */
  handOver(): void {
    this.#handOver();
    this.#settle();
  }

  tellQuiet(notice: Batch, seq: number): void {
    this.#handOver();
    if (this.#toldSeq <= seq) this.#deliver(notice);
    this.#settle();
  }

  tell({ sink }: LiveSubscriber, notice: Batch): void {
    this.handOver();
    if (sink.writable && this.#toldSeq < notice.lastSeq) sink.deliver(notice);
  }

  interrupt(seq: number): void {
    this.#handOver();
    for (const subscriber of this.#subscribers) this.#remove(subscriber, seq);
    this.#settle();
  }

  #handOver(): void {
    if (this.#gathered.length === 0) return;
    const batch = new Batch(this.#gathered);
    this.#gathered = [];
    this.#gatheredUnits = 0;
    this.#options.meter.delivered(this.#deliver(batch) * batch.deliveries.length);
  }

  /** Returns how many subscribers have taken the batch; the others are removed. */
  #deliver(batch: Batch): number {
    const toldBefore = this.#toldSeq;
    this.#toldSeq = batch.lastSeq;
    let taken = 0;
    for (const subscriber of this.#subscribers) {
      if (subscriber.sink.writable) {
        subscriber.sink.deliver(batch);
        taken += 1;
      } else this.#remove(subscriber, toldBefore);
    }
    return taken;
  }

  #remove(subscriber: LiveSubscriber, seq: number): void {
    this.#subscribers.delete(subscriber);
    this.#options.onLeft();
    this.#removed.push({ subscriber, seq });
  }

  /** Ends an operation: closes the group when it is empty. Only then it tells removed subscribers, which may join again at once. */
  #settle(): void {
    if (!this.#isClosed && this.#subscribers.size === 0) {
      this.#isClosed = true;
      this.#options.onEmpty();
    }
    if (this.#removed.length === 0) return;
    const removed = this.#removed;
    this.#removed = [];
    for (const { subscriber, seq } of removed) subscriber.onBehind(seq);
  }
}
