/** What counts what principals do against their limits: calls against rates, and connections at once. */
import type { Rate } from './gcra.ts';

export interface Charge {
  /** Whose bucket: a principal and what it does, or an address. */
  readonly key: string;
  readonly rates: readonly Rate[];
  readonly cost: number;
}

/** Undefined when it is admitted, else how long to wait in ms; Infinity when it never will be. */
export type RetryAfterMs = number | undefined;

/**
 * Charges calls to rates.
 *
 * What every implementation guarantees: for each key and rate, what is admitted in any interval is at most the rate's
 * burst and what is refilled in the interval; a call is charged to all of its rates or to none; a caller that waits for
 * `retryAfterMs` and is alone is admitted.
 */
export interface Limiter extends Disposable {
  charge(charge: Charge): RetryAfterMs | Promise<RetryAfterMs>;
}

/** Counts the connections that principals have at once, by the key of the principal. */
export interface ConnectionCounts extends Disposable {
  /** Counts a connection when fewer than `most` are open. Undefined when it is counted, else how many are. */
  claim(principal: string, connectionId: string, most: number): number | undefined | Promise<number | undefined>;
  /** A connection that was counted is gone; does nothing for one that was not. */
  release(principal: string, connectionId: string): void;
}
