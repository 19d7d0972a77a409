/** Charges of a worker, those of one step of the event loop together: a list of texts and numbers costs a fraction of what objects cost. */
import type { Level, Rate } from '../limits/gcra.ts';
import type { Charge, Limiter, Outcome } from '../limits/limiter.ts';

/** The calls one after another, each with how many charges it has, and these with their rates. */
export type PackedCharges = (string | number | boolean)[];
/** The outcomes one after another: which charge was refused (or ADMITTED), how long to wait, and the levels in the order of the rates. */
export type PackedOutcomes = number[];

const ADMITTED = -1;

interface Waiting {
  readonly charges: readonly Charge[];
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** @param ask has charges made, and resolves to their outcomes. */
export function linkedLimiter(ask: (packed: PackedCharges) => Promise<PackedOutcomes>): Limiter {
  let waiting: Waiting[] = [];
  const flush = () => {
    const together = waiting;
    waiting = [];
    ask(pack(together)).then(
      (packed) => settle(together, packed),
      (error: unknown) => {
        for (const { reject } of together) reject(error);
      },
    );
  };
  return {
    charge: (charges) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) queueMicrotask(flush);
        waiting.push({ charges, resolve, reject });
      }),
    [Symbol.dispose]: () => undefined,
  };
}

function pack(calls: readonly Waiting[]): PackedCharges {
  const packed: PackedCharges = [];
  for (const { charges } of calls) {
    packed.push(charges.length);
    for (const { key, cost, isOfEach = false, rates } of charges) {
      packed.push(key, cost, isOfEach, rates.length);
      for (const { limit, periodMs } of rates) packed.push(limit, periodMs);
    }
  }
  return packed;
}

function settle(calls: readonly Waiting[], packed: PackedOutcomes): void {
  let at = 0;
  for (const { charges, resolve } of calls) {
    const [index, retryAfterMs] = [packed[at], packed[at + 1]] as [number, number];
    at += 2;
    const levels = charges.map(({ rates }) =>
      rates.map((): Level => {
        at += 2;
        return { remaining: packed[at - 2] as number, fullInMs: packed[at - 1] as number };
      }),
    );
    resolve({ refusal: index === ADMITTED ? undefined : { index, retryAfterMs }, levels });
  }
}

/** Makes the charges of a worker. */
export function chargePacked(limiter: Limiter, packed: PackedCharges): PackedOutcomes {
  const outcomes: PackedOutcomes = [];
  for (let at = 0; at < packed.length; ) {
    const charges: Charge[] = [];
    const count = packed[at++] as number;
    for (; charges.length < count; ) {
      const [key, cost, isOfEach, rateCount] = packed.slice(at, at + 4) as [string, number, boolean, number];
      at += 4;
      const rates: Rate[] = [];
      for (; rates.length < rateCount; at += 2) rates.push({ limit: packed[at] as number, periodMs: packed[at + 1] as number });
      charges.push({ key, cost, isOfEach, rates });
    }
    const { refusal, levels } = limiter.charge(charges) as Outcome;
    outcomes.push(refusal?.index ?? ADMITTED, refusal?.retryAfterMs ?? 0);
    for (const own of levels) for (const { remaining, fullInMs } of own) outcomes.push(remaining, fullInMs);
  }
  return outcomes;
}
