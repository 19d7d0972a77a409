/** Instances that ask each other over Redis: whom they count, whose answers they take, and what they do not understand. */
import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { redisPeers } from '../../src/cluster/redis.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { answers, describePeers } from '../contracts/peers.ts';

function factoryOn(nameOf: (name: string) => Parameters<typeof redisPeers>[1]) {
  const namespace = randomUUID();
  const stack = new AsyncDisposableStack();
  return {
    open: async (name: string) => {
      const redis = stack.use(await RedisConnection.open(inject('redisUrl'), namespace));
      return stack.use(await redisPeers(redis, nameOf(name)));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describePeers('instances over Redis', { instancesOf: (members) => members, factory: () => factoryOn((name) => ({ instance: name })) });
describePeers('workers of one instance over Redis', {
  instancesOf: () => 1,
  factory: () => factoryOn((name) => ({ instance: 'one', worker: name.charCodeAt(0) })),
});

async function peersOn(names: readonly string[]) {
  const namespace = randomUUID();
  const stack = new AsyncDisposableStack();
  const all = [];
  for (const name of names) {
    const redis = stack.use(await RedisConnection.open(inject('redisUrl'), namespace));
    const peers = stack.use(await redisPeers(redis, { instance: name }));
    peers.answer(answers(name));
    all.push(peers);
  }
  return { all, namespace, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('who is gone is not counted', async () => {
  await using cluster = await peersOn(['a', 'b', 'c']);
  const [first, second] = cluster.all;
  await second?.[Symbol.asyncDispose]();
  await expect.poll(() => first?.instances, { timeout: 10_000 }).toBe(2);
});

test('what is not understood is not answered, and harms nobody', async () => {
  await using cluster = await peersOn(['a', 'b']);
  const [, last] = cluster.all;
  await using other = await RedisConnection.open(inject('redisUrl'), cluster.namespace);
  const messages = [
    '{',
    'null',
    '[]',
    '{}',
    '{"from":"z","id":"1","kind":"of a later version","question":null}',
    '{"to":"b","id":"unknown"}',
  ];
  for (const message of messages) await other.send(['PUBLISH', other.key('peers'), message]);
  expect(await last?.ask('stats', null)).toEqual(['a']);
});
