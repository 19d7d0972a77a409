/** Limits that one instance keeps by itself, in memory: buckets, which are forgotten once they are full again, and connections. */
import { bytesInMemory, upTo } from './bytes.ts';
import { type BucketState, levelOf, take } from './gcra.ts';
import type { Charge, ConnectionCounts, Limiter, Outcome, Refusal } from './limiter.ts';

/** What buckets take of memory, at most: those of some 200,000 channels or principals. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_PART = 1 / 16;

export interface MemoryLimiterOptions {
  /** The clock, in ms; it must not jump. */
  readonly now?: () => number;
  /** How often full buckets are looked for, in ms. */
  readonly sweepMs?: number;
  /** What buckets may take of memory. */
  readonly maxBytes?: number;
}

export function memoryLimiter({
  now = () => performance.now(),
  sweepMs = 10_000,
  maxBytes = upTo(MAX_BYTES, MAX_PART),
}: MemoryLimiterOptions = {}): Limiter {
  const buckets = new Buckets(maxBytes);
  const sweep = setInterval(() => buckets.forgetFull(now()), sweepMs);
  sweep.unref();
  return {
    charge: (charges) => charge(buckets, charges, now()),
    [Symbol.dispose]: () => clearInterval(sweep),
  };
}

function charge(buckets: Buckets, charges: readonly Charge[], time: number): Outcome {
  let refusal: Refusal | undefined;
  const taken: BucketState[][] = [];
  for (const [index, { key, rates, cost }] of charges.entries()) {
    const states = buckets.get(key);
    const after: BucketState[] = [];
    for (const [place, rate] of rates.entries()) {
      const verdict = take(states?.[place], rate, cost, time);
      if (verdict.admitted) after.push(verdict.state);
      else if (refusal === undefined || verdict.retryAfterMs > refusal.retryAfterMs)
        refusal = { index, retryAfterMs: verdict.retryAfterMs };
    }
    taken.push(after);
  }
  if (refusal === undefined) for (const [index, { key }] of charges.entries()) buckets.set(key, taken[index] as BucketState[]);
  const levels = charges.map(({ key, rates }) => {
    const states = buckets.get(key);
    return rates.map((rate, place) => levelOf(states?.[place], rate, time));
  });
  return { refusal, levels };
}

/** A state for each rate. */
type States = readonly BucketState[];

/**
 * Buckets by their keys, in two generations: the younger has what was charged since the older was closed. Once the younger has half
 * of the bytes that there are, the older is forgotten, and the younger is the older from then on.
 */
class Buckets {
  readonly #maxBytes: number;
  #younger = new Map<string, States>();
  #older = new Map<string, States>();
  #youngerBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(key: string): States | undefined {
    return this.#younger.get(key) ?? this.#older.get(key);
  }

  set(key: string, states: States): void {
    const before = this.#younger.size;
    this.#younger.set(key, states);
    if (this.#younger.size === before) return;
    this.#older.delete(key);
    this.#youngerBytes += bytesInMemory(key.length);
    if (this.#youngerBytes <= this.#maxBytes / 2) return;
    this.#older = this.#younger;
    this.#younger = new Map();
    this.#youngerBytes = 0;
  }

  forgetFull(time: number): void {
    const isFull = (states: States) => states.every((state) => state === undefined || state <= time);
    for (const [key, states] of this.#older) if (isFull(states)) this.#older.delete(key);
    for (const [key, states] of this.#younger) {
      if (!isFull(states)) continue;
      this.#younger.delete(key);
      this.#youngerBytes -= bytesInMemory(key.length);
    }
  }
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
