/** The Redis broker: the guarantees of every broker, and what it does while Redis is away. */
import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { startRedis } from '../../scripts/servers.ts';
import { redisBroker } from '../../src/broker/redis.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { describeBroker, eventOf, hear } from '../contracts/broker.ts';

async function brokersOn(url: string, namespace: string = randomUUID()) {
  const stack = new AsyncDisposableStack();
  return {
    open: async (epoch = 'epoch') => {
      const redis = stack.use(await RedisConnection.open(url, namespace));
      return redisBroker(redis, { instance: randomUUID(), epoch });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describeBroker('Redis broker', { shared: true, kind: 'redis', factory: () => brokersOn(inject('redisUrl')) });

test('events of another epoch are only hinted at', async () => {
  await using brokers = await brokersOn(inject('redisUrl'));
  await using publisher = await brokers.open('before');
  await using receiver = await brokers.open('after');
  const heard = hear(receiver);
  publisher.publish([eventOf(1)]);
  await expect.poll(() => heard.hints).toBe(1);
  expect(heard.events).toEqual([]);
});

test('a message that is none of ours is a hint, and harms nobody', async () => {
  const namespace = randomUUID();
  await using brokers = await brokersOn(inject('redisUrl'), namespace);
  await using receiver = await brokers.open();
  await using publisher = await brokers.open();
  const heard = hear(receiver);
  await using other = await RedisConnection.open(inject('redisUrl'), namespace);
  const messages = ['', '{', 'null', '7', '[]', '{}', '{"epoch":"epoch","events":7}'];
  for (const message of messages) await other.send(['PUBLISH', other.key('events'), message]);
  await expect.poll(() => heard.hints).toBe(messages.length);
  publisher.publish([eventOf(1)]);
  await expect.poll(() => heard.events).toEqual([eventOf(1)]);
});

test('while Redis is away it says so, publishing loses messages, and its return is a hint', { timeout: 60_000 }, async () => {
  await using server = await startRedis();
  await using brokers = await brokersOn(server.url);
  await using publisher = await brokers.open();
  await using receiver = await brokers.open();
  const heard = hear(receiver);
  await server.kill();
  await expect.poll(() => publisher.problem).toMatch(/ECONNREFUSED|closed|ended/i);
  publisher.publish([eventOf(1)]);
  await server.restart();
  await expect.poll(() => [publisher.problem, receiver.problem], { timeout: 10_000 }).toEqual([undefined, undefined]);
  expect(heard.hints).toBeGreaterThanOrEqual(1);
  publisher.publish([eventOf(2)]);
  await expect.poll(() => heard.events).toEqual([eventOf(2)]);
});

test('who opened it is told once that Redis went away', { timeout: 60_000 }, async () => {
  await using server = await startRedis();
  const reasons: string[] = [];
  await using redis = await RedisConnection.open(server.url, 'x', ({ words }) => reasons.push(words));
  for (let time = 1; time <= 2; time += 1) {
    await server.kill();
    await expect.poll(() => reasons.length).toBe(time);
    await server.restart();
    await expect.poll(() => redis.ready, { timeout: 10_000 }).toBe(true);
  }
  expect(reasons).toHaveLength(2);
});

test('who opened it is told once that Redis refuses, however often it is tried', { timeout: 60_000 }, async () => {
  await using server = await startRedis();
  const reasons: string[] = [];
  await using redis = await RedisConnection.open(server.url, 'x', ({ kind }) => reasons.push(kind));
  const trials = async () => Number(/cmdstat_publish:calls=(\d+)/.exec(await redis.send(['INFO', 'commandstats']))?.[1]);
  await redis.send(['CONFIG', 'SET', 'maxmemory', '1']);
  await expect.poll(() => redis.ready).toBe(false);
  const tried = await trials();
  await expect.poll(trials, { timeout: 10_000 }).toBeGreaterThan(tried + 2);
  expect(reasons).toEqual(['full']);
  await redis.send(['CONFIG', 'SET', 'maxmemory', '0']);
  await expect.poll(() => redis.ready, { timeout: 10_000 }).toBe(true);
});

test('a Redis that does not answer any more counts as away', { timeout: 60_000 }, async () => {
  await using server = await startRedis();
  await using brokers = await brokersOn(server.url);
  await using broker = await brokers.open();
  server.signal('SIGSTOP');
  await expect.poll(() => broker.problem, { timeout: 15_000 }).toBeDefined();
  server.signal('SIGCONT');
  await expect.poll(() => broker.problem, { timeout: 15_000 }).toBeUndefined();
});

test('a connection says at once what is wrong, and hears what was subscribed to meanwhile once it can', { timeout: 60_000 }, async () => {
  await using guarded = await startRedis(['--requirepass', 'right']);
  const open = (url: string) => RedisConnection.open(url, 'x');
  const address = guarded.url.replace('redis://', '');
  await using allowed = await open(`redis://:right@${address}`);
  expect([allowed.ready, allowed.problem]).toEqual([true, undefined]);
  await using none = await open('redis://127.0.0.1:1');
  expect([none.ready, none.problem]).toEqual([false, expect.stringMatching(/^Redis is away \(ECONNREFUSED\): /)]);
  await using missing = await open(guarded.url);
  await using wrong = await open(`redis://:wrong@${address}`);
  let heard = 0;
  for (const refused of [missing, wrong]) {
    expect([refused.ready, refused.problem]).toEqual([false, expect.stringMatching(/^Redis refuses the password: /)]);
    await refused.subscribe('channel', () => {
      heard += 1;
    });
  }
  await allowed.send(['CONFIG', 'SET', 'requirepass', 'wrong']);
  await expect.poll(() => wrong.ready, { timeout: 10_000 }).toBe(true);
  await wrong.send(['PUBLISH', wrong.key('channel'), '{}']);
  await expect.poll(() => heard).toBe(1);
  expect(missing.ready).toBe(false);
});

test('whoever waits for a server that does not answer can be told not to', async () => {
  await using server = await startRedis();
  server.signal('SIGSTOP');
  const reason = new Error('enough');
  const opening = RedisConnection.open(server.url, 'x', undefined, AbortSignal.abort(reason));
  await expect(opening).rejects.toBe(reason);
});

test('whoever subscribes at a server that does not answer can be told not to', async () => {
  await using server = await startRedis();
  await using redis = await RedisConnection.open(server.url, 'x');
  server.signal('SIGSTOP');
  const enough = new AbortController();
  const subscribing = redis.subscribe('channel', () => undefined, enough.signal);
  const reason = new Error('enough');
  enough.abort(reason);
  await expect(subscribing).rejects.toBe(reason);
});
