/** Instances that ask each other over Redis: whom they count, whose answers they take, and what they do not understand. */
import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import type { Answerers } from '../../src/cluster/peers.ts';
import { redisPeers } from '../../src/cluster/redis.ts';
import { RedisConnection } from '../../src/redis/connection.ts';

const answers = (name: string): Answerers => ({
  stats: () => Promise.resolve(name),
  series: () => [],
  channels: () => [],
  contractUsers: () => [],
  recipients: () => ({ total: 0, recipients: [] }),
  connections: ({ sub }) => `${name}: ${sub}`,
  disconnect: () => {
    throw new Error('failed');
  },
  oldestStream: () => null,
  yieldPlace: () => false,
  revoked: () => 1,
  logLevel: () => null,
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

test('the last to come knows of all, and is answered by each of the others', async () => {
  await using cluster = await peersOn(['a', 'b', 'c']);
  const [, , last] = cluster.all;
  expect(last?.instances).toBe(3);
  expect((await last?.ask('stats', null))?.sort()).toEqual(['a', 'b']);
  expect((await last?.ask('connections', { sub: 'ada' }))?.sort()).toEqual(['a: ada', 'b: ada']);
});

test('who is gone is not counted, and who fails to answer is not waited for long', async () => {
  await using cluster = await peersOn(['a', 'b', 'c']);
  const [first, second, last] = cluster.all;
  expect(await last?.ask('disconnect', { connection_id: 'x' })).toEqual([]);
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
