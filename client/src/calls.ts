/** Calls of the gateway: repeated while their errors are retryable, within a time, and then with an error that says whether any was sent. */
import type { TRPCClient } from '@trpc/client';
import type { Connection } from './connection.ts';
import { CourierError, throwCourierError } from './errors.ts';
import type { CallOptions } from './options.ts';
import { attempt, orAborted, type RetryOptions } from './retry.ts';
import type { AppRouter } from './router.ts';

export interface CallsOptions {
  readonly connection: Connection;
  readonly trpc: TRPCClient<AppRouter>;
  readonly retry: RetryOptions;
  /** The time for all attempts of a call that has none of its own. */
  readonly timeoutMs: number;
  /** Forbids further attempts when it aborts. */
  readonly closing: AbortSignal;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
}

export interface ReadyCallOptions extends CallOptions {
  /** What the first attempt waits for; it resolves. */
  readonly ready?: Promise<unknown> | undefined;
  /** Whether to repeat the call, which is so by default; otherwise the caller does. */
  readonly isRepeated?: boolean;
}

export class Calls {
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  get trpc(): TRPCClient<AppRouter> {
    return this.#options.trpc;
  }

  /** The delays between attempts. */
  get retry(): RetryOptions {
    return this.#options.retry;
  }

  /**
   * Makes attempts until one succeeds.
   *
   * @param what names the call in errors.
   * @throws {CourierError} what the gateway answered; UNREACHABLE, TOKEN_UNAVAILABLE or NOT_FOUND when no attempt reached it in time; TIMEOUT when one did, and may
   * have had its effect. Or the signal's reason.
   */
  async attempt<T>(
    what: string,
    { signal, timeoutMs = this.#options.timeoutMs, ready, isRepeated = true }: ReadyCallOptions,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { connection, retry, closing, onRetry } = this.#options;
    let wasReached: (() => boolean) | undefined;
    const once = async (ended: AbortSignal) => {
      if (ready !== undefined) await orAborted(ready, AbortSignal.any([ended, closing]));
      wasReached ??= connection.watch();
      return call(ended).catch(throwCourierError);
    };
    const outOfTime = (last: CourierError | undefined) => {
      if (wasReached !== undefined) return connection.outOfTime(what, timeoutMs, wasReached(), last);
      return new CourierError('UNREACHABLE', `${what}: not sent within ${timeoutMs} ms, as earlier events of a background publisher wait`);
    };
    return attempt(once, { timeoutMs, retry, signal, giveUp: closing, isRepeated, outOfTime, onRetry });
  }
}
