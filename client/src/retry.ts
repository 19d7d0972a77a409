/** When to try again: full jitter, so that clients that were cut off together do not come back together. */
import { CourierError } from './errors.ts';

export interface RetryOptions {
  /** The first delay is between 0 and this; it doubles with every attempt. */
  readonly minDelayMs: number;
  /** No delay is longer. */
  readonly maxDelayMs: number;
  /** What a gateway that said "after a delay" is left alone, at least. */
  readonly busyDelayMs: number;
}

export const RETRY_DEFAULTS: RetryOptions = { minDelayMs: 250, maxDelayMs: 30_000, busyDelayMs: 1000 };

/** The delay before an attempt, in ms. @param attempt counts from 0. */
export function jitter({ minDelayMs, maxDelayMs }: RetryOptions, attempt: number): number {
  return Math.random() * Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempt, 30));
}

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Rejects with the signal's reason when it aborts before `promise` settles. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

export interface AttemptOptions {
  readonly retry: RetryOptions;
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** Ends it; the promise rejects with its reason. */
  readonly signal: AbortSignal | undefined;
  /** No further attempt is made once it aborts; the one that is running may finish. */
  readonly giveUp: AbortSignal;
  /** What is tried, for errors. */
  readonly what: string;
  /** Why nothing can be sent at the moment. */
  readonly obstacle: () => CourierError | undefined;
  /** Told of failures that are tried again. */
  readonly onRetry: (error: CourierError) => void;
}

/**
 * Calls until it succeeds, as long as what it fails with may pass.
 *
 * @param call makes one attempt; it must hear the signal, and fail with CourierErrors.
 * @throws {CourierError} what cannot pass, or not in time; TIMEOUT, with why nothing was sent or the last failure as its cause. Or a signal's reason.
 */
export async function attempt<T>(call: (signal: AbortSignal) => Promise<T>, options: AttemptOptions): Promise<T> {
  const { retry, timeoutMs, giveUp, what, obstacle, onRetry } = options;
  const deadline = performance.now() + timeoutMs;
  const timeout = new AbortController();
  let last: CourierError | undefined;
  const timer = setTimeout(() => {
    const cause = obstacle() ?? last;
    const why = cause === undefined ? '' : `: ${cause.message}`;
    timeout.abort(new CourierError('TIMEOUT', `${what}: no answer within ${timeoutMs} ms${why}`, { cause }));
  }, timeoutMs);
  const signal = options.signal === undefined ? timeout.signal : AbortSignal.any([options.signal, timeout.signal]);
  const mayWait = AbortSignal.any([signal, giveUp]);
  try {
    for (let count = 0; ; count += 1) {
      mayWait.throwIfAborted();
      try {
        return await orAborted(call(signal), signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof CourierError) || !error.retryable) throw error;
        last = error;
        const delayMs = (error.retryAfterMs ?? 0) + jitter(retry, count);
        // What cannot be tried again in time is not waited for.
        if (performance.now() + delayMs >= deadline) throw error;
        if (!giveUp.aborted) onRetry(error);
        await sleep(delayMs, mayWait);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
