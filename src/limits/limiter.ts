/** What counts what principals do against their limits: calls against rates, and connections at once. */
import type { Level, Rate } from './gcra.ts';

export interface Charge {
  /** Whose bucket: a principal and what it does, a channel, or an address. */
  readonly key: string;
  readonly rates: readonly Rate[];
  /** A negative cost gives back what was charged before. */
  readonly cost: number;
  /** Its units are calls of their own, of which fewer may be asked for next: it need not pass as a whole at any time. */
  readonly isOfEach?: boolean;
}

export interface Refusal {
  /** Which of the charges was refused; of several, the one that takes the longest. */
  readonly index: number;
  /** How long to wait; Infinity when it never will be admitted. */
  readonly retryAfterMs: number;
}

/** What came of charges. */
export interface Outcome {
  /** Undefined when they were admitted. */
  readonly refusal: Refusal | undefined;
  /** What is left now, for each charge and each of its rates. */
  readonly levels: readonly (readonly Level[])[];
}

/**
 * Charges calls to rates.
 *
 * What every implementation guarantees: for each key and rate, what is admitted in any interval is at most the rate's
 * burst and what is refilled in the interval; charges of one call, each of another key, are made all or none, to all of their
 * rates; a caller that waits for `retryAfterMs` and is alone is admitted. Its memory has a bound: beyond it the buckets that were
 * not charged for the longest are forgotten.
 */
export interface Limiter extends Disposable {
  charge(charges: readonly Charge[]): Outcome | Promise<Outcome>;
}

/** Counts the connections that principals have at once, by the key of the principal. */
export interface ConnectionCounts extends Disposable {
  /** Counts a connection when fewer than `most` are open. Undefined when it is counted, else how many are. */
  claim(principal: string, connectionId: string, most: number): number | undefined | Promise<number | undefined>;
  /** A connection that was counted is gone; does nothing for one that was not. */
  release(principal: string, connectionId: string): void;
}

/** Counts of one instance, whatever they are of, which can be looked at. */
export interface Room extends ConnectionCounts {
  count(key: string): number | Promise<number>;
}
