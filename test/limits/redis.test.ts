/** Limits that instances keep together: the same bound as one would keep, and a share of it each while Redis is away. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { startRedis } from '../../scripts/servers.ts';
import type { Charge, Limiter } from '../../src/limits/limiter.ts';
import { memoryConnectionCounts, memoryLimiter } from '../../src/limits/memory.ts';
import { redisConnectionCounts, redisLimiter } from '../../src/limits/redis.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { describeCounts } from '../contracts/counts.ts';
import { describeLimiter } from '../contracts/limiter.ts';

const SECOND = { limit: 10, periodMs: 1000 };
const HOUR = { limit: 10, periodMs: 3_600_000 };

/** How long to wait; undefined when it was admitted. */
async function refusalOf(limiter: Limiter | undefined, charge: Charge): Promise<number | undefined> {
  return (await limiter?.charge([charge]))?.refusal?.retryAfterMs;
}

async function limiters(url: string, count: number) {
  const stack = new AsyncDisposableStack();
  const namespace = randomUUID();
  const all = [];
  for (let n = 0; n < count; n += 1) {
    const redis = stack.use(await RedisConnection.open(url, namespace));
    all.push(stack.use(redisLimiter(redis, memoryLimiter(), () => count)));
  }
  return { all, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describeLimiter('Redis', {
  open: async () => {
    const own = await limiters(inject('redisUrl'), 1);
    return { ...(own.all[0] as Limiter), [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() };
  },
});

describeLimiter('the fallback of one instance without Redis', {
  open: async () => {
    const redis = { ready: false } as RedisConnection;
    const limiter = redisLimiter(redis, memoryLimiter(), () => 1);
    return { ...limiter, [Symbol.asyncDispose]: async () => limiter[Symbol.dispose]() };
  },
});

describeCounts('Redis', {
  shared: true,
  factory: () => {
    const namespace = randomUUID();
    const stack = new AsyncDisposableStack();
    return {
      open: async () => {
        const redis = stack.use(await RedisConnection.open(inject('redisUrl'), namespace));
        return stack.use(redisConnectionCounts(redis, memoryConnectionCounts(), () => 2));
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});

test('together they admit what one bucket would', async () => {
  await using pair = await limiters(inject('redisUrl'), 2);
  const charge = { key: 'publish:ada', rates: [HOUR], cost: 1 };
  const verdicts = await Promise.all(Array.from({ length: 30 }, (_, index) => refusalOf(pair.all[index % 2], charge)));
  expect(verdicts.filter((verdict) => verdict === undefined)).toHaveLength(10);
  for (const verdict of verdicts.filter((one) => one !== undefined)) {
    expect(verdict).toBeGreaterThan(300_000);
    expect(verdict).toBeLessThanOrEqual(360_000);
  }
  expect(await refusalOf(pair.all[0], { ...charge, key: 'publish:eve', cost: 11 })).toBe(Number.POSITIVE_INFINITY);
  expect(await refusalOf(pair.all[0], { ...charge, key: 'publish:eve', cost: 10 })).toBeUndefined();
});

test('a charge that one of its rates refuses is charged to none', async () => {
  await using pair = await limiters(inject('redisUrl'), 1);
  const [limiter] = pair.all;
  const narrow = { limit: 2, periodMs: 3_600_000 };
  const both = { key: 'publish:ada', rates: [HOUR, narrow], cost: 1 };
  expect(await Promise.all([both, both, both].map((charge) => refusalOf(limiter, charge)))).toEqual([
    undefined,
    undefined,
    expect.any(Number),
  ]);
  expect(await refusalOf(limiter, { key: 'publish:ada', rates: [HOUR], cost: 8 })).toBeUndefined();
  expect(await refusalOf(limiter, { key: 'publish:ada', rates: [HOUR], cost: 1 })).toBeDefined();
});

test('who waits as long as told is admitted', async () => {
  await using pair = await limiters(inject('redisUrl'), 1);
  const [limiter] = pair.all;
  const charge = { key: 'query:ada', rates: [SECOND], cost: 10 };
  expect(await refusalOf(limiter, charge)).toBeUndefined();
  const retryAfterMs = (await refusalOf(limiter, { ...charge, cost: 5 })) ?? Number.NaN;
  expect(retryAfterMs).toBeLessThanOrEqual(500);
  await wait(retryAfterMs);
  expect(await refusalOf(limiter, { ...charge, cost: 5 })).toBeUndefined();
});

test('while Redis is away each admits its share', { timeout: 60_000 }, async () => {
  await using redis = await startRedis();
  await using pair = await limiters(redis.url, 2);
  await redis.kill();
  const charge = { key: 'publish:ada', rates: [HOUR], cost: 1 };
  const verdicts = await Promise.all(Array.from({ length: 30 }, (_, index) => refusalOf(pair.all[index % 2], charge)));
  expect(verdicts.filter((verdict) => verdict === undefined)).toHaveLength(10);
  // What is more than the limit of all together never passes; what is more than a share does.
  expect(await refusalOf(pair.all[0], { ...charge, key: 'publish:eve', cost: 11 })).toBe(Number.POSITIVE_INFINITY);
  expect(await refusalOf(pair.all[0], { ...charge, key: 'publish:eve', cost: 9 })).toBeUndefined();
  // Of calls of their own no more than the share.
  expect(await refusalOf(pair.all[0], { ...charge, key: 'publish:bob', cost: 6, isOfEach: true })).toBe(Number.POSITIVE_INFINITY);
  expect(await refusalOf(pair.all[0], { ...charge, key: 'publish:bob', cost: 5, isOfEach: true })).toBeUndefined();
});

test('connections of an instance that crashed are forgotten, those of others are not', async () => {
  const namespace = randomUUID();
  await using mine = await RedisConnection.open(inject('redisUrl'), namespace);
  await using other = await RedisConnection.open(inject('redisUrl'), namespace);
  using counts = redisConnectionCounts(mine, memoryConnectionCounts(), () => 2);
  using others = redisConnectionCounts(other, memoryConnectionCounts(), () => 2);
  expect(await counts.claim('ada', 'a', 2)).toBeUndefined();
  expect(await others.claim('ada', 'b', 2)).toBeUndefined();
  expect(await counts.claim('ada', 'c', 2)).toBe(2);
  others.release('ada', 'never claimed');
  expect(await others.claim('ada', 'c', 2)).toBe(2);
  // As if the lease of an instance that is gone had ended.
  await mine.send(['ZADD', mine.key('connections:ada'), '1', 'b']);
  expect(await counts.claim('ada', 'c', 2)).toBeUndefined();
  counts.release('ada', 'a');
  await expect.poll(() => mine.send(['ZCARD', mine.key('connections:ada')])).toBe(1);
});

test('a Redis that has lost its memory is told again of the connections that are open', { timeout: 60_000 }, async () => {
  await using server = await startRedis();
  await using redis = await RedisConnection.open(server.url, 'x');
  using counts = redisConnectionCounts(redis, memoryConnectionCounts(), () => 1);
  for (const sub of ['ada', 'eve']) for (const id of ['a', 'b']) expect(await counts.claim(sub, `${sub}-${id}`, 2)).toBeUndefined();
  await server.kill();
  await server.restart();
  const counted = async (sub: string) => (redis.ready ? redis.send(['ZRANGE', redis.key(`connections:${sub}`), '0', '-1']) : undefined);
  await expect.poll(() => counted('ada'), { timeout: 10_000 }).toEqual(['ada-a', 'ada-b']);
  await expect.poll(() => counted('eve')).toEqual(['eve-a', 'eve-b']);
});
