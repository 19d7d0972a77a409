/** The limiter of one instance: the guarantees of every limiter, and a bound of its memory. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { memoryConnectionCounts, memoryLimiter } from '../../src/limits/memory.ts';
import { describeCounts } from '../contracts/counts.ts';
import { describeLimiter } from '../contracts/limiter.ts';

describeLimiter('memory', {
  open: async () => {
    const limiter = memoryLimiter();
    return { ...limiter, [Symbol.asyncDispose]: async () => limiter[Symbol.dispose]() };
  },
});

describeCounts('memory', {
  shared: false,
  factory: () => ({ open: async () => memoryConnectionCounts(), [Symbol.asyncDispose]: async () => undefined }),
});

const hourly = [{ limit: 1, periodMs: 3_600_000 }];
const MIB = 1024 * 1024;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of the heap that something is in. */
function heldBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test('channels without end take no more memory than there is, and those that are charged again and again are kept', () => {
  using limiter = memoryLimiter({ maxBytes: 2 * MIB });
  const publish = (channel: string, cost = 1) => limiter.charge([{ key: `channel:${channel}`, rates: hourly, cost }]);
  publish('global');
  const before = heldBytes();
  for (let n = 0; n < 200_000; n += 1) {
    publish(`backtest.${n}`);
    if (n % 1000 === 0) publish('global', 0);
  }
  expect(heldBytes() - before).toBeLessThan(4 * MIB);
  expect(publish('global')).toMatchObject({ refusal: { index: 0 } });
  expect(publish('backtest.199999')).toMatchObject({ refusal: { index: 0 } });
  expect(publish('backtest.0')).toMatchObject({ refusal: undefined });
});

test('full buckets are forgotten in a while, and others are kept', async () => {
  let time = 0;
  using limiter = memoryLimiter({ now: () => time, sweepMs: 20 });
  const charge = (key: string, periodMs: number) => limiter.charge([{ key, rates: [{ limit: 1, periodMs }], cost: 1 }]);
  for (const key of ['first', 'last']) {
    charge(key, 3_600_000);
    if (key === 'first') for (let n = 0; n < 100_000; n += 1) charge(`channel:${n}`, 10);
  }
  const before = heldBytes();
  time = 1000;
  await expect.poll(() => before - heldBytes(), { interval: 200, timeout: 20_000 }).toBeGreaterThan(6 * MIB);
  for (const key of ['first', 'last']) expect(charge(key, 3_600_000)).toMatchObject({ refusal: { index: 0 } });
});
