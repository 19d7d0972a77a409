/** What every limiter guarantees, whatever keeps its buckets. */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Charge, Limiter, Outcome } from '../../src/limits/limiter.ts';

export interface LimiterFactory {
  open(): Promise<Limiter & AsyncDisposable>;
}

/** So long that nothing is refilled while a test runs. */
const HOUR_MS = 3_600_000;
const hourly = (limit: number) => [{ limit, periodMs: HOUR_MS }];

export function describeLimiter(name: string, factory: LimiterFactory): void {
  describe(`${name} as a limiter`, () => {
    const charge = async (limiter: Limiter, ...charges: Charge[]): Promise<Outcome> => limiter.charge(charges);
    const remaining = ({ levels }: Outcome) => levels.map((own) => own.map((level) => level.remaining));

    test('tells after each charge what is left of every rate', async () => {
      await using limiter = await factory.open();
      const rates = [...hourly(10), { limit: 5000, periodMs: 2 * HOUR_MS }];
      const key = randomUUID();
      for (let taken = 1; taken <= 10; taken += 1) {
        const outcome = await charge(limiter, { key, rates, cost: 1 });
        expect([outcome.refusal, remaining(outcome)]).toEqual([undefined, [[10 - taken, 5000 - taken]]]);
        const [fullInMs = 0] = outcome.levels[0]?.map((level) => level.fullInMs) ?? [];
        expect(fullInMs).toBeGreaterThan((taken * HOUR_MS) / 10 - 60_000);
        expect(fullInMs).toBeLessThanOrEqual((taken * HOUR_MS) / 10);
      }
      const refused = await charge(limiter, { key, rates, cost: 1 });
      expect([refused.refusal?.index, remaining(refused)]).toEqual([0, [[0, 4990]]]);
    });

    test('charges several keys or none of them, and names the one that refuses', async () => {
      await using limiter = await factory.open();
      const [one, other] = [randomUUID(), randomUUID()];
      const both = (cost: number) => charge(limiter, { key: one, rates: hourly(9), cost }, { key: other, rates: hourly(5), cost });
      expect(remaining(await both(3))).toEqual([[6], [2]]);
      const refused = await both(3);
      expect([refused.refusal?.index, remaining(refused)]).toEqual([1, [[6], [2]]]);
      expect(refused.refusal?.retryAfterMs).toBeGreaterThan(HOUR_MS / 5 - 60_000);
      expect((await both(6)).refusal).toEqual({ index: 1, retryAfterMs: Number.POSITIVE_INFINITY });
      expect(remaining(await both(2))).toEqual([[4], [0]]);
    });

    test('takes back what is given back, and never more than the bucket holds', async () => {
      await using limiter = await factory.open();
      const key = randomUUID();
      const take = (cost: number) => charge(limiter, { key, rates: hourly(5), cost });
      expect(remaining(await take(4))).toEqual([[1]]);
      expect(remaining(await take(-3))).toEqual([[4]]);
      expect(remaining(await take(4))).toEqual([[0]]);
      expect((await take(1)).refusal).toBeDefined();
      expect(remaining(await take(-100))).toEqual([[5]]);
      expect(remaining(await take(1))).toEqual([[4]]);
    });

    test('admits no more than the limit of what comes at once', async () => {
      await using limiter = await factory.open();
      const key = randomUUID();
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => charge(limiter, { key, rates: hourly(20), cost: 1 })));
      expect(outcomes.filter(({ refusal }) => refusal === undefined)).toHaveLength(20);
    });

    test('keeps a thousand channels of one call apart', async () => {
      await using limiter = await factory.open();
      const run = randomUUID();
      const charges = Array.from({ length: 500 }, (_, index) => ({
        key: `${run}:${index}`,
        rates: [...hourly(2), { limit: 3, periodMs: 2 * HOUR_MS }],
        cost: 1,
      }));
      expect(remaining(await charge(limiter, ...charges))).toEqual(charges.map(() => [1, 2]));
    });
  });
}
