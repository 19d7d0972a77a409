/** Live subscribers with equal filters, whom the hub serves together. */
import type { Filter } from '../contract/filter.ts';
import type { Batch, Delivery, Sink } from './batch.ts';

/** What a group needs of a subscriber. */
export interface LiveSubscriber {
  readonly sink: Sink;
  /**
   * The group has removed it: its sink was full, or the sequence jumped. Everything up to `seq` has been handed to it, nothing after;
   * it must go back to what is stored.
   */
  onBehind(seq: number): void;
}

export interface Group {
  readonly filter: Filter;
  /** Subscribers. */
  readonly size: number;
  /** Takes what its filter selects, in sequence order. Returns whether it is to be asked to hand over in this turn of the event loop. */
  take(delivery: Delivery): boolean;
  /** Hands over what it has taken. */
  handOver(): void;
  /** @param seq up to which the subscriber was handed everything. */
  join(subscriber: LiveSubscriber, seq: number): void;
  /**
   * Removes the subscriber if it is still in the group. Returns up to which number everything was handed to it; undefined where it was
   * removed before, and told so.
   *
   * @param seq up to which everything was given to the group.
   */
  leave(subscriber: LiveSubscriber, seq: number): number | undefined;
  /**
   * Tells every subscriber its position, unless something was handed over after `seq`. One that cannot take the notice is removed, and
   * is told its position when it comes back.
   */
  tellQuiet(notice: Batch, seq: number): void;
  /** Tells one subscriber its position, unless what was handed over last says it. */
  tell(subscriber: LiveSubscriber, notice: Batch): void;
  /** The sequence jumped: what comes after `seq` was not passed on. Removes every subscriber. */
  interrupt(seq: number): void;
}
