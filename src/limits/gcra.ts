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

/** By how much sums of fractions of a millisecond may be off. */
const ROUNDING_MS = 1e-6;

/** Takes `cost` at `now`. A refusal takes nothing; what costs more than the bucket holds is never admitted. */
export function take(state: BucketState, { limit, periodMs }: Rate, cost: number, now: number): Verdict {
  const msPerUnit = periodMs / limit;
  const fullAt = Math.max(state ?? now, now) + cost * msPerUnit;
  const waitMs = fullAt - now - periodMs;
  if (waitMs <= ROUNDING_MS) return { admitted: true, state: fullAt };
  return { admitted: false, retryAfterMs: cost > limit ? Number.POSITIVE_INFINITY : Math.ceil(waitMs - ROUNDING_MS) };
}
