/** Two gateways that share a log: what is true of one is true of both together. */
import { expect, inject, test } from 'vitest';
import { createDatabase, startRedis } from '../../scripts/servers.ts';
import type { Answerers } from '../../src/cluster/peers.ts';
import { redisPeers } from '../../src/cluster/redis.ts';
import type { Sample } from '../../src/contract/admin.ts';
import type { SharedLog } from '../../src/log/postgres.ts';
import { LatencyCounter, type LatencyCounts, NO_LATENCIES } from '../../src/observe/latencies.ts';
import type { Interval } from '../../src/observe/rates.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { sharedEnv, startClusterOf } from '../helpers/cluster.ts';
import { collect } from '../helpers/collect.ts';
import { UNLIMITED } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { startGateway, type TestGateway, worker } from '../helpers/trade.ts';

type Item = { id: string; data: { type: string } };

const startCluster = (env: Record<string, string> = {}) => startClusterOf(startGateway, env);

async function publishOn(gateway: TestGateway, kinds: readonly string[], key?: string) {
  const response = await fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await gateway.token(worker.service, 'service')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...worker.note(kinds[0] as string), ...(key && { idempotency_key: key }) }),
  });
  return (await response.json()) as { id: string; duplicate: boolean };
}

test('what is published on one is delivered on both, in one order, and resumed on either', async () => {
  await using cluster = await startCluster();
  const [one, two] = cluster.gateways;
  await using first = one.webSocketClient(await one.token('reader', 'service'));
  await using second = two.webSocketClient(await two.token('reader', 'service'));
  using here = collect<Item>((observer) => first.trpc.events.subscribe.subscribe({ channels: ['**'] }, observer));
  using there = collect<Item>((observer) => second.trpc.events.subscribe.subscribe({ channels: ['**'] }, observer));
  await Promise.all([here.count(1), there.count(1)]);
  const kinds = Array.from({ length: 40 }, (_, index) => `k${index}`);
  await Promise.all(kinds.map((kind, index) => publishOn(index % 2 === 0 ? one : two, [kind])));
  await Promise.all([here.count(41), there.count(41)]);
  const ids = (items: readonly Item[]) => items.slice(1).map(({ id }) => id);
  expect(ids(here.items)).toEqual(ids(there.items));
  expect(ids(here.items).map((id) => Number(id.split('-')[1]))).toEqual(kinds.map((_, index) => index + 1));
  const [resumeFrom = ''] = ids(here.items).slice(9);
  using resumed = collect<Item>((observer) =>
    second.trpc.events.subscribe.subscribe({ channels: ['**'], lastEventId: resumeFrom }, observer),
  );
  await resumed.count(31);
  expect(resumed.items.slice(0, 30).map(({ id }) => id)).toEqual(ids(here.items).slice(10));
});

test('an idempotency key is known to both', async () => {
  await using cluster = await startCluster();
  const [one, two] = cluster.gateways;
  const receipts = await Promise.all([one, two, one, two].map((gateway) => publishOn(gateway, ['k'], 'key')));
  expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
  expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
});

test('a limit is that of both together, and so is the number of connections', async () => {
  const limits = { ...JSON.parse(UNLIMITED), user: { queriesPerSecond: 4, connections: 2 } };
  await using cluster = await startCluster({ COURIER_LIMITS: JSON.stringify(limits) });
  const [one, two] = cluster.gateways;
  const token = await one.token('ada');
  const statuses = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const url = (index % 2 === 0 ? one : two).url;
      return (await fetch(`${url}/events/global`, { headers: { authorization: `Bearer ${token}` } })).status;
    }),
  );
  const admitted = statuses.filter((status) => status === 200).length;
  expect(statuses.filter((status) => status === 429).length).toBe(12 - admitted);
  expect(admitted).toBeGreaterThanOrEqual(4);
  // What is refilled while they are answered.
  expect(admitted).toBeLessThan(8);
  const connect = (gateway: TestGateway) => openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${token}`);
  const first = await connect(one);
  await using second = await connect(two);
  await Promise.all([first.count(1), second.count(1)]);
  await expect(connect(two)).rejects.toThrow('429');
  await first[Symbol.asyncDispose]();
  await expect
    .poll(async () => {
      await using again = await connect(two).catch(() => undefined);
      return again !== undefined;
    })
    .toBe(true);
});

test('an admin of one sees, disconnects and revokes on both', async () => {
  await using cluster = await startCluster();
  const [one, two] = cluster.gateways;
  const { admin } = one.httpClient(await one.token('root', 'admin'));
  const ada = await one.token('ada');
  const headers = { 'x-courier-client': 'courier-client-python/0.1.0', 'x-courier-contract': '0123456789abcdef' };
  await using here = await openSocket(`${one.url.replace('http', 'ws')}/ws/global?token=${ada}`, { headers });
  await using there = await openSocket(`${two.url.replace('http', 'ws')}/ws/global?token=${ada}`, { headers });
  await using other = await openSocket(`${two.url.replace('http', 'ws')}/ws/**?token=${await two.token(worker.service, 'service')}`);
  await Promise.all([here.count(1), there.count(1), other.count(1)]);
  // Each instance learns of the others within some seconds.
  await expect.poll(async () => (await admin.stats.query()).instances, { timeout: 10_000 }).toBe(2);
  expect(await admin.stats.query()).toMatchObject({
    connections: { total: 3, transport: { trpc: 0, plain: 3 }, role: { user: 2, service: 1, admin: 0 } },
    clients: [
      { client: 'courier-client-python/0.1.0', contract: '0123456789abcdef', connections: 2 },
      { client: null, contract: null, connections: 1 },
    ],
    subscriptions: 3,
  });
  expect((await admin.channels.query()).find(({ channel }) => channel === 'global')).toEqual({
    channel: 'global',
    subscribers: 3,
    rate: 0,
    last_event: null,
  });
  const { total, connections } = await admin.connections.query();
  expect([total, connections.map(({ sub }) => sub)]).toEqual([3, ['ada', 'ada', worker.service]]);
  expect(connections[2]?.since).toBeInstanceOf(Date);
  expect(connections.map(({ channels }) => channels.includes('global'))).toEqual([true, true, true]);
  expect(connections.map(({ client }) => client)).toEqual(['courier-client-python/0.1.0', 'courier-client-python/0.1.0', null]);
  expect((await admin.connections.query({ sub: worker.service })).total).toBe(1);
  expect(await admin.disconnect.mutate({ connection_id: connections[2]?.connection_id ?? '' })).toEqual({ disconnected: true });
  expect((await other.closed).code).toBe(1013);
  expect(await admin.disconnect.mutate({ connection_id: 'nobody' })).toEqual({ disconnected: false });
  expect(await admin.revoke.mutate({ sub: 'ada' })).toEqual({ ended: 2 });
  expect([(await here.closed).code, (await there.closed).code]).toEqual([1008, 1008]);
  const refused = await fetch(`${two.url}/events/global`, { headers: { authorization: `Bearer ${ada}` } });
  expect(refused.status).toBe(401);
});

test('an admin of one is told what came on channels, and who was given it on both', async () => {
  await using cluster = await startCluster();
  const [one, two] = cluster.gateways;
  const { admin } = one.httpClient(await one.token('root', 'admin'));
  const open = async (gateway: TestGateway, sub: string, pattern: string) =>
    openSocket(`${gateway.url.replace('http', 'ws')}/ws/${pattern}?token=${await gateway.token(sub, 'service')}`);
  await using here = await open(one, 'here', worker.channel('j'));
  await using there = await open(two, 'there', worker.everything);
  await using family = await open(one, 'family', worker.everything);
  await using other = await open(two, 'other', 'global');
  await Promise.all([here, there, family, other].map((socket) => socket.count(1)));
  await expect.poll(async () => (await admin.stats.query()).instances, { timeout: 10_000 }).toBe(2);
  const { id } = await publishOn(two, ['k']);
  await Promise.all([here, there, family].map((socket) => socket.count(2)));
  await using late = await open(two, 'late', worker.channel('j'));
  await late.count(1);
  const { channel, type } = worker.note('k');
  const { total, recipients } = await admin.recipients.query({ id, channel, type });
  expect(total).toBe(3);
  expect(Object.fromEntries(recipients.map(({ sub, handed }) => [sub, handed]))).toEqual({ here: true, there: true, family: true });
  expect(await admin.channels.query()).toEqual([
    { channel: worker.all, subscribers: 2, rate: 0, last_event: null },
    { channel: worker.channel('j'), subscribers: 2, rate: expect.any(Number), last_event: { id, type, at: expect.any(Date) } },
    { channel: 'global', subscribers: 1, rate: 0, last_event: null },
  ]);
});

test('the last 15 minutes of instances are one series', async () => {
  await using gateway = await startGateway(await sharedEnv());
  const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
  // Of an hour ago, so that what the gateway counts itself is in other intervals.
  const at = Math.floor(Date.now() / 5000) * 5000 - 3_600_000;
  const interval = (published: number, publishes: LatencyCounts): Interval => ({
    at,
    seconds: 5,
    totals: { published, delivered: 0, replayed: 0, failures: 0, refused: 1 },
    publishes,
    deliveries: NO_LATENCIES,
    connections: 2,
    subscriptions: 3,
  });
  const [fast, slow] = [new LatencyCounter(), new LatencyCounter()];
  for (let count = 0; count < 60; count += 1) fast.observe(0.001);
  for (let count = 0; count < 40; count += 1) slow.observe(1);
  await using redis = await RedisConnection.open(inject('redisUrl'), (gateway.pipeline.log as SharedLog).identity);
  const answering = async (name: string, intervals: readonly Interval[]) => {
    const peers = await redisPeers(redis, { instance: name });
    peers.answer({ series: () => intervals } as Partial<Answerers> as Answerers);
    return peers;
  };
  await using _first = await answering('first', [interval(60, fast.counts)]);
  await using _second = await answering('second', [interval(40, slow.counts)]);
  let merged: Sample | undefined;
  const ask = async () => {
    merged = (await admin.series.query()).samples.find((sample) => sample.at.getTime() === at);
    return merged?.connections;
  };
  await expect.poll(ask, { timeout: 10_000 }).toBe(4);
  expect(merged).toMatchObject({
    rates: { published: 20, delivered: 0, replayed: 0, failures: 0, refused: 0.4 },
    subscriptions: 6,
    delivery_ms: null,
  });
  // Of all 100 together: neither instance has these by itself.
  expect(merged?.publish_ms?.p50).toBeLessThan(2);
  expect(merged?.publish_ms?.p99).toBeGreaterThan(500);
});

test('an instance of a version that does not know clients is counted all the same', async () => {
  await using gateway = await startGateway(await sharedEnv());
  const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
  const { clients: _, contract: _contract, ...stats } = await admin.stats.query();
  const row = { sub: 'ada', role: 'user', transport: 'plain', address: '', subscriptions: 0, buffered_bytes: 0, lag: 0 };
  const times = { since: new Date(), expires_at: new Date() };
  await using redis = await RedisConnection.open(inject('redisUrl'), (gateway.pipeline.log as SharedLog).identity);
  await using older = await redisPeers(redis, { instance: 'older' });
  older.answer({
    stats: () => ({ ...stats, subscriptions: 7 }),
    connections: () => ({ total: 1, connections: [{ connection_id: 'c', ...row, ...times }] }),
    disconnect: () => false,
    revoked: () => 0,
  } as Partial<Answerers> as Answerers);
  await expect.poll(async () => (await admin.stats.query()).instances, { timeout: 10_000 }).toBe(2);
  expect(await admin.stats.query()).toMatchObject({ subscriptions: 7, clients: [] });
  expect((await admin.connections.query()).connections).toEqual([
    { connection_id: 'c', ...row, ...times, client: null, contract: null, channels: [], worker: null },
  ]);
  // It does not know these questions, so nothing is waited for beyond what an answer may take.
  const { id } = await publishOn(gateway, ['k']);
  const { channel, type } = worker.note('k');
  const [series, channels, recipients] = await Promise.all([
    admin.series.query(),
    admin.channels.query(),
    admin.recipients.query({ id, channel, type }),
  ]);
  expect(series.samples).toBeInstanceOf(Array);
  expect(channels.map((one) => [one.channel, one.last_event?.id])).toEqual([[channel, id]]);
  expect(recipients).toEqual({ total: 0, recipients: [] });
});

test('while Redis is away events arrive from the log, limits are shared out, and revocations still reach both', {
  timeout: 60_000,
}, async () => {
  await using redis = await startRedis();
  const limits = { ...JSON.parse(UNLIMITED), user: { queriesPerSecond: 4 } };
  await using cluster = await startCluster({ COURIER_BROKER: redis.url, COURIER_LIMITS: JSON.stringify(limits) });
  const [one, two] = cluster.gateways;
  const health = async (gateway: TestGateway) =>
    (await (await fetch(`${gateway.url}/health`)).json()) as {
      status: string;
      components: { broker: object; redis: object; event_log: object };
    };
  const { admin } = one.httpClient(await one.token('root', 'admin'));
  await expect.poll(async () => (await admin.stats.query()).instances, { timeout: 10_000 }).toBe(2);
  await using reader = await openSocket(`${two.url.replace('http', 'ws')}/ws/**?token=${await two.token('ada', 'admin')}`);
  await reader.count(1);
  const figure = expect.any(Number);
  expect((await health(one)).components).toMatchObject({
    redis: { status: 'healthy', latency_ms: figure },
    event_log: { status: 'healthy', pool: { total: figure, idle: figure, waiting: 0 } },
  });
  await redis.kill();
  await expect.poll(async () => (await health(one)).status).toBe('degraded');
  expect((await health(one)).components.broker).toMatchObject({
    kind: 'redis',
    status: 'degraded',
    action: expect.stringContaining('away'),
  });
  expect((await health(one)).components.redis).toEqual({ status: 'degraded', action: expect.stringContaining('away') });
  const metrics = await (await fetch(`${one.url}/metrics`)).text();
  expect(metrics).toContain('courier_broker_up 0\n');
  expect(metrics).toContain('courier_instances 2\n');
  expect((await fetch(`${one.url}/readyz`)).status).toBe(200);
  await publishOn(one, ['k']);
  await reader.count(2);
  const token = await one.token('eve');
  const ask = async () => (await fetch(`${one.url}/events/global`, { headers: { authorization: `Bearer ${token}` } })).status;
  expect((await Promise.all([ask(), ask(), ask(), ask()])).sort()).toEqual([200, 200, 429, 429]);
  await admin.revoke.mutate({ sub: 'ada' });
  expect((await reader.closed).code).toBe(1008);
  await redis.restart();
  await expect.poll(async () => (await health(one)).status, { timeout: 10_000 }).toBe('healthy');
});

test('one instance on PostgreSQL needs no Redis', async () => {
  await using gateway = await startGateway({ COURIER_LOG: await createDatabase(inject('postgresUrl')) });
  expect(await publishOn(gateway, ['k'])).toMatchObject({ duplicate: false });
  const health = await (await fetch(`${gateway.url}/health`)).json();
  expect(health).toMatchObject({ status: 'healthy', components: { broker: { kind: 'local' }, event_log: { head: 1 } } });
});
