/** Limits that one instance keeps by itself, in memory: buckets, which are forgotten once they are full again, and connections. */
import { type BucketState, take } from './gcra.ts';
import type { Charge, ConnectionCounts, Limiter, RetryAfterMs } from './limiter.ts';

export interface MemoryLimiterOptions {
  /** The clock, in ms; it must not jump. */
  readonly now?: () => number;
  /** How often full buckets are looked for, in ms. */
  readonly sweepMs?: number;
}

export function memoryLimiter({ now = () => performance.now(), sweepMs = 10_000 }: MemoryLimiterOptions = {}): Limiter {
  /** By key, a state for each rate. */
  const buckets = new Map<string, BucketState[]>();
  const sweep = setInterval(() => {
    const time = now();
    for (const [key, states] of buckets) if (states.every((state) => state === undefined || state <= time)) buckets.delete(key);
  }, sweepMs);
  sweep.unref();
  const charge = ({ key, rates, cost }: Charge): RetryAfterMs => {
    const time = now();
    const states = buckets.get(key);
    const verdicts = rates.map((rate, index) => take(states?.[index], rate, cost, time));
    const waits = verdicts.flatMap((verdict) => (verdict.admitted ? [] : [verdict.retryAfterMs]));
    if (waits.length > 0) return Math.max(...waits);
    buckets.set(
      key,
      verdicts.flatMap((verdict) => (verdict.admitted ? [verdict.state] : [])),
    );
    return undefined;
  };
  return {
    charge,
    [Symbol.dispose]: () => clearInterval(sweep),
  };
}

export function memoryConnectionCounts(): ConnectionCounts {
  const open = new Map<string, Set<string>>();
  return {
    claim: (principal, id, most) => {
      const own = open.get(principal) ?? new Set();
      if (own.size >= most) return own.size;
      open.set(principal, own.add(id));
      return undefined;
    },
    release: (principal, id) => {
      const own = open.get(principal);
      if (own?.delete(id) && own.size === 0) open.delete(principal);
    },
    [Symbol.dispose]: () => undefined,
  };
}
