/** The subscriptions of one connection, for as long as it may read what they select. */
import { type ChannelSet, includesAll } from '../contract/channels.ts';
import type { Filter } from '../contract/filter.ts';
import type { CourierError } from '../errors.ts';
import { bytesInMemory } from '../limits/bytes.ts';

/** How far the subscriber of a subscription has come. */
export interface SubscriberProgress {
  /** The number after which it began. */
  readonly startSeq: number;
  /** The number up to which everything was handed over. */
  readonly cursor: number;
  /** Tells the client its position, where what it was handed last does not say it. */
  tellPosition(): void;
}

/** What a client asked for, and who serves it. */
export interface Subscription {
  readonly filter: Filter;
  readonly subscriber: SubscriberProgress;
}

interface OwnSubscription extends Subscription {
  readonly onLost: (error: CourierError) => void;
}

/** Bytes that a single channel takes in the indexes beside its name, about. */
const CHANNEL_BYTES = 300;

/** Bytes that the single channels of a subscription take, in the hub's indexes too. */
export function bytesOfChannels({ singles }: ChannelSet): number {
  let bytes = 0;
  for (const channel of singles) bytes += CHANNEL_BYTES + bytesInMemory(channel.length);
  return bytes;
}

export class Subscriptions {
  readonly #all = new Set<OwnSubscription>();

  get list(): readonly Subscription[] {
    return [...this.#all];
  }

  /** Returns the function that removes the subscription. @param onLost called once, when the subscription is ended here. */
  add(filter: Filter, subscriber: SubscriberProgress, onLost: (error: CourierError) => void): () => void {
    const subscription = { filter, subscriber, onLost };
    this.#all.add(subscription);
    return () => this.#all.delete(subscription);
  }

  /** Ends all that select a channel outside of `readable`. */
  endUnreadable(readable: ChannelSet, error: CourierError): void {
    for (const subscription of [...this.#all]) if (!includesAll(readable, subscription.filter.channels)) this.#end(subscription, error);
  }

  endAll(error: CourierError): void {
    for (const subscription of [...this.#all]) this.#end(subscription, error);
  }

  #end(subscription: OwnSubscription, error: CourierError): void {
    this.#all.delete(subscription);
    subscription.onLost(error);
  }
}
