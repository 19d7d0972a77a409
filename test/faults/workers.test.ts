/** Workers of one gateway, while they and their supervisor are killed and stopped: every subscriber gets every event once, in order. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sharedEnv } from '../helpers/cluster.ts';
import { type Instances, startEmbedded, startInstances } from './instances.ts';
import { EXACT, LONG, report } from './ledger.ts';
import { childrenOf, exhaust, isThere } from './processes.ts';
import { startTraffic } from './traffic.ts';

const MINUTES = 60_000;
const WORKERS = { COURIER_WORKERS: '2', COURIER_DRAIN_SECONDS: '5' };
/** Connections of each kind, so that every worker has some. */
const SPREAD = 6;

interface Health {
  readonly status: string;
  readonly components: {
    readonly workers: { readonly status: string; readonly running: number; readonly restarts: number; readonly action?: string };
  };
}

async function healthOf(url: string): Promise<Health> {
  return (await (await fetch(`${url}/health`)).json()) as Health;
}

/** The processes of the workers of an instance. */
function workersOf(instances: Instances, index = 0): number[] {
  return childrenOf(instances.process(index).child.pid as number);
}

const spread = (instances: Instances) => ({ urls: instances.urls.flatMap((url) => Array<string>(SPREAD).fill(url)) });

test('kill -9 of a worker under load', { timeout: 5 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 20 : 3;
  await using instances = await startEmbedded(WORKERS);
  const [url] = instances.urls as [string];
  await using traffic = await startTraffic(spread(instances), { inFlight: 4 });
  for (let kill = 0; kill < kills; kill += 1) {
    await traffic.more(100);
    process.kill(workersOf(instances)[kill % 2] as number, 'SIGKILL');
    await traffic.more(100);
    await expect
      .poll(async () => (await healthOf(url)).components.workers, { timeout: 20_000 })
      .toMatchObject({ running: 2, restarts: kill + 1 });
  }
  const figures = await traffic.finish();
  report(task, 32, `two workers: kill -9 of one under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('a worker that is stopped is ended, and another takes its place', { timeout: 5 * MINUTES }, async ({ task }) => {
  await using instances = await startEmbedded(WORKERS);
  const [url] = instances.urls as [string];
  await using traffic = await startTraffic(spread(instances), { inFlight: 4 });
  await traffic.more(100);
  const [stopped] = workersOf(instances) as [number];
  process.kill(stopped, 'SIGSTOP');
  await expect.poll(() => workersOf(instances), { timeout: 30_000, interval: 200 }).not.toContain(stopped);
  await expect.poll(async () => (await healthOf(url)).components.workers, { timeout: 20_000 }).toMatchObject({ running: 2, restarts: 1 });
  await traffic.more(100);
  const figures = await traffic.finish();
  report(task, 33, 'two workers: one stopped (SIGSTOP) under load', figures);
  expect(figures).toMatchObject(EXACT);
});

test('SIGTERM to one worker moves its clients to the other, and another takes its place', { timeout: 5 * MINUTES }, async ({ task }) => {
  await using instances = await startEmbedded(WORKERS);
  const [url] = instances.urls as [string];
  await using traffic = await startTraffic(spread(instances), { inFlight: 4 });
  for (let end = 0; end < 2; end += 1) {
    await traffic.more(100);
    process.kill(workersOf(instances)[0] as number, 'SIGTERM');
    await expect
      .poll(async () => (await healthOf(url)).components.workers, { timeout: 20_000 })
      .toMatchObject({ running: 2, restarts: end + 1 });
  }
  await traffic.more(100);
  const figures = await traffic.finish();
  report(task, 34, 'two workers: SIGTERM to one under load, twice', figures);
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});

test('a supervisor that was stopped for a while goes on, and ends nobody', { timeout: 5 * MINUTES }, async ({ task }) => {
  await using instances = await startEmbedded(WORKERS);
  const [url] = instances.urls as [string];
  await using traffic = await startTraffic(spread(instances), { inFlight: 4 });
  await traffic.more(100);
  const supervisor = instances.process(0).child;
  supervisor.kill('SIGSTOP');
  // Longer than a worker may be silent.
  await wait(11_000);
  supervisor.kill('SIGCONT');
  await traffic.more(100);
  const figures = await traffic.finish();
  expect((await healthOf(url)).components.workers).toMatchObject({ running: 2, restarts: 0 });
  report(task, 35, 'two workers: their supervisor stopped (SIGSTOP) for 11 s', figures);
  expect(figures).toMatchObject(EXACT);
});

test('a worker that runs out of memory takes its own connections with it only', { timeout: 5 * MINUTES }, async ({ task }) => {
  await using instances = await startEmbedded({ ...WORKERS, NODE_OPTIONS: '--max-old-space-size=256' });
  const [url] = instances.urls as [string];
  await using traffic = await startTraffic(spread(instances), { inFlight: 4 });
  await traffic.more(100);
  await exhaust(workersOf(instances)[1] as number);
  await expect.poll(async () => (await healthOf(url)).components.workers, { timeout: 60_000 }).toMatchObject({ running: 2, restarts: 1 });
  await traffic.more(100);
  const figures = await traffic.finish();
  report(task, 36, 'two workers: one out of memory under load', figures);
  expect(figures).toMatchObject(EXACT);
});

test('kill -9 of the supervisor ends everything', { timeout: 5 * MINUTES }, async ({ task }) => {
  const kills = LONG ? 10 : 2;
  await using instances = await startEmbedded(WORKERS);
  await using traffic = await startTraffic(spread(instances), { inFlight: 4 });
  for (let kill = 0; kill < kills; kill += 1) {
    await traffic.more(100);
    const workers = workersOf(instances);
    // Starts on the same port and file at once.
    await instances.restart(0, 'SIGKILL');
    await expect.poll(() => workers.filter(isThere), { timeout: 5000 }).toEqual([]);
  }
  await traffic.more(100);
  const figures = await traffic.finish();
  report(task, 37, `two workers: kill -9 of their supervisor under load, ${kills} times`, figures);
  expect(figures).toMatchObject(EXACT);
});

test('rolling restart of two instances of two workers', { timeout: 5 * MINUTES }, async ({ task }) => {
  const rounds = LONG ? 5 : 1;
  const env = { ...(await sharedEnv()), ...WORKERS };
  await using instances = await startInstances([env, env]);
  await using traffic = await startTraffic(spread(instances), { inFlight: 2 });
  const codes: (number | string)[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const index of [0, 1]) {
      await traffic.more(100);
      codes.push(await instances.restart(index, 'SIGTERM'));
    }
  }
  await traffic.more(100);
  const figures = await traffic.finish();
  report(task, 38, `two instances of two workers: rolling restart under load, ${rounds} times each, exit code 0`, figures);
  expect(new Set(codes)).toEqual(new Set([0]));
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
});
