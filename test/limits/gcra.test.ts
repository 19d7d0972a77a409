/** Rates: never more than the burst and what is refilled, wherever an interval begins; and nobody waits in vain. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Charge, Limiter, Outcome } from '../../src/limits/limiter.ts';
import { DEFAULT_LIMITS, parseLimits, ratesOf } from '../../src/limits/limits.ts';
import { memoryLimiter } from '../../src/limits/memory.ts';

const rates = fc.array(fc.record({ limit: fc.integer({ min: 1, max: 50 }), periodMs: fc.constantFrom(1000, 60_000) }), {
  minLength: 1,
  maxLength: 2,
});
/** How long to wait; undefined when it was admitted. */
const refusalOf = (limiter: Limiter, charge: Charge) => (limiter.charge([charge]) as Outcome).refusal?.retryAfterMs;
const requests = fc.array(
  fc.record({ afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 })), cost: fc.integer({ min: 1, max: 5 }) }),
  {
    maxLength: 200,
  },
);

test('admissions in any interval never exceed the burst and what is refilled in it', () => {
  fc.assert(
    fc.property(rates, requests, (limits, sequence) => {
      let time = 0;
      using limiter = memoryLimiter({ now: () => time });
      const admitted: { at: number; cost: number }[] = [];
      for (const { afterMs, cost } of sequence) {
        time += afterMs;
        if (refusalOf(limiter, { key: 'k', rates: limits, cost }) === undefined) admitted.push({ at: time, cost });
      }
      for (const { limit, periodMs } of limits) {
        for (const [first, { at: from }] of admitted.entries()) {
          let sum = 0;
          for (const { at, cost } of admitted.slice(first)) {
            sum += cost;
            expect(sum).toBeLessThanOrEqual(limit + ((at - from) * limit) / periodMs + 1e-6);
          }
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('whoever waits as long as it was told is admitted, and waiting less does not do', () => {
  fc.assert(
    fc.property(rates, requests, (limits, sequence) => {
      let time = 0;
      using limiter = memoryLimiter({ now: () => time });
      for (const { afterMs, cost } of sequence) {
        time += afterMs;
        const charge = { key: 'k', rates: limits, cost };
        const wait = refusalOf(limiter, charge);
        if (wait === undefined) continue;
        if (wait === Number.POSITIVE_INFINITY) {
          expect(cost).toBeGreaterThan(Math.min(...limits.map(({ limit }) => limit)));
          continue;
        }
        const before = time;
        time = before + Number(wait) - 1;
        expect(refusalOf(limiter, charge)).toBeDefined();
        time = before + Number(wait);
        expect(refusalOf(limiter, charge)).toBeUndefined();
      }
    }),
    { numRuns: 300 },
  );
});

test('what is refused by one rate takes nothing of the other', () => {
  let time = 0;
  using limiter = memoryLimiter({ now: () => time });
  const perSecond = { limit: 2, periodMs: 1000 };
  const perMinute = { limit: 3, periodMs: 60_000 };
  const take = () => refusalOf(limiter, { key: 'k', rates: [perSecond, perMinute], cost: 1 });
  expect([take(), take()]).toEqual([undefined, undefined]);
  for (let n = 0; n < 10; n += 1) expect(take()).toBe(500);
  time = 1000;
  expect(take()).toBeUndefined();
  expect(take()).toBe(19_000);
});

test('keys have buckets of their own', () => {
  using limiter = memoryLimiter({ now: () => 0 });
  const only = [{ limit: 1, periodMs: 1000 }];
  expect(refusalOf(limiter, { key: 'a', rates: only, cost: 1 })).toBeUndefined();
  expect(refusalOf(limiter, { key: 'b', rates: only, cost: 1 })).toBeUndefined();
  expect(refusalOf(limiter, { key: 'a', rates: only, cost: 1 })).toBe(1000);
});

test('limits that are given replace the defaults, one by one; null is none', () => {
  const limits = parseLimits('{"user":{"publishPerMinute":null},"gateway":{"connections":5}}');
  expect(limits.user).toEqual({ ...DEFAULT_LIMITS.user, publishPerMinute: null });
  expect(limits.gateway).toEqual({ ...DEFAULT_LIMITS.gateway, connections: 5 });
  expect(limits.service).toEqual(DEFAULT_LIMITS.service);
  expect(ratesOf(limits.user).publish).toEqual([{ limit: 10, periodMs: 1000 }]);
  expect(ratesOf(DEFAULT_LIMITS.user).publish).toHaveLength(2);
});
