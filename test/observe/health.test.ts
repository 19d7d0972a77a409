/** States of health, each by a real cause; and the end of a gateway in which something was not caught. */
import { spawnSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { expect, test } from 'vitest';
import { localBroker } from '../../src/broker/broker.ts';
import type { EventLog } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { createHealth, type HealthSources } from '../../src/observe/health.ts';
import { NO_STATES } from '../../src/state/figures.ts';
import { Ledger } from '../faults/ledger.ts';
import { startLoad, storedEvents } from '../faults/load.ts';
import { newEvent } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';

interface Health {
  readonly status: string;
  readonly components: Record<string, { readonly status: string; readonly action?: string } | undefined>;
}

async function healthOf(url: string): Promise<{ status: number; health: Health }> {
  const response = await fetch(`${url}/health`);
  return { status: response.status, health: (await response.json()) as Health };
}

test('degraded when the memory is nearly full, and served all the same', { timeout: 60_000 }, async () => {
  await using gateway = await startProcess({
    COURIER_LOG: 'memory:',
    NODE_OPTIONS: `--max-old-space-size=128 --max-semi-space-size=1 --import=${new URL('./ballast.ts', import.meta.url)}`,
  });
  expect((await healthOf(gateway.url)).health).toMatchObject({ status: 'healthy', components: { memory: { status: 'healthy' } } });
  gateway.child.kill('SIGUSR2');
  let answer = await healthOf(gateway.url);
  while (answer.health.status === 'healthy') answer = await healthOf(gateway.url);
  expect(answer).toMatchObject({
    status: 200,
    health: {
      status: 'degraded',
      components: { memory: { status: 'degraded', action: expect.stringContaining('% of the memory limit is used') } },
    },
  });
  expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
});

test('every component has its figures', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${await processToken('ada', 'user')}`);
  await socket.count(1);
  const { components } = (await healthOf(gateway.url)).health;
  const count = expect.any(Number);
  expect(components).toEqual({
    websocket_server: { status: 'healthy', connections: 1, active_connections: 1, active_channels: 1, event_loop_late_ms: count },
    event_log: { status: 'healthy', head: 0, first_retained: 1 },
    broker: { status: 'healthy', kind: 'local' },
    memory: {
      status: 'healthy',
      usage_mb: count,
      limit_mb: count,
      heap_used_bytes: count,
      heap_limit_bytes: count,
      rss_bytes: count,
    },
    state: { status: 'healthy', behind: 0, unstored: 0, watches: 0 },
    errors: { status: 'healthy', last_minute: 0, share_of_calls: 0 },
  });
  const { usage_mb, limit_mb } = components['memory'] as unknown as { usage_mb: number; limit_mb: number };
  expect(usage_mb).toBeGreaterThan(0);
  expect(usage_mb).toBeLessThan(limit_mb);
});

test('Redis that does not answer is not waited for, and how long it takes is told', async () => {
  const asked: PromiseWithResolvers<void>[] = [];
  const ping = () => {
    const answer = Promise.withResolvers<void>();
    asked.push(answer);
    return answer.promise;
  };
  let problem: string | undefined;
  const broker = {
    kind: 'redis',
    ping,
    get problem() {
      return problem;
    },
  } as const;
  const check = healthOfParts({ log: openMemoryLog(), broker });
  const redis = async () => (await check()).components.redis as { status: string; latency_ms?: number };
  const startedAt = performance.now();
  expect((await redis()).latency_ms).toBeGreaterThanOrEqual(39);
  expect(performance.now() - startedAt).toBeLessThan(1000);
  expect((await redis()).latency_ms).toBeGreaterThanOrEqual(78);
  expect(asked).toHaveLength(1);
  asked[0]?.resolve();
  await asked[0]?.promise;
  const fast = redis();
  asked[1]?.resolve();
  expect((await fast).latency_ms).toBeLessThan(39);
  problem = 'Redis is away';
  const gone = redis();
  asked[2]?.reject(new Error('away'));
  expect(await gone).toEqual({ status: 'degraded', action: 'Redis is away' });
});

test('failures are told by the minute and by call', async () => {
  const share = async (failures: number, calls: number) =>
    (await healthOfParts({ log: openMemoryLog(), lastMinute: () => ({ failures, calls }) })()).components.errors;
  expect(await share(0, 0)).toEqual({ status: 'healthy', last_minute: 0, share_of_calls: 0 });
  expect(await share(3, 400)).toEqual({ status: 'healthy', last_minute: 3, share_of_calls: 0.0075 });
  expect(await share(20, 2)).toMatchObject({ status: 'degraded', last_minute: 20, share_of_calls: 1 });
});

/** What checks the health of a log alone. */
const healthOfLog = (log: EventLog) => healthOfParts({ log });

/** What checks the health of these parts; everything else is well. */
const healthOfParts = (parts: Pick<HealthSources, 'log'> & Partial<HealthSources>) =>
  createHealth({
    version: '0',
    startedAt: 0,
    broker: localBroker(),
    connections: () => ({ trpc: 0, plain: 0, sse: 0 }),
    channels: () => 0,
    lastMinute: () => ({ failures: 0, calls: 0 }),
    draining: () => false,
    serverProblem: () => undefined,
    lateMs: () => 0,
    states: () => NO_STATES,
    ...parts,
  });

test.each([
  ['disk', undefined],
  ['server', { total: 1, idle: 0, waiting: 1 }],
])('a log that does not answer in time is looked for at its %s', async (place, pool) => {
  const log = { pool, problem: undefined, bounds: () => Promise.withResolvers<never>().promise } as unknown as EventLog;
  expect((await healthOfLog(log)()).components['event_log']).toMatchObject({
    status: 'degraded',
    action: `the event log takes longer than 40 ms to answer: check its ${place}`,
  });
});

test('a log that fails says itself what to do, and nothing is added', async () => {
  using folder = temporaryFolder();
  const path = folder.file('courier.db');
  await using log = await openSqliteLog({ path });
  const check = healthOfLog(log);
  truncateSync(path, 100);
  await expect.poll(async () => (await check()).status, { timeout: 5000 }).toBe('unhealthy');
  expect((await check()).components['event_log'].action).toMatch(/cut off: end the gateway and start it again first; .* does not help$/);
});

test('unhealthy when the log is gone', async () => {
  using folder = temporaryFolder();
  const log = await openSqliteLog({ path: folder.file('courier.db') });
  const check = healthOfLog(log);
  expect((await check()).components['event_log']).toMatchObject({ status: 'healthy', head: 0 });
  await log[Symbol.asyncDispose]();
  expect(await check()).toMatchObject({
    status: 'unhealthy',
    components: { event_log: { status: 'unhealthy', action: expect.stringContaining('it is closed') } },
  });
});

test('degraded while publishes cannot be stored, until one could again', async () => {
  using folder = temporaryFolder();
  const reported: string[] = [];
  await using log = await openSqliteLog({
    path: folder.file('courier.db'),
    maxBytes: 1024 * 1024,
    onError: ({ message }, operation) => reported.push(`${operation}: ${message}`),
  });
  const check = async () => (await healthOfLog(log)()).components['event_log'];
  let refused: unknown;
  while (refused === undefined)
    await log.append([newEvent('global', { size: 10_000 })]).catch((error: unknown) => {
      refused = error;
    });
  expect(refused).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(await check()).toMatchObject({ status: 'degraded', action: expect.stringContaining('the disk is full') });
  expect(reported).toEqual(['append: the event log cannot serve this now: the disk is full']);
  await log.trim(Number.NEGATIVE_INFINITY, 50);
  await log.probe();
  expect(await check()).toMatchObject({ status: 'healthy' });
});

test('a log that fails is not asked more because somebody asks for the health', async () => {
  const asked = { bounds: 0, probe: 0 };
  let isAway = false;
  const log = {
    problem: 'the disk is full',
    concerns: [],
    bounds: async () => {
      asked.bounds += 1;
      if (isAway) throw new Error('away');
      return { first: 1, head: 0 };
    },
    probe: async () => {
      asked.probe += 1;
    },
  } as unknown as EventLog;
  const check = healthOfLog(log);
  for (let n = 0; n < 5; n += 1)
    expect((await check()).components['event_log']).toMatchObject({ status: 'degraded', action: expect.stringContaining('is full') });
  expect(asked).toEqual({ bounds: 5, probe: 0 });
  isAway = true;
  for (let n = 0; n < 5; n += 1)
    expect((await check()).components['event_log']).toMatchObject({ status: 'unhealthy', action: expect.stringMatching(/^away$/) });
  expect(asked).toEqual({ bounds: 6, probe: 0 });
  isAway = false;
  await expect.poll(async () => (await check()).components['event_log']?.status, { timeout: 10_000 }).toBe('degraded');
});

test('degraded while there is something to see to, though the log works', async () => {
  const { positions } = openMemoryLog();
  const concerns = [
    { about: 'clock', action: 'the clock is wrong: set it' },
    { about: 'disk', action: 'the disk is nearly full: make room' },
  ];
  const log = { positions, bounds: async () => ({ first: 1, head: 0 }), problem: undefined, concerns } as unknown as EventLog;
  expect((await healthOfLog(log)()).components['event_log']).toMatchObject({
    status: 'degraded',
    action: 'the clock is wrong: set it; the disk is nearly full: make room',
  });
});

const canSlow = spawnSync('strace', ['-D', '-o', '/dev/null', 'true']).status === 0;

// Needs strace and the right to use it.
if (canSlow) {
  test('degraded while the disk is slow, and answered all the same', { timeout: 60_000 }, async () => {
    using folder = temporaryFolder();
    await using gateway = await startProcess(
      { COURIER_LOG: `sqlite:${folder.file('courier.db')}` },
      {
        under: [
          'strace',
          '-D',
          '-f',
          '-qq',
          '-o',
          '/dev/null',
          '-e',
          'trace=fsync,fdatasync',
          '-e',
          'inject=fsync,fdatasync:delay_enter=100000',
        ],
      },
    );
    const token = await processToken('forge', 'service');
    expect((await healthOf(gateway.url)).health.components['event_log']).toMatchObject({ status: 'healthy' });
    await using load = startLoad({ url: gateway.url, token, ledger: new Ledger(), inFlight: 4 });
    let answer = await healthOf(gateway.url);
    while (answer.health.status === 'healthy') answer = await healthOf(gateway.url);
    await load.stop();
    expect(answer).toMatchObject({
      status: 200,
      health: {
        status: 'degraded',
        components: { event_log: { status: 'degraded', action: expect.stringContaining('takes longer than 40 ms') } },
      },
    });
    await expect.poll(async () => (await healthOf(gateway.url)).health.status, { timeout: 10_000 }).toBe('healthy');
  });
}

test.each(['exception', 'rejection', 'worker'])(
  'an uncaught %s is logged, and the gateway drains and ends with 1',
  { timeout: 60_000 },
  async (failure) => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
    await using gateway = await startProcess({
      ...env,
      COURIER_TEST_FAILURE: failure,
      NODE_OPTIONS: `--import=${new URL('./failing.ts', import.meta.url)}`,
    });
    let logged = '';
    gateway.child.stdout?.on('data', (chunk) => {
      logged += String(chunk);
    });
    const token = await processToken('forge', 'service');
    const ledger = new Ledger();
    const load = startLoad({ url: gateway.url, token, ledger, inFlight: 8 });
    await load.more(100);
    expect(await gateway.end('SIGUSR2')).toBe(1);
    await load[Symbol.asyncDispose]();
    expect(logged).toContain(failure === 'worker' ? 'the worker of the event log failed' : 'nobody caught this');
    expect(logged).toContain('draining, to end with 1');
    expect(logged).toContain('boom');
    expect(logged).toContain('stopped');
    await using again = await startProcess(env);
    const stored = new Set((await storedEvents(again.url, token)).map(({ id }) => id));
    expect(ledger.size).toBeGreaterThanOrEqual(100);
    expect(stored.size).toBe(ledger.size);
  },
);
