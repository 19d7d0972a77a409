/**
 * Very many connections with one subscription each: what they take of memory and CPU while nothing happens, and how long it is until
 * all have come back after the gateway was ended and started anew.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { signToken } from '../../../src/auth/tokens.ts';
import { makeTemporaryFolder } from '../../temporary.ts';
import { filesWithin, GatewayProcess } from '../gateway-process.ts';
import type { HolderAnswer, HolderQuestion } from '../holder.ts';
import { startWorker, type Worker } from '../processes.ts';
import { DRAFT } from '../publishers.ts';
import { BENCH_LIMITS, BENCH_SECRET, BENCH_TOKENS } from '../tokens.ts';
import { cpuMicrosOf, rssBytesOf } from './gateway-stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

type Holder = Worker<HolderQuestion, HolderAnswer>;

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
  for (const wanted of settings.quick ? [100] : [9000, 50_000]) {
    const files = filesWithin(wanted + OTHER_FILES);
    const count = Math.min(wanted, files - OTHER_FILES);
    if (count < wanted)
      settings.note(`${thousands(count)} connections instead of ${thousands(wanted)}: a process may open ${thousands(files)} files`);
    const title = `${thousands(count)} connections`;
    rows.push(...(await inTurn({ ...settings, rounds: 1 }, title, ['courier'], () => measure(settings, count, files))));
  }
  return rows;
}

async function measure(settings: Settings, count: number, files: number): Promise<Record<string, number>> {
  await using stack = new AsyncDisposableStack();
  const folder = makeTemporaryFolder('bench');
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const env = {
    PATH: process.env['PATH'],
    COURIER_LOG: `sqlite:${join(folder, 'courier.db')}`,
    COURIER_JWT_SECRET: BENCH_SECRET,
    COURIER_LIMITS: BENCH_LIMITS,
  };
  const gateway = stack.use(await GatewayProcess.start(env, files));
  const { port } = gateway;
  const token = await signToken(BENCH_TOKENS, { sub: 'bench', role: 'admin', expiresInSeconds: 86_400 });
  const emptyBytes = await settledRss(port);

  const connectedAt = performance.now();
  const holders = await hold(stack, port, token, count);
  const connectSeconds = (performance.now() - connectedAt) / 1000;
  const rssBytes = await settledRss(port);
  const cpuBefore = await cpuMicrosOf(port);
  const idleSeconds = settings.quick ? settings.seconds : IDLE_SECONDS;
  await wait(idleSeconds * 1000);
  const idleCpu = ((await cpuMicrosOf(port)) - cpuBefore) / 1e6 / idleSeconds;
  return {
    'RSS MiB': rssBytes / 2 ** 20,
    'KiB/connection': (rssBytes - emptyBytes) / count / 2 ** 10,
    'idle CPU s/s': idleCpu,
    'connected s': connectSeconds,
    ...(await secondsUntilBack(gateway, holders, token, 'SIGTERM')),
    ...(await secondsUntilBack(gateway, holders, token, 'SIGKILL')),
  };
}

/** In two processes at least, each with an address of its own. */
async function hold(stack: AsyncDisposableStack, port: number, token: string, count: number): Promise<Holder[]> {
  const processes = Math.max(2, Math.ceil(count / MOST_HELD));
  return await Promise.all(
    Array.from({ length: processes }, async (_, index) => {
      const holder: Holder = stack.use(await startWorker('./holder.ts'));
      const own = Math.floor(count / processes) + (index < count % processes ? 1 : 0);
      await holder.ask({ kind: 'hold', port, token, localAddress: `127.0.0.${index + 2}`, count: own }, 'held');
      return holder;
    }),
  );
}

/**
 * From the signal until the gateway listens again, and until nearly all and then all are subscribed again and have the event that was
 * published meanwhile, each once.
 */
async function secondsUntilBack(gateway: GatewayProcess, holders: readonly Holder[], token: string, signal: 'SIGTERM' | 'SIGKILL') {
  const returned = Promise.all(holders.map((holder) => holder.ask({ kind: 'return' }, 'returned')));
  returned.catch(() => undefined);
  const endedAt = now();
  await gateway.end(signal);
  await gateway.start();
  const listeningAt = now();
  await publishOne(gateway.port, token);
  const nearlyAllAt = Math.max(...(await returned).map(({ nearlyAllAtMs }) => nearlyAllAtMs));
  const allAt = now();
  return {
    [`${signal}: listening s`]: (listeningAt - endedAt) / 1000,
    [`${signal}: 90 % back s`]: (nearlyAllAt - endedAt) / 1000,
    [`${signal}: all back s`]: (allAt - endedAt) / 1000,
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
async function settledRss(port: number): Promise<number> {
  let before = await rssBytesOf(port);
  for (let second = 0; second < SETTLE_SECONDS; second += 1) {
    await wait(1000);
    const now = await rssBytesOf(port);
    if (Math.abs(now - before) < before * SETTLED) return now;
    before = now;
  }
  return before;
}

export const connectionWorkloads: readonly Workload[] = [
  {
    name: 'connections',
    title:
      'Idle connections with one subscription each, and their return after the gateway was ended (SQLite; memory as the system counts it)',
    run: connections,
  },
];
