/** What goes through the log: durable publishing, replay, a herd that resumes, and publishing while others use it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { signToken } from '../../../src/auth/tokens.ts';
import type { NewEvent } from '../../../src/log/log.ts';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { startGateway } from '../../demo/processes.ts';
import { makeTemporaryFolder } from '../../temporary.ts';
import type { LoadAnswer, LoadQuestion } from '../load.ts';
import { startWorker, type Worker } from '../processes.ts';
import type { ContenderName } from '../protocols.ts';
import { type PublishQuestion, TRANSPORTS, type Transport } from '../publishers.ts';
import { BENCH_LIMITS, BENCH_SECRET, BENCH_TOKENS } from '../tokens.ts';
import { startEmptyStage } from './stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

const DAY_MS = 86_400_000;

export interface GatewayStage extends AsyncDisposable {
  readonly port: number;
  readonly token: string;
  readonly load: Worker<LoadQuestion, LoadAnswer>;
  readonly startLoad: () => Promise<Worker<LoadQuestion, LoadAnswer>>;
}

/** A gateway in a process of its own on a new SQLite log, which `fill` may write to before. */
export async function startGatewayStage(fill?: (path: string) => Promise<void>, env: Record<string, string> = {}): Promise<GatewayStage> {
  await using stack = new AsyncDisposableStack();
  const folder = makeTemporaryFolder('bench');
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'courier.db');
  await fill?.(path);
  const { url } = await startGateway(
    {
      PATH: process.env['PATH'],
      COURIER_PORT: '0',
      COURIER_LOG: `sqlite:${path}`,
      COURIER_JWT_SECRET: BENCH_SECRET,
      COURIER_LOG_FORMAT: 'json',
      COURIER_LIMITS: BENCH_LIMITS,
      ...env,
    },
    stack,
  );
  const token = await signToken(BENCH_TOKENS, { sub: 'bench', role: 'admin', expiresInSeconds: 86_400 });
  const load = stack.use(await startWorker<LoadQuestion, LoadAnswer>('./load.ts'));
  const resources = stack.move();
  const startLoad = async () => resources.use(await startWorker<LoadQuestion, LoadAnswer>('./load.ts'));
  return { port: Number(new URL(url).port), token, load, startLoad, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Writes `count` events of about 300 bytes, as they were published `ageMs` ago. */
async function fillLog(path: string, count: number, ageMs = 0): Promise<void> {
  await using log = await openSqliteLog({ path, now: () => Date.now() - ageMs });
  const data = JSON.stringify({ job_id: 'bench', result: { text: 'x'.repeat(120) } });
  const metadata = `{"timestamp":"${new Date().toISOString()}","source":"forge"}`;
  const body = `{"channel":"forge.job.bench","type":"forge.job.completed","metadata":${metadata},"data":${data}}`;
  const draft: NewEvent = { channel: 'forge.job.bench', family: 'forge.job', type: 'forge.job.completed', version: 1, body };
  for (let done = 0; done < count; done += 5000) await log.append(Array<NewEvent>(Math.min(5000, count - done)).fill(draft));
}

/** Beside each transport what it costs when nothing is checked, and all but Courier store nothing. */
const PUBLISHED_BESIDE: Readonly<Record<Transport, readonly ContenderName[]>> = {
  'tRPC WebSocket': ['stock-trpc', 'ws-echo'],
  'tRPC batch': [],
  'plain HTTP': ['fastify', 'node-http'],
};

async function durablePublish(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const transport of TRANSPORTS) {
    for (const inFlight of settings.quick ? [128] : [1, 16, 64, 128, 512]) {
      const contenders = ['courier', ...PUBLISHED_BESIDE[transport]] as const;
      const measured = await inTurn(settings, `${transport}, ${inFlight} in flight`, contenders, (name) =>
        publishTo(name, transport, inFlight, settings.seconds),
      );
      rows.push(...measured);
    }
  }
  return rows;
}

async function publishTo(name: ContenderName, transport: Transport, inFlight: number, seconds: number): Promise<Record<string, number>> {
  if (name === 'courier') {
    await using stage = await startGatewayStage();
    return await measurePublish(stage, () => cpuMicrosOf(stage.port), { transport, inFlight, seconds });
  }
  await using stage = await startEmptyStage(name);
  const { contender, port, load } = stage;
  const cpuMicros = async () => (await contender.ask('usage', 'usage')).cpuMicros;
  return await measurePublish({ port, token: 'none', load }, cpuMicros, { transport, inFlight, seconds });
}

async function measurePublish(
  { port, token, load }: Pick<GatewayStage, 'port' | 'token' | 'load'>,
  cpuMicros: () => Promise<number>,
  traffic: Pick<PublishQuestion, 'transport' | 'inFlight' | 'seconds'>,
): Promise<Record<string, number>> {
  const ask = (seconds: number) => load.ask({ kind: 'publish', port, token, ...traffic, seconds }, 'published');
  await ask(traffic.seconds / 2);
  const before = await cpuMicros();
  const { acks, acksPerSecond, p50Ms, p99Ms } = await ask(traffic.seconds);
  return { 'CPU µs/event': ((await cpuMicros()) - before) / acks, 'acks/s': acksPerSecond, 'p50 ms': p50Ms, 'p99 ms': p99Ms };
}

/** What a gateway has used of its processors, user and system. */
export async function cpuMicrosOf(port: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return 1e6 * Number(/^process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1]);
}

async function replay(settings: Settings): Promise<Row[]> {
  const events = settings.quick ? 100_000 : 1_000_000;
  return inTurn({ ...settings, rounds: 1 }, `${thousands(events)} events to one subscriber`, ['courier'], async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, events));
    const { port, token } = stage;
    const { seconds } = await stage.load.ask({ kind: 'catch-up', port, token, clients: 1, events }, 'caught-up');
    return { 'events/s': events / seconds };
  });
}

async function herd(settings: Settings): Promise<Row[]> {
  const clients = settings.quick ? 500 : 5000;
  const missed = 200;
  const stored = 20_000;
  return inTurn({ ...settings, rounds: 1 }, `${thousands(clients)} clients, ${missed} events each`, ['courier'], async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, stored));
    const { port, token } = stage;
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${token}` } });
      return (await response.json()) as { log: { head: string; reads: number } };
    };
    const { head } = (await get('/stats')).log;
    const lastEventId = head.replace(/\d+$/, String(stored - missed));
    const { seconds } = await stage.load.ask({ kind: 'catch-up', port, token, clients, lastEventId, events: missed }, 'caught-up');
    return { seconds, 'events/s': (clients * missed) / seconds, 'log reads': (await get('/stats')).log.reads };
  });
}

async function interference(settings: Settings): Promise<Row[]> {
  const old = settings.quick ? 50_000 : 500_000;
  const replayed = 10_000;
  const rows: Row[] = [];
  const publish = async ({ load, port, token }: GatewayStage) => {
    const question = { kind: 'publish', transport: 'tRPC WebSocket', port, token, inFlight: 16, seconds: settings.seconds } as const;
    const { acksPerSecond, p50Ms, p99Ms, maxMs } = await load.ask(question, 'published');
    return { 'acks/s': acksPerSecond, 'p50 ms': p50Ms, 'p99 ms': p99Ms, 'max ms': maxMs };
  };
  const add = async (name: string, measure: () => Promise<Record<string, number>>) => {
    rows.push(...(await inTurn({ ...settings, rounds: 1 }, name, ['courier'], measure)));
  };
  await add('16 in flight, nothing else', async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, old));
    return await publish(stage);
  });
  await add(`16 in flight, while ${thousands(old)} old events are trimmed`, async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, old, 8 * DAY_MS));
    return await publish(stage);
  });
  await add(`16 in flight, while ${thousands(replayed)} events are replayed again and again`, async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, replayed));
    const other = await stage.startLoad();
    let publishing = true;
    const replaying = (async () => {
      const { port, token } = stage;
      while (publishing) await other.ask({ kind: 'catch-up', port, token, clients: 1, events: replayed }, 'caught-up');
    })();
    const figures = await publish(stage);
    publishing = false;
    await replaying;
    return figures;
  });
  return rows;
}

export const logWorkloads: readonly Workload[] = [
  {
    name: 'publish',
    title: 'Durable publishing (SQLite, synced before each answer; the others store nothing)',
    run: durablePublish,
  },
  { name: 'replay', title: 'Replay from SQLite', run: replay },
  { name: 'herd', title: 'Everyone reconnects and resumes', run: herd },
  { name: 'interference', title: 'Publishing while the log is busy', run: interference },
];
