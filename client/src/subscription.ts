/**
 * What `subscribe` returns: a subscription that calls a handler, or an iterator. An error that ends a subscription never becomes an
 * unhandled rejection. Without `onError` it goes to the console, unless somebody waits for `ended`, or was given a `live` that is pending.
 */
import { causedBy } from './cause.ts';
import type { Consumer } from './consumer.ts';
import { callUser } from './observable.ts';

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
  const ended = new HeardPromise(handleAll(consumer, handler));
  let isLiveGiven = false;
  let isLive = false;
  consumer.live.then(
    () => {
      isLive = true;
    },
    () => undefined,
  );
  const report = (error: unknown) => {
    const isHeard = ended.isHeard || (isLiveGiven && !isLive);
    if (!isHeard) console.error('a subscription of Courier has ended', error);
  };
  ended.failed(onError === undefined ? report : (error) => callUser(() => onError(error)));
  return {
    ended,
    get live() {
      isLiveGiven = true;
      return consumer.live;
    },
    get lastEventId() {
      return consumer.lastEventId;
    },
    unsubscribe: () => consumer.end(),
    [Symbol.dispose]: () => consumer.end(),
  };
}

async function handleAll(consumer: Consumer, handler: (event: never) => unknown): Promise<void> {
  for (let event = await consumer.next(); event !== undefined; event = await consumer.next()) {
    const received = event;
    try {
      await causedBy(received, () => handler(received as never));
    } catch (error) {
      consumer.abandon(error);
    }
  }
}

/** A promise that knows whether anybody waits for it. */
class HeardPromise extends Promise<void> {
  isHeard = false;

  constructor(promise: Promise<void>) {
    super((resolve) => resolve(promise));
  }

  /** What `then` returns is no promise of this kind. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // biome-ignore lint/suspicious/noThenProperty: await, catch and finally call it
  override then: Promise<void>['then'] = (...args) => {
    this.isHeard = true;
    return super.then(...args);
  };

  /** Calls `listener` with the error, which does not count as somebody who waits. */
  failed(listener: (error: unknown) => void): void {
    super.then(undefined, listener);
  }
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
