/** Calls of the gateway: repeated while their errors are retryable, within a time, and then with an error that says whether any was sent. */
import type { TRPCClient } from '@trpc/client';
import type { Connection } from './connection.ts';
import { CourierError, throwCourierError } from './errors.ts';
import type { CallOptions } from './options.ts';
import { attempt, type Ending, orAborted, type RetryOptions } from './retry.ts';
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
  /** Whether anything of the call was sent, where that is not as soon as the gateway is reached. */
  readonly wasSent?: () => boolean;
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

  /** Tells of what a caller will try again by itself, each reason once. */
  tellRetried(errors: readonly (CourierError | undefined)[]): void {
    const told = new Set<string>();
    for (const error of errors) {
      const reason = `${error?.code} ${error?.channel}`;
      if (error?.retryable && !told.has(reason) && !this.#options.closing.aborted) this.#options.onRetry(error);
      told.add(reason);
    }
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
    { signal, timeoutMs = this.#options.timeoutMs, ready, isRepeated = true, wasSent = () => true }: ReadyCallOptions,
    call: (ending: Ending) => Promise<T>,
  ): Promise<T> {
    const { connection, retry, closing, onRetry } = this.#options;
    let wasReached: (() => boolean) | undefined;
    const once = async (ending: Ending) => {
      if (ready !== undefined) await orAborted(ready, AbortSignal.any([ending.signal, closing]));
      wasReached ??= connection.watch();
      return call(ending).catch(throwCourierError);
    };
    const outOfTime = (last: CourierError | undefined) => {
      const isReached = wasReached?.();
      if (isReached !== undefined && (!isReached || wasSent())) return connection.outOfTime(what, timeoutMs, isReached, last);
      const earlier = isReached === undefined ? 'earlier events of a background publisher wait' : 'earlier publishes have no answer yet';
      const hint = 'give it more time, or publish less at once';
      return new CourierError('UNREACHABLE', `${what}: not sent within ${timeoutMs} ms, as ${earlier}`, { cause: last, hint });
    };
    return attempt(once, { timeoutMs, retry, signal, giveUp: closing, isRepeated, outOfTime, onRetry });
  }
}
