/** Limits that one instance keeps by itself, in memory: buckets, which are forgotten once they are full again, and connections. */
import { bytesInMemory, upTo } from './bytes.ts';
import { type BucketState, levelOf, take } from './gcra.ts';
import type { Charge, Limiter, Outcome, Refusal, Room } from './limiter.ts';

/** What buckets take of memory, at most: those of some 200,000 channels or principals. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_PART = 1 / 16;
/** Buckets that are looked at in one turn of the event loop. */
const BUCKETS_PER_TURN = 1000;

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
  let turn: NodeJS.Immediate | undefined;
  const sweep = setInterval(() => {
    const round = buckets.forgetFull(now());
    const look = () => {
      turn = round.next().done ? undefined : setImmediate(look).unref();
    };
    if (turn === undefined) look();
  }, sweepMs);
  sweep.unref();
  return {
    charge: (charges) => charge(buckets, charges, now()),
    [Symbol.dispose]: () => {
      clearInterval(sweep);
      clearImmediate(turn);
    },
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

  /** Looks at each bucket once, and yields after BUCKETS_PER_TURN of them. What is charged meanwhile need not be looked at. */
  *forgetFull(time: number): Generator<void> {
    let looked = 0;
    // They may change their places meanwhile, and the older may be forgotten as a whole.
    for (const generation of [this.#older, this.#younger]) {
      for (const [key, states] of generation) {
        if (states.every((state) => state === undefined || state <= time)) {
          generation.delete(key);
          if (generation === this.#younger) this.#youngerBytes -= bytesInMemory(key.length);
        }
        looked += 1;
        if (looked % BUCKETS_PER_TURN === 0) yield;
      }
    }
  }
}

export function memoryConnectionCounts(): Room {
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
    count: (principal) => open.get(principal)?.size ?? 0,
    [Symbol.dispose]: () => undefined,
  };
}
