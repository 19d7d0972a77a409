/** Two gateways on one log, while servers are killed and cables cut: every subscriber of each gets every event once, in order. */
import fc from 'fast-check';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { type RedisServer, startPostgres, startRedis, startReplica, startSentinel } from '../../scripts/servers.ts';
import { sharedEnv } from '../helpers/cluster.ts';
import { startInstances } from './instances.ts';
import { EXACT, LONG, report } from './ledger.ts';
import { startProxy, unreliablePushes } from './proxy.ts';
import { startTraffic } from './traffic.ts';

const MINUTES = 60_000;
const SHARE = 0.1;

const statusOf = async (url: string) => (await fetch(`${url}/readyz`)).status;

async function healthOf(url: string) {
  const response = await fetch(`${url}/health`);
  return (await response.json()) as { status: string; components: { broker: { status: string }; event_log: { status: string } } };
}

test('rolling restart of two instances under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  const rounds = LONG ? 5 : 1;
  const env = { ...(await sharedEnv()), COURIER_DRAIN_SECONDS: '5' };
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(instances);
  const codes: (number | string)[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const index of [0, 1]) {
      await traffic.more(200);
      codes.push(await instances.restart(index, 'SIGTERM'));
    }
  }
  await traffic.more(200);
  const figures = await traffic.finish();
  report(task, 3, `two instances: rolling restart under load, ${rounds} times each, exit code 0`, figures);
  expect(new Set(codes)).toEqual(new Set([0]));
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

test('kill -9 of one of two instances under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 10 : 2;
  const env = await sharedEnv();
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(instances);
  for (let kill = 0; kill < kills; kill += 1) {
    await traffic.more(200);
    await instances.restart(kill % 2, 'SIGKILL');
  }
  await traffic.more(200);
  const figures = await traffic.finish();
  report(task, 1, `two instances: kill -9 of one under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('PostgreSQL killed and restarted under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 5 : 1;
  await using postgres = await startPostgres();
  const env = { ...(await sharedEnv()), COURIER_LOG: await postgres.createDatabase() };
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(instances);
  for (let kill = 0; kill < kills; kill += 1) {
    await traffic.more(200);
    await postgres.kill();
    await expect.poll(() => statusOf(instances.urls[0] as string), { timeout: 10_000 }).toBe(503);
    await postgres.restart();
  }
  await traffic.more(200);
  await expect.poll(() => statusOf(instances.urls[0] as string), { timeout: 10_000 }).toBe(200);
  const figures = await traffic.finish();
  const repeated = traffic.loads.reduce((sum, { retries }) => sum + retries, 0);
  report(task, 4, `two instances: PostgreSQL killed under load, ${kills} times`, { ...figures, 'publishes repeated': repeated });
  expect(repeated).toBeGreaterThan(0);
  expect(figures).toMatchObject(EXACT);
});

test('Redis killed and restarted under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 5 : 1;
  await using redis = await startRedis();
  const env = { ...(await sharedEnv()), COURIER_BROKER: redis.url };
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(instances);
  for (let kill = 0; kill < kills; kill += 1) {
    await traffic.more(300);
    await redis.kill();
    await traffic.more(300);
    expect((await healthOf(instances.urls[0] as string)).components.broker.status).toBe('degraded');
    await redis.restart();
    await expect
      .poll(async () => (await healthOf(instances.urls[0] as string)).components.broker.status, { timeout: 10_000 })
      .toBe('healthy');
  }
  const figures = await traffic.finish();
  const refused = traffic.loads.reduce((sum, { retries }) => sum + retries, 0);
  report(task, 7, `two instances: Redis killed under load, ${kills} times`, { ...figures, 'publishes refused': refused });
  expect(refused).toBe(0);
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

/** Redis with a replica and a Sentinel, which is the second that the gateways ask: the first is not there. */
async function startReplicated() {
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await startRedis(['--repl-diskless-sync-delay', '0']));
  const second = stack.use(await startReplica(first.port));
  await expect.poll(() => askRedis(second, ['INFO', 'replication']), { timeout: 20_000 }).toContain('master_link_status:up');
  const sentinel = stack.use(await startSentinel(first.port));
  const resources = stack.move();
  return {
    servers: [first, second] as const,
    broker: `redis+sentinel://127.0.0.1:1,127.0.0.1:${sentinel.port}/mymaster`,
    ask: (...command: string[]) => askRedis(sentinel, command),
    masterPort: async () => Number(((await askRedis(sentinel, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster'])) as string[])[1]),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function askRedis({ url }: RedisServer, command: string[]): Promise<unknown> {
  const client = createClient({ url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}

test.for(['demoted', 'killed'])('the master of Redis %s under load', { timeout: 5 * MINUTES }, async (what, { task }) => {
  await using redis = await startReplicated();
  const env = { ...(await sharedEnv()), COURIER_BROKER: redis.broker };
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(instances);
  await expect
    .poll(() => redis.ask('SENTINEL', 'REPLICAS', 'mymaster').then(JSON.stringify), { timeout: 20_000 })
    .toContain('"master-link-status":"ok"');
  await traffic.more(300);
  const [old, next] = redis.servers;
  if (what === 'killed') await old.kill();
  else expect(await redis.ask('SENTINEL', 'FAILOVER', 'mymaster')).toBe('OK');
  await expect.poll(() => redis.masterPort(), { timeout: 30_000 }).toBe(next.port);
  // Two connections of each. The old master may go on as one for ten seconds before the Sentinel has demoted it.
  const connections = async () => String(await askRedis(next, ['CLIENT', 'LIST'])).match(/name=courier /g)?.length;
  await expect.poll(connections, { timeout: 30_000 }).toBe(4);
  for (const url of instances.urls) {
    await expect.poll(async () => (await healthOf(url)).components.broker.status, { timeout: 10_000 }).toBe('healthy');
  }
  await traffic.more(300);
  const figures = await traffic.finish();
  const refused = traffic.loads.reduce((sum, { retries }) => sum + retries, 0);
  report(task, 27, `two instances: the master of Redis ${what} under load`, { ...figures, 'publishes refused': refused });
  expect(refused).toBe(0);
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

test('Redis messages dropped, repeated and delayed', { timeout: 5 * MINUTES }, async ({ task }) => {
  const events = LONG ? 20_000 : 2000;
  await using redis = await startRedis();
  const [seed] = fc.sample(fc.integer({ min: 1, max: 2 ** 31 - 1 }), 1) as [number];
  const { faults, tamper } = unreliablePushes(SHARE, random(seed));
  await using proxy = await startProxy(redis.port, tamper);
  const env = { ...(await sharedEnv()), COURIER_BROKER: `redis://127.0.0.1:${proxy.port}` };
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(instances, { inFlight: 2 });
  await traffic.more(events / 2);
  const figures = await traffic.finish();
  report(task, 8, 'two instances: Redis behind a proxy that drops, repeats and delays 10 % each', { ...figures, ...faults, seed });
  for (const kind of ['dropped', 'repeated', 'delayed'] as const) expect(faults[kind]).toBeGreaterThan(10);
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

test('an instance cut off from Redis only', { timeout: 5 * MINUTES }, async ({ task }) => {
  const cuts = LONG ? 3 : 1;
  await using redis = await startRedis();
  await using proxy = await startProxy(redis.port);
  const env = { ...(await sharedEnv()), COURIER_BROKER: redis.url };
  await using instances = await startInstances([env, { ...env, COURIER_BROKER: `redis://127.0.0.1:${proxy.port}` }]);
  await using traffic = await startTraffic(instances);
  const brokerOf = async (index: number) => (await healthOf(instances.urls[index] as string)).components.broker.status;
  for (let cut = 0; cut < cuts; cut += 1) {
    await traffic.more(200);
    proxy.cut();
    await traffic.more(200);
    await expect.poll(() => brokerOf(1), { timeout: 15_000 }).toBe('degraded');
    expect(await brokerOf(0)).toBe('healthy');
    await traffic.more(200);
    proxy.heal();
    await expect.poll(() => brokerOf(1), { timeout: 15_000 }).toBe('healthy');
  }
  const figures = await traffic.finish();
  const refused = traffic.loads.reduce((sum, { retries }) => sum + retries, 0);
  report(task, 9, `two instances: one cut off from Redis, ${cuts} times`, { ...figures, 'publishes refused': refused });
  expect(refused).toBe(0);
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

test('an instance cut off from PostgreSQL', { timeout: 5 * MINUTES }, async ({ task }) => {
  const cuts = LONG ? 3 : 1;
  await using postgres = await startPostgres();
  await using proxy = await startProxy(postgres.port);
  const database = await postgres.createDatabase();
  const env = { ...(await sharedEnv()), COURIER_LOG: database };
  const behind = new URL(database);
  behind.port = String(proxy.port);
  await using instances = await startInstances([env, { ...env, COURIER_LOG: behind.href }]);
  await using traffic = await startTraffic(instances);
  const [here, there] = instances.urls as [string, string];
  for (let cut = 0; cut < cuts; cut += 1) {
    await traffic.more(200);
    proxy.cut();
    await expect.poll(() => statusOf(there), { timeout: 30_000 }).toBe(503);
    expect(await statusOf(here)).toBe(200);
    const read = await fetch(`${there}/events/global`, { headers: { authorization: `Bearer ${traffic.token}` } });
    expect(read.status).toBe(503);
    await traffic.loads[0]?.more(100);
    proxy.heal();
    await expect.poll(() => statusOf(there), { timeout: 15_000 }).toBe(200);
  }
  await traffic.more(200);
  const figures = await traffic.finish();
  report(task, 10, `two instances: one cut off from PostgreSQL, ${cuts} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test.each(['PostgreSQL', 'Redis'])('an instance cut off from %s ends in order all the same', { timeout: MINUTES }, async (server) => {
  await using postgres = await startPostgres();
  await using redis = await startRedis();
  await using proxy = await startProxy(server === 'Redis' ? redis.port : postgres.port);
  const database = new URL(await postgres.createDatabase());
  if (server === 'PostgreSQL') database.port = String(proxy.port);
  const broker = server === 'Redis' ? `redis://127.0.0.1:${proxy.port}` : redis.url;
  const env = { COURIER_LOG: database.href, COURIER_BROKER: broker, COURIER_DRAIN_SECONDS: '3' };
  await using instances = await startInstances([env]);
  proxy.cut();
  // Longer than that it ends by force, with 1.
  expect(await instances.process(0).end('SIGTERM')).toBe(0);
});

/** Mulberry32: the same numbers for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
