/**
 * The generic cell rate algorithm: a token bucket of which only one number is kept, the time at which it will be full
 * again. In any interval it admits at most `burst + perMs × interval`, wherever the interval begins.
 */

export interface Rate {
  /** What may be taken at once, and how much is refilled in `periodMs`. */
  readonly limit: number;
  readonly periodMs: number;
}

/** When the bucket is full again, in ms on the caller's clock; undefined for a full one. */
export type BucketState = number | undefined;

export type Verdict = { readonly admitted: true; readonly state: number } | { readonly admitted: false; readonly retryAfterMs: number };

/** What is left of a bucket. */
export interface Level {
  /** What may be taken at once. */
  readonly remaining: number;
  /** In how many ms it is full again. */
  readonly fullInMs: number;
}

/** By how much the time of a full bucket may be off in Redis. */
const LEVEL_ROUNDING_MS = 1e-3;
/** By how much sums of fractions of a millisecond may be off. */
const ROUNDING_MS = 1e-6;

/** Takes `cost` at `now`; gives back a negative one. A refusal takes nothing; what costs more than the bucket holds is never admitted. */
export function take(state: BucketState, { limit, periodMs }: Rate, cost: number, now: number): Verdict {
  const msPerUnit = periodMs / limit;
  const fullAt = Math.max(state ?? now, now) + cost * msPerUnit;
  const waitMs = fullAt - now - periodMs;
  if (waitMs <= ROUNDING_MS) return { admitted: true, state: fullAt };
  return { admitted: false, retryAfterMs: cost > limit ? Number.POSITIVE_INFINITY : Math.ceil(waitMs - ROUNDING_MS) };
}

/** What is left at `now`. */
export function levelOf(state: BucketState, rate: Rate, now: number): Level {
  return levelIn((state ?? now) - now, rate);
}

/** What is left of a bucket that is full again in so many ms. */
export function levelIn(fullInMs: number, { limit, periodMs }: Rate): Level {
  const fullIn = Math.max(0, fullInMs);
  const left = ((periodMs - fullIn + LEVEL_ROUNDING_MS) * limit) / periodMs;
  return { remaining: Math.max(0, Math.floor(Math.min(limit, left))), fullInMs: fullIn };
}
