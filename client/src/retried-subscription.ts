/** A subscription at the gateway that begins again after each failure that may pass. tRPC's client resumes it after a lost connection. */
import type { Unsubscribable } from '@trpc/server/observable';
import { CourierError, courierErrorFrom } from './errors.ts';
import { type RetryOptions, retryDelayMs, sleep } from './retry.ts';

export interface RetriedSubscriptionOptions {
  readonly retry: RetryOptions;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
  /** Subscribes, and has the subscription tell its end. */
  readonly subscribe: (ends: SubscriptionEnds) => Unsubscribable;
  /** Called with the error that a repetition does not change: it is closed then. */
  readonly onFailed: (error: CourierError) => void;
}

/** What a subscription of tRPC's client calls at its end. */
export interface SubscriptionEnds {
  readonly onError: (thrown: unknown) => void;
  readonly onComplete: () => void;
}

export class RetriedSubscription {
  readonly #options: RetriedSubscriptionOptions;
  readonly #closed = new AbortController();
  #attempt = 0;
  #present: { subscription?: Unsubscribable } | undefined;

  constructor(options: RetriedSubscriptionOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Subscribes; in place of the present subscription where there is one. */
  begin(): void {
    const replaced = this.#present;
    const own: { subscription?: Unsubscribable } = {};
    this.#present = own;
    replaced?.subscription?.unsubscribe();
    // What was replaced may still tell its end.
    const ended = (error: CourierError) => {
      if (this.#present === own) this.#failed(error);
    };
    own.subscription = this.#options.subscribe({
      onError: (thrown) => ended(courierErrorFrom(thrown)),
      onComplete: () => ended(new CourierError('UNREACHABLE', 'the gateway ended the subscription')),
    });
  }

  /** Something came: the next failure is the first of a row. */
  succeeded(): void {
    this.#attempt = 0;
  }

  close(): void {
    if (this.isClosed) return;
    this.#closed.abort();
    const last = this.#present;
    this.#present = undefined;
    last?.subscription?.unsubscribe();
  }

  #failed(error: CourierError): void {
    this.#present = undefined;
    if (!error.retryable) {
      this.close();
      this.#options.onFailed(error);
      return;
    }
    this.#options.onRetry(error);
    const delayMs = retryDelayMs(error, this.#options.retry, this.#attempt);
    this.#attempt += 1;
    sleep(delayMs, this.#closed.signal).then(
      () => this.begin(),
      () => undefined,
    );
  }
}
