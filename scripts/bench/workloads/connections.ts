/**
 * Very many connections with one subscription each, to one gateway or to several that share a log: what they take of memory and CPU
 * while nothing happens, and how long it is until all have come back after gateways were ended and started anew.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeTemporaryFolder } from '../../temporary.ts';
import { benchEnvironment, benchToken } from '../environment.ts';
import { filesWithin, GatewayProcess } from '../gateway-process.ts';
import type { HolderAnswer, HolderQuestion } from '../holder.ts';
import { startWorker, type Worker } from '../processes.ts';
import { DRAFT } from '../publishers.ts';
import { clusterEnvironment, startServers } from './cluster.ts';
import { cpuMicrosOf, rssBytesOf } from './gateway-stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

type Holder = Worker<HolderQuestion, HolderAnswer>;
type Gateways = readonly GatewayProcess[];

/** More than one gateway has files for on many systems. */
const MANY = 50_000;
const MIN_INSTANCES = 3;
/** Connections of one process that holds them, which has files and ports for so many. */
const MOST_HELD = 15_000;
/** Files of a gateway beside its connections, with those that it keeps in reserve (OPERATIONS.md). */
const OTHER_FILES = 200;
/** In this time the gateway pings each connection once. */
const IDLE_SECONDS = 30;
/** Memory has settled when it changes by less than this part in a second. */
const SETTLED = 0.01;
const SETTLE_SECONDS = 10;

async function connections(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of settings.quick ? [100] : [9000, MANY]) rows.push(...(await onOneInstance(settings, count)));
  if (settings.quick) settings.note('Several instances are not measured with --quick: they alone take half a minute');
  else rows.push(...(await onSeveralInstances(settings, MANY)));
  return rows;
}

async function onOneInstance(settings: Settings, wanted: number): Promise<Row[]> {
  const files = filesWithin(wanted + OTHER_FILES);
  const count = Math.min(wanted, files - OTHER_FILES);
  if (count < wanted)
    settings.note(`${thousands(count)} connections instead of ${thousands(wanted)}: a process may open ${thousands(files)} files`);
  return await measured(settings, `${thousands(count)} connections`, async (stack) => {
    const folder = makeTemporaryFolder('bench');
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const gateway = stack.use(await GatewayProcess.start(benchEnvironment(`sqlite:${join(folder, 'courier.db')}`), files));
    return await measure(settings, stack, [gateway], count);
  });
}

/** On as many as have files for all connections together. */
async function onSeveralInstances(settings: Settings, count: number): Promise<Row[]> {
  const files = filesWithin(count + OTHER_FILES);
  const instances = Math.max(MIN_INSTANCES, Math.ceil(count / (files - OTHER_FILES)));
  const title = `${thousands(count)} connections, ${instances} instances on PostgreSQL and Redis`;
  return await measured(settings, title, async (stack) => {
    const environment = await clusterEnvironment(await startServers(stack));
    const gateways: GatewayProcess[] = [];
    for (let n = 0; n < instances; n += 1) gateways.push(stack.use(await GatewayProcess.start(environment, files)));
    return await measure(settings, stack, gateways, count);
  });
}

function measured(
  settings: Settings,
  title: string,
  run: (stack: AsyncDisposableStack) => Promise<Record<string, number>>,
): Promise<Row[]> {
  return inTurn({ ...settings, rounds: 1 }, title, ['courier'], async () => {
    await using stack = new AsyncDisposableStack();
    return await run(stack);
  });
}

/** Figures of all gateways together. */
async function measure(settings: Settings, stack: AsyncDisposableStack, gateways: Gateways, count: number) {
  const token = await benchToken();
  const emptyBytes = await settledRss(gateways);
  const connectedAt = performance.now();
  const holders = await hold(stack, gateways, token, count);
  const connectSeconds = (performance.now() - connectedAt) / 1000;
  const rssBytes = await settledRss(gateways);
  const cpuBefore = await sumOver(gateways, cpuMicrosOf);
  const idleSeconds = settings.quick ? settings.seconds : IDLE_SECONDS;
  await wait(idleSeconds * 1000);
  const idleCpu = ((await sumOver(gateways, cpuMicrosOf)) - cpuBefore) / 1e6 / idleSeconds;
  const { figures: afterAll } = await endAndReturn(gateways, gateways, holders, token, 'SIGTERM');
  const { figures: afterOne, lost, elsewhere } = await endAndReturn(gateways, gateways.slice(-1), holders, token, 'SIGKILL');
  if (gateways.length > 1)
    settings.note(
      `Of the ${thousands(lost)} connections of the instance that was killed, ${thousands(elsewhere)} went to the others, and ${thousands(lost - elsewhere)} back to it.`,
    );
  return {
    'RSS MiB': rssBytes / 2 ** 20,
    'KiB/connection': (rssBytes - emptyBytes) / count / 2 ** 10,
    'idle CPU s/s': idleCpu,
    'connected s': connectSeconds,
    ...afterAll,
    ...afterOne,
  };
}

/** In two processes at least, each with an address of its own. */
async function hold(stack: AsyncDisposableStack, gateways: Gateways, token: string, count: number): Promise<Holder[]> {
  const processes = Math.max(2, Math.ceil(count / MOST_HELD));
  const ports = gateways.map(({ port }) => port);
  return await Promise.all(
    Array.from({ length: processes }, async (_, index) => {
      const holder: Holder = stack.use(await startWorker('./holder.ts'));
      const own = Math.floor(count / processes) + (index < count % processes ? 1 : 0);
      await holder.ask({ kind: 'hold', ports, token, localAddress: `127.0.0.${index + 2}`, count: own }, 'held');
      return holder;
    }),
  );
}

/**
 * From the signal to some of the gateways until these listen again, and until nearly all whose connections were lost, and then all, are
 * subscribed again and have the event that was published meanwhile, each once.
 */
async function endAndReturn(gateways: Gateways, ended: Gateways, holders: readonly Holder[], token: string, signal: 'SIGTERM' | 'SIGKILL') {
  const ports = ended.map(({ port }) => port);
  await Promise.all(holders.map((holder) => holder.ask({ kind: 'lose', ports }, 'losing')));
  const endedAt = now();
  await Promise.all(ended.map((gateway) => gateway.end(signal)));
  await Promise.all(ended.map((gateway) => gateway.start()));
  const listeningAt = now();
  await publishOne((gateways[0] as GatewayProcess).port, token);
  const returned = await Promise.all(holders.map((holder) => holder.ask({ kind: 'return' }, 'returned')));
  const allAt = now();
  const nearlyAllAt = Math.max(...returned.map(({ nearlyAllAtMs }) => nearlyAllAtMs));
  const total = (of: 'lost' | 'elsewhere' | 'missing') => sumOf(returned.map((one) => one[of]));
  return {
    figures: {
      [`${signal}: listening s`]: (listeningAt - endedAt) / 1000,
      [`${signal}: 90 % back s`]: (nearlyAllAt - endedAt) / 1000,
      [`${signal}: all back s`]: (allAt - endedAt) / 1000,
      [`${signal}: missing`]: total('missing'),
    },
    lost: total('lost'),
    elsewhere: total('elsewhere'),
  };
}

/** In ms, as `process.hrtime`, which all processes share. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

async function publishOne(port: number, token: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(DRAFT),
  });
  if (!response.ok) throw new Error(`the event is not published: ${await response.text()}`);
}

/** As the system has it, once it stays the same: the garbage of connecting is collected when the gateway itself does so. */
async function settledRss(gateways: Gateways): Promise<number> {
  let before = await sumOver(gateways, rssBytesOf);
  for (let second = 0; second < SETTLE_SECONDS; second += 1) {
    await wait(1000);
    const now = await sumOver(gateways, rssBytesOf);
    if (Math.abs(now - before) < before * SETTLED) return now;
    before = now;
  }
  return before;
}

async function sumOver(gateways: Gateways, figureOf: (port: number) => Promise<number>): Promise<number> {
  return sumOf(await Promise.all(gateways.map(({ port }) => figureOf(port))));
}

const sumOf = (figures: readonly number[]): number => figures.reduce((sum, figure) => sum + figure, 0);

export const connectionWorkloads: readonly Workload[] = [
  {
    name: 'connections',
    title:
      'Idle connections with one subscription each, and their return after SIGTERM to all instances, and SIGKILL to one (SQLite where nothing else is said; memory as the system counts it; instances are summed)',
    run: connections,
  },
];
