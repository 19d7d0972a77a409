/**
 * What `subscribe` returns: a subscription that calls a handler, or an iterator. An error that ends a subscription never becomes an
 * unhandled rejection; where nobody can hear of it, it goes to the console.
 */
import type { Consumer } from './consumer.ts';

export interface Subscription extends Disposable {
  /** The position of the last event that was handled: start another subscription after it. */
  readonly lastEventId: string | undefined;
  /** Resolves once the handler has received every event stored before. Rejects when the subscription ends first. */
  readonly live: Promise<void>;
  /** Resolves when `unsubscribe`, the signal or the client's `close` has ended the subscription; rejects with any error that ended it. */
  readonly ended: Promise<void>;
  unsubscribe(): void;
}

export function subscriptionOf(
  consumer: Consumer,
  handler: (event: never) => unknown,
  onError: ((error: unknown) => void) | undefined,
): Subscription {
  const ended = (async () => {
    for (let event = await consumer.next(); event !== undefined; event = await consumer.next()) {
      try {
        await handler(event as never);
      } catch (error) {
        consumer.abandon(error);
      }
    }
  })();
  let isWatched = false;
  const watched = (promise: Promise<void>) => {
    isWatched = true;
    return promise;
  };
  const report = (error: unknown) => {
    if (!isWatched) console.error('a subscription of Courier has ended', error);
  };
  ended.catch(onError ?? report);
  return {
    get ended() {
      return watched(ended);
    },
    get live() {
      return watched(consumer.live);
    },
    get lastEventId() {
      return consumer.lastEventId;
    },
    unsubscribe: () => consumer.end(),
    [Symbol.dispose]: () => consumer.end(),
  };
}

export class EventIterator<TEvent> implements AsyncIterableIterator<TEvent, undefined, undefined>, AsyncDisposable {
  readonly #consumer: Consumer;

  constructor(consumer: Consumer) {
    this.#consumer = consumer;
  }

  /** The position of the last event that was handled. An event counts as handled when the caller asks for the next one. */
  get lastEventId(): string | undefined {
    return this.#consumer.lastEventId;
  }

  async next(): Promise<IteratorResult<TEvent, undefined>> {
    const event = await this.#consumer.next();
    return event === undefined ? { done: true, value: undefined } : { done: false, value: event as TEvent };
  }

  async return(): Promise<IteratorResult<TEvent, undefined>> {
    this.#consumer.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
