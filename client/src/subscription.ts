/** What a subscriber holds in its hands: a subscription that calls a handler, or an iterator. */
import type { Consumer } from './consumer.ts';

export interface Subscription extends Disposable {
  /** The last event that was handled: begin another subscription after it. */
  readonly lastEventId: string | undefined;
  /** Resolves once everything that was stored before has been given. Rejects when the subscription ends before. */
  readonly live: Promise<void>;
  /** Resolves when the subscription was ended by `unsubscribe`, its signal or the client's `close`; rejects with what else ended it. */
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
  if (onError !== undefined) ended.catch(onError);
  return {
    ended,
    live: consumer.live,
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

  /** The last event that was handled, which the one given last is when the next is asked for. */
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
