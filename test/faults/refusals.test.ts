/** Redis that answers but refuses: two gateways say so and go on, and take it up again by themselves. */
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../../scripts/servers.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { sharedEnv } from '../helpers/cluster.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway, UNLIMITED } from '../helpers/gateway.ts';
import { jobStarted } from '../helpers/samples.ts';
import { startProxy } from './proxy.ts';

/** Publishes a minute, of both instances together: half of it is the share of each of two instances. */
const LIMIT = 10;
const LIMITS = JSON.stringify({ ...JSON.parse(UNLIMITED), admin: { publishPerMinute: LIMIT } });
/** A look at the head of the log comes every second; the rest is for a busy machine. */
const HEAD_CHECK_MS = 2500;
const SOON = { timeout: 10_000, interval: 20 };

type Item = { id: string; data: { type: string } };
type Admin = (...command: string[]) => Promise<unknown>;

interface Refusal {
  readonly name: string;
  readonly args?: readonly string[];
  /** Before the gateways start. */
  prepare?(admin: Admin, folder: string): Promise<unknown>;
  begin(admin: Admin, redis: RedisServer, folder: string): Promise<unknown>;
  end?(admin: Admin, redis: RedisServer, folder: string): Promise<unknown>;
  /** How the health begins. */
  readonly words: RegExp;
}

/** A user of Redis with every right. */
const COURIER = ['courier', 'on', '>secret', '~*', '&*', '+@all'];
const restoreRights = (admin: Admin) => admin('ACL', 'SETUSER', ...COURIER.toSpliced(1, 0, 'reset'));
const rightsBut = (...without: string[]): Pick<Refusal, 'prepare' | 'begin' | 'end' | 'words'> => ({
  begin: (admin) => admin('ACL', 'SETUSER', 'courier', ...without),
  end: restoreRights,
  words: /^Redis refuses its user a command, a key or a channel: give the user the rights that the manual lists\. /,
});

/** A millisecond for each key, with a look at what clients ask between them. */
const SLOW_TO_LOAD = ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024'];
const fillAndSave = async (admin: Admin) => {
  await admin('EVAL', "for i = 1, 4000 do redis.call('SET', 'key' .. i, string.rep('x', 100)) end", '0');
  await admin('SAVE');
};

const REFUSALS: readonly Refusal[] = [
  {
    name: 'is full',
    begin: (admin) => admin('CONFIG', 'SET', 'maxmemory', '1'),
    end: (admin) => admin('CONFIG', 'SET', 'maxmemory', '0'),
    words: /^Redis is full: raise its maxmemory, or let it evict/,
  },
  {
    name: 'is a replica',
    begin: (admin) => admin('REPLICAOF', '127.0.0.1', '1'),
    end: (admin) => admin('REPLICAOF', 'NO', 'ONE'),
    words: /^Redis takes no writes, as it is a replica: wait for the failover to end, or name the master in COURIER_BROKER\. /,
  },
  {
    name: 'is a replica without its master, and answers nothing old',
    args: ['--replica-serve-stale-data', 'no'],
    begin: (admin) => admin('REPLICAOF', '127.0.0.1', '1'),
    end: (admin) => admin('REPLICAOF', 'NO', 'ONE'),
    words: /^Redis takes no writes, as it is a replica: /,
  },
  {
    name: 'misses its replicas',
    begin: (admin) => admin('CONFIG', 'SET', 'min-replicas-to-write', '1'),
    end: (admin) => admin('CONFIG', 'SET', 'min-replicas-to-write', '0'),
    words: /^Redis takes no writes without its replicas: bring them back, or lower min-replicas-to-write\. /,
  },
  { name: 'gives no right to scripts', ...rightsBut('-evalsha', '-eval') },
  { name: 'gives no right to a command within scripts', ...rightsBut('-set') },
  { name: 'gives no right to keys', ...rightsBut('resetkeys', '~other:*') },
  { name: 'gives no right to channels', ...rightsBut('resetchannels', '&other:*') },
  { name: 'gives no right to publish', ...rightsBut('-publish') },
  {
    name: 'has another password',
    begin: async (admin) => {
      await admin('ACL', 'SETUSER', 'courier', 'resetpass', '>other');
      await admin('CLIENT', 'KILL', 'USER', 'courier');
    },
    end: restoreRights,
    words: /^Redis refuses the password: start with the present one in COURIER_BROKER\. /,
  },
  {
    name: 'cannot save',
    args: ['--save', '3600 1000000'],
    // What stands where the file is to be written cannot be replaced by it.
    begin: async (admin, _redis, folder) => {
      mkdirSync(join(folder, 'dump.rdb', 'x'), { recursive: true });
      await saved(admin, 'err');
    },
    end: async (admin, _redis, folder) => {
      rmdirSync(join(folder, 'dump.rdb', 'x'));
      rmdirSync(join(folder, 'dump.rdb'));
      await saved(admin, 'ok');
    },
    words: /^Redis takes no writes, as it cannot save to its disk: give the disk room, or turn saving off\. /,
  },
  {
    name: 'loads its data',
    args: SLOW_TO_LOAD,
    prepare: fillAndSave,
    begin: async (_admin, redis) => {
      await redis.kill();
      await redis.restart();
    },
    words: /^Redis is loading its data: wait for it\. /,
  },
];

test.each(REFUSALS)('Redis $name', { timeout: 60_000 }, async ({ args = [], prepare, begin, end, words }) => {
  await using cluster = await startCluster(args);
  const { admin, redis, folder, one, two } = cluster;
  await prepare?.(admin, folder);
  await using client = two.gateway.webSocketClient(await two.gateway.token('reader', 'admin'));
  using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['**'] }, observer));
  await received.count(1);
  expect(await publishTimes(one.gateway, two.gateway, 'before', 3 * LIMIT)).toBe(LIMIT);

  await begin(admin, redis, folder);
  for (const { gateway } of [one, two]) {
    await expect.poll(() => brokerOf(gateway), SOON).toMatchObject({ status: 'degraded', action: expect.stringMatching(words) });
    const { action } = await brokerOf(gateway);
    expect(action).toMatch(/Until then events of other instances come up to a second late/);
    expect(action).not.toMatch(/127\.0\.0\.1|secret|user_script|permissions/);
    expect(await metricsOf(gateway)).toContain('courier_broker_up 0\n');
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
  }
  const before = received.items.length;
  const from = performance.now();
  // Each admits its share.
  expect(await publishTimes(one.gateway, two.gateway, 'during', 3 * LIMIT)).toBe(LIMIT);
  await received.count(before + LIMIT);
  expect(performance.now() - from).toBeLessThan(HEAD_CHECK_MS);

  await end?.(admin, redis, folder);
  for (const { gateway, lines } of [one, two]) {
    await expect.poll(() => brokerOf(gateway), SOON).toEqual({ status: 'healthy', kind: 'redis' });
    expect(await metricsOf(gateway)).toContain('courier_broker_up 1\n');
    const messages = () => lines.filter(({ message }) => message.startsWith('Redis ')).map(({ level, message }) => [level, message]);
    await expect.poll(() => messages().at(-1)).toEqual(['INFO', 'Redis is back']);
    expect(messages().filter(([level]) => level === 'WARN')).toEqual([['WARN', 'Redis cannot be used']]);
    // Between them at most one line more, where it was away at first.
    expect(messages().length).toBeLessThanOrEqual(3);
    expect(messages().filter(([, message]) => message === 'Redis is back')).toHaveLength(1);
  }
  expect(await publishTimes(one.gateway, two.gateway, 'after', 3 * LIMIT)).toBe(LIMIT);
  await received.count(before + 2 * LIMIT);
  const seqs = received.items.slice(1).map(({ id }) => Number(id.split('-')[1]));
  expect(seqs).toEqual(Array.from({ length: 3 * LIMIT }, (_, index) => index + 1));
});

test('a Redis that takes no writes any more is left for the one that is at its address by then', { timeout: 60_000 }, async () => {
  await using old = await startRedis();
  await using fresh = await startRedis();
  await using proxy = await startProxy(old.port);
  const env = { ...(await sharedEnv()), COURIER_BROKER: `redis://127.0.0.1:${proxy.port}` };
  await using gateway = await startGateway(env);
  proxy.aim(fresh.port);
  expect(await brokerOf(gateway)).toEqual({ status: 'healthy', kind: 'redis' });
  await adminOf(old, (admin) => admin('REPLICAOF', '127.0.0.1', String(fresh.port)));
  await adminOf(fresh, (admin) => expect.poll(() => admin('CLIENT', 'LIST'), SOON).toMatch(/name=courier/));
  await expect.poll(() => brokerOf(gateway), SOON).toEqual({ status: 'healthy', kind: 'redis' });
});

test.each(
  REFUSALS.filter(({ name }) =>
    ['is a replica', 'gives no right to scripts', 'gives no right to channels', 'has another password'].includes(name),
  ),
)('at the start, a Redis that $name keeps no gateway from starting', { timeout: 60_000 }, async ({ begin, end, words }) => {
  await using redis = await startGuardedRedis();
  await adminOf(redis, (admin) => begin(admin, redis, ''));
  const { gateway: started, lines } = await watchedGateway({ ...(await sharedEnv()), COURIER_BROKER: brokerUrl(redis) });
  await using gateway = started;
  expect(await brokerOf(gateway)).toMatchObject({ status: 'degraded', action: expect.stringMatching(words) });
  expect(lines.filter(({ level }) => level === 'WARN').map(({ message }) => message)).toEqual(['Redis cannot be used']);
  await adminOf(redis, async (admin) => end?.(admin, redis, ''));
  await expect.poll(() => brokerOf(gateway), SOON).toEqual({ status: 'healthy', kind: 'redis' });
});

test('the rights that the manual lists are enough', { timeout: 60_000 }, async () => {
  const manual = readFileSync(new URL('../../OPERATIONS.md', import.meta.url), 'utf8');
  const [, rights = ''] = /^ACL SETUSER courier on >secret ([^`]*)\n```$/m.exec(manual) ?? [];
  await using redis = await startRedis(['--user', 'courier', 'on', '>secret', ...rights.split(/\s+/)]);
  const env = { ...(await sharedEnv()), COURIER_BROKER: `${brokerUrl(redis)}/1`, COURIER_LIMITS: LIMITS };
  await using one = await startGateway(env);
  await using two = await startGateway(env);
  await expect.poll(() => metricsOf(one), SOON).toContain('courier_instances 2\n');
  await using client = two.webSocketClient(await two.token('reader', 'admin'));
  using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['**'] }, observer));
  await received.count(1);
  expect(await publishTimes(one, two, 'ada', 3 * LIMIT)).toBe(LIMIT);
  await received.count(1 + LIMIT);
  expect(await brokerOf(one)).toEqual({ status: 'healthy', kind: 'redis' });
  // Whatever Redis refused anybody is in its own log.
  expect(await adminOf(redis, (admin) => admin('ACL', 'LOG'))).toEqual([]);
});

test('a Redis that is full at the start keeps no gateway from starting', { timeout: 60_000 }, async () => {
  await using redis = await startRedis(['--maxmemory', '1']);
  const { gateway: started, lines } = await watchedGateway({ ...(await sharedEnv()), COURIER_BROKER: redis.url });
  await using gateway = started;
  expect(await brokerOf(gateway)).toMatchObject({ status: 'degraded', action: expect.stringMatching(/^Redis is full: /) });
  expect(lines.filter(({ level }) => level === 'WARN').map(({ message }) => message)).toEqual(['Redis cannot be used']);
  await adminOf(redis, (admin) => admin('CONFIG', 'SET', 'maxmemory', '0'));
  await expect.poll(() => brokerOf(gateway), SOON).toEqual({ status: 'healthy', kind: 'redis' });
});

test('nor does one that is loading', { timeout: 60_000 }, async () => {
  await using redis = await startRedis(SLOW_TO_LOAD);
  await adminOf(redis, fillAndSave);
  await redis.kill();
  await redis.restart();
  await using gateway = await startGateway({ ...(await sharedEnv()), COURIER_BROKER: redis.url });
  expect(await brokerOf(gateway)).toMatchObject({ status: 'degraded', action: expect.stringMatching(/^Redis is loading its data: /) });
  await expect.poll(() => brokerOf(gateway), SOON).toEqual({ status: 'healthy', kind: 'redis' });
});

const startGuardedRedis = (args: readonly string[] = []) => startRedis([...args, '--user', ...COURIER]);
const brokerUrl = ({ url }: RedisServer) => url.replace('redis://', 'redis://courier:secret@');

async function adminOf<T>({ url }: RedisServer, use: (admin: Admin) => Promise<T>): Promise<T> {
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use((...command) => client.sendCommand(command));
  } finally {
    client.destroy();
  }
}

/** Has Redis save, until that ends as it should. */
async function saved(admin: Admin, outcome: 'ok' | 'err'): Promise<void> {
  await expect
    .poll(async () => {
      await admin('BGSAVE').catch(() => undefined);
      return admin('INFO', 'persistence');
    }, SOON)
    .toContain(`rdb_last_bgsave_status:${outcome}`);
}

async function watchedGateway(env: Record<string, string>) {
  const lines: { level: string; message: string }[] = [];
  const stream = new Writable({
    write: (line, _encoding, done) => {
      lines.push(JSON.parse(String(line)));
      done();
    },
  });
  const logger = createLogger({ logLevel: 'info', logFormat: 'json' }, { destination: stream });
  return { gateway: await startGateway(env, {}, { logger }), lines };
}

/** Two gateways that know of each other, on a Redis of their own. */
async function startCluster(args: readonly string[]) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder()).path;
  const redis = stack.use(await startGuardedRedis([...args, '--dir', folder]));
  const env = { ...(await sharedEnv()), COURIER_BROKER: brokerUrl(redis), COURIER_LIMITS: LIMITS, COURIER_DRAIN_SECONDS: '2' };
  const start = async () => {
    const watched = await watchedGateway(env);
    stack.use(watched.gateway);
    return watched;
  };
  const [one, two] = [await start(), await start()];
  for (const { gateway } of [one, two]) await expect.poll(() => metricsOf(gateway), SOON).toContain('courier_instances 2\n');
  const resources = stack.move();
  const admin: Admin = (...command) => adminOf(redis, (send) => send(...command));
  return { redis, folder, admin, one, two, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function brokerOf({ url }: TestGateway) {
  const { components } = (await (await fetch(`${url}/health`)).json()) as { components: { broker: { status: string; action?: string } } };
  return components.broker;
}

const metricsOf = async ({ url }: TestGateway) => (await fetch(`${url}/metrics`)).text();

/** Publishes at both in turn, and counts what was acknowledged; everything else was refused by a limit. */
async function publishTimes(one: TestGateway, two: TestGateway, sub: string, times: number): Promise<number> {
  const token = await one.token(sub, 'admin');
  const statuses = await Promise.all(
    Array.from({ length: times }, async (_, index) => {
      const response = await fetch(`${(index % 2 === 0 ? one : two).url}/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(jobStarted()),
      });
      return response.status;
    }),
  );
  expect(statuses.filter((status) => status !== 201 && status !== 429)).toEqual([]);
  return statuses.filter((status) => status === 201).length;
}
