/**
 * Counting what principals do against their rates.
 *
 * What every implementation guarantees: for each key and rate, what is admitted in any interval is at most the rate's
 * burst and what is refilled in the interval; a call is charged to all of its rates or to none; one who waits for
 * `retryAfterMs` and is alone is admitted.
 */
import type { Rate } from './gcra.ts';

export interface Charge {
  /** Whose bucket: a principal and what it does, or an address. */
  readonly key: string;
  readonly rates: readonly Rate[];
  readonly cost: number;
}

/** Undefined when it is admitted, else how long to wait in ms; Infinity when it never will be. */
export type RetryAfterMs = number | undefined;

export interface Limiter extends Disposable {
  charge(charge: Charge): RetryAfterMs | Promise<RetryAfterMs>;
}
