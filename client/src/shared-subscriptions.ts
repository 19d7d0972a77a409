/**
 * The subscriptions that the client has at the gateway. Consumers with equal filters that start at the present share one. A
 * consumer that starts in the past has one of its own; once that is live, others may join it.
 */
import type { TRPCClient } from '@trpc/client';
import type { Unsubscribable } from '@trpc/server/observable';
import { asWritten } from './as-written.ts';
import type { Consumer, Received } from './consumer.ts';
import type { EventType } from './contract.ts';
import type { CourierError } from './errors.ts';
import { type Filter, filterKey } from './filter.ts';
import { WAITS_WHEN_REFUSED } from './links.ts';
import { RetriedSubscription, type SubscriptionEnds } from './retried-subscription.ts';
import type { RetryOptions } from './retry.ts';
import type { AppRouter } from './router.ts';

export interface SharedSubscriptionOptions {
  readonly trpc: TRPCClient<AppRouter>;
  readonly retry: RetryOptions;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
}

export class SharedSubscriptions {
  readonly #options: SharedSubscriptionOptions;
  /** By filter key: the subscriptions that another consumer may join. */
  readonly #shared = new Map<string, SharedSubscription>();

  constructor(options: SharedSubscriptionOptions) {
    this.#options = options;
  }

  /** Gives `consumer` the events after the last event that it has received. Returns the function that detaches it. */
  attach(consumer: Consumer): () => void {
    const key = filterKey(consumer.filter);
    const subscription = (consumer.lastReceivedId === undefined && this.#shared.get(key)) || this.#open(key, consumer);
    subscription.add(consumer);
    return () => subscription.remove(consumer);
  }

  #open(key: string, { filter, lastReceivedId }: Consumer): SharedSubscription {
    const share = () => {
      // A consumer that asks for the oldest event must receive it from a subscription of its own.
      if (filter.from === 'now' && !this.#shared.has(key)) this.#shared.set(key, subscription);
    };
    const subscription = new SharedSubscription(this.#options, filter, lastReceivedId, {
      onLive: share,
      onClosed: () => {
        if (this.#shared.get(key) === subscription) this.#shared.delete(key);
      },
    });
    if (lastReceivedId === undefined) share();
    return subscription;
  }
}

class SharedSubscription {
  readonly #options: SharedSubscriptionOptions;
  readonly #filter: Filter;
  readonly #on: { readonly onLive: () => void; readonly onClosed: () => void };
  readonly #consumers = new Set<Consumer>();
  readonly #subscription: RetriedSubscription;
  #lastEventId: string | undefined;
  #isLive = false;

  constructor(
    options: SharedSubscriptionOptions,
    filter: Filter,
    lastEventId: string | undefined,
    on: { onLive: () => void; onClosed: () => void },
  ) {
    this.#options = options;
    this.#filter = filter;
    this.#lastEventId = lastEventId;
    this.#on = on;
    this.#subscription = new RetriedSubscription({
      ...options,
      subscribe: (ends) => this.#subscribe(ends),
      onFailed: (error) => this.#failed(error),
    });
    this.#subscription.begin();
  }

  add(consumer: Consumer): void {
    this.#consumers.add(consumer);
    // The other consumers received `courier.live` before; this one has missed no event that it asked for.
    if (this.#isLive && this.#lastEventId !== undefined) consumer.push(liveAt(this.#lastEventId));
  }

  remove(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    if (this.#consumers.size > 0 || this.#subscription.isClosed) return;
    this.#on.onClosed();
    this.#subscription.close();
  }

  #subscribe(ends: SubscriptionEnds): Unsubscribable {
    const { channels, types, from } = this.#filter;
    const input = {
      channels: [...channels],
      types: types as EventType[] | undefined,
      from,
      ...(this.#lastEventId !== undefined && { lastEventId: this.#lastEventId }),
    };
    return this.#options.trpc.events.subscribe.subscribe(input, {
      ...ends,
      context: WAITS_WHEN_REFUSED,
      onData: ({ id, data }) => {
        this.#subscription.succeeded();
        this.#lastEventId = id;
        if (data.type === 'courier.live') this.#live();
        for (const consumer of [...this.#consumers]) consumer.push(data);
      },
      onConnectionStateChange: ({ state }) => {
        // A consumer that joined now would receive events that others missed, from before it joined.
        if (state !== 'connecting' || !this.#isLive) return;
        this.#isLive = false;
        this.#on.onClosed();
      },
    });
  }

  #live(): void {
    if (this.#isLive) return;
    this.#isLive = true;
    this.#on.onLive();
  }

  #failed(error: CourierError): void {
    this.#on.onClosed();
    for (const consumer of [...this.#consumers]) consumer.fail(asWritten(error, this.#filter, consumer.written));
  }
}

function liveAt(position: string): Received {
  return {
    id: position,
    channel: 'courier',
    type: 'courier.live',
    metadata: { timestamp: new Date(), source: 'courier' },
    data: { position, replayed: 0 },
  };
}
