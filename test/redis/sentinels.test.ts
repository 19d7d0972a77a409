/** Addresses with Sentinels: who is asked, whose answer is taken, and what is said where there is none. */
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { type RedisServer, startRedis, startSentinel } from '../../scripts/servers.ts';
import { RedisConnection } from '../../src/redis/connection.ts';

const open = (address: string) => RedisConnection.open(address, 'x');

async function ask({ url }: RedisServer, ...command: string[]): Promise<unknown> {
  const client = createClient({ url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}

test('the master is found, with the passwords of both', async () => {
  await using redis = await startRedis(['--user', 'ada', 'on', '>secret', '~*', '&*', '+@all']);
  await using sentinel = await startSentinel(redis.port, ['requirepass p@ss']);
  const [before, after] = [`redis+sentinel://ada:secret@127.0.0.1:${sentinel.port}/mymaster`, '?db=3&sentinel_password=p%40ss'];
  await using connection = await open(`${before}${after}`);
  expect(connection.problem).toBeUndefined();
  expect(await ask(redis, 'CLIENT', 'LIST')).toMatch(/name=courier .*db=3 .*user=ada/);
  await using refused = await open(before);
  expect(refused.problem).toMatch(/^the Sentinels refuse to answer: give sentinel_user and sentinel_password/);
});

test('a name that they do not know, and none that is there', async () => {
  await using redis = await startRedis();
  await using sentinel = await startSentinel(redis.port);
  await using other = await open(`redis+sentinel://127.0.0.1:${sentinel.port}/other`);
  expect(other.problem).toBe('the Sentinels know no master of this name: name it in COURIER_BROKER as they do');
  await using none = await open('redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster');
  expect(none.problem).toBe('no Sentinel can be reached (ECONNREFUSED): look at them, and at the network to them');
});

test('one with an old answer does not keep anybody from the master', { timeout: 30_000 }, async () => {
  await using redis = await startRedis();
  await using old = await startSentinel(redis.port);
  await using right = await startSentinel(redis.port);
  await using connection = await open(`redis+sentinel://127.0.0.1:${old.port},127.0.0.1:${right.port}/mymaster`);
  await ask(old, 'SENTINEL', 'REMOVE', 'mymaster');
  await ask(old, 'SENTINEL', 'MONITOR', 'mymaster', '127.0.0.1', '1', '1');
  for (let time = 1; time <= 3; time += 1) {
    await ask(redis, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
    await expect.poll(() => connection.ready).toBe(false);
    await expect.poll(() => connection.ready, { timeout: 10_000 }).toBe(true);
  }
});
