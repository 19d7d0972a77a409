/** What goes through the log: durable publishing, and latency beside the disk's, and publishing while old events are trimmed. */
import type { ContenderName } from '../protocols.ts';
import { DRAFT, type PublishQuestion, TRANSPORTS, type Transport } from '../publishers.ts';
import { cpuMicrosOf, fillLog, type GatewayStage, startGatewayStage } from './gateway-stage.ts';
import { startEmptyStage } from './stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

const DAY_MS = 86_400_000;

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

async function interference(settings: Settings): Promise<Row[]> {
  const old = settings.quick ? 50_000 : 500_000;
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
  return rows;
}

/** How much of the latency of one event is the disk's: each receipt counts, and each sync of 4 KiB in the same folder. */
async function syncLatency(settings: Settings): Promise<Row[]> {
  const subscribers = 100;
  return inTurn(settings, `1 event at a time, to ${subscribers} subscribers`, ['courier'], async () => {
    await using stage = await startGatewayStage();
    const { load, port, token, folder } = stage;
    await load.ask({ kind: 'connect', contender: 'courier', port, token, channels: Array(subscribers).fill(DRAFT.channel) }, 'connected');
    const ask = (seconds: number) => load.ask({ kind: 'one-by-one', port, token, folder, seconds }, 'delivered');
    await ask(settings.seconds / 2);
    const { latency, sync } = await ask(settings.seconds * 2);
    return {
      'p50 ms': latency.p50Ms,
      'p99 ms': latency.p99Ms,
      'sync p50 ms': sync.p50Ms,
      'sync p99 ms': sync.p99Ms,
      'p50 - 1.3 syncs': latency.p50Ms - 1.3 * sync.p50Ms,
      'p99 - 1.3 syncs': latency.p99Ms - 1.3 * sync.p99Ms,
    };
  });
}

export const logWorkloads: readonly Workload[] = [
  {
    name: 'publish',
    title: 'Durable publishing (SQLite, synced before each answer; the others store nothing)',
    run: durablePublish,
  },
  { name: 'sync', title: "Latency of one event beside the disk's own sync (SQLite)", run: syncLatency },
  { name: 'interference', title: 'Publishing while old events are trimmed', run: interference },
];
