/** What it costs to watch the gateway: counting, logging, and answers to health checks while it is busy. */
import { setTimeout as wait } from 'node:timers/promises';
import { TRANSPORTS } from '../publishers.ts';
import { quantileOf, sortedOf } from '../quantiles.ts';
import { cpuMicrosOf, type GatewayStage, startGatewayStage } from './gateway-stage.ts';
import { measureThroughput, startStage } from './stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

const CHANNEL = 'forge.job.bench';
const TRAFFIC = { perTurn: 20, bytes: 300, channels: [CHANNEL] };
/** Rounds, at least: the difference is about the noise of one. */
const MIN_ROUNDS = 5;
const HEALTH_PAUSE_MS = 20;
/** Publishes in flight while logging is measured: as many as the gateway can take. */
const IN_FLIGHT = 128;

async function metrics(settings: Settings): Promise<Row[]> {
  const subscribers = 200;
  const rounds = Math.max(MIN_ROUNDS, settings.rounds);
  const title = `20 a turn, 300 B, to ${thousands(subscribers)}`;
  return inTurn({ ...settings, rounds }, title, ['courier', 'courier-unmetered'], async (name) => {
    await using stage = await startStage(name, Array(subscribers).fill(CHANNEL));
    const traffic = { ...TRAFFIC, deliveriesPerTurn: TRAFFIC.perTurn * subscribers };
    const { deliveriesPerSecond, cpuMicrosPerDelivery } = await measureThroughput(stage, traffic, settings.seconds);
    return { 'deliveries/s': deliveriesPerSecond, 'CPU µs/delivery': cpuMicrosPerDelivery };
  });
}

/** One gateway, whose level changes between the rounds: its log goes through a pipe, of which each line is read. */
async function logging(settings: Settings): Promise<Row[]> {
  const rounds = Math.max(MIN_ROUNDS, settings.rounds);
  const rows: Row[] = [];
  for (const transport of TRANSPORTS) {
    await using stage = await startGatewayStage();
    const { port, token, load } = stage;
    const publish = (seconds: number) => load.ask({ kind: 'publish', transport, port, token, inFlight: IN_FLIGHT, seconds }, 'published');
    await publish(settings.seconds);
    const title = `${transport}, ${IN_FLIGHT} in flight`;
    const measured = await inTurn({ ...settings, rounds }, title, ['courier', 'courier-quiet'], async (name) => {
      await setLogLevel(stage, name === 'courier' ? 'info' : 'warn');
      const before = await cpuMicrosOf(port);
      const { acks, acksPerSecond, p50Ms } = await publish(settings.seconds);
      return { 'CPU µs/event': ((await cpuMicrosOf(port)) - before) / acks, 'acks/s': acksPerSecond, 'p50 ms': p50Ms };
    });
    rows.push(...measured);
  }
  return rows;
}

async function setLogLevel({ port, token }: GatewayStage, level: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/trpc/admin.setLogLevel`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ json: { level } }),
  });
  if (!response.ok) throw new Error(`the level cannot be set: ${await response.text()}`);
}

/** As much as the gateway can deliver, and somebody who asks how it is. */
async function health(settings: Settings): Promise<Row[]> {
  const subscribers = 1000;
  return inTurn(
    { ...settings, rounds: 1 },
    `GET /health at full load, ${thousands(subscribers)} subscribers`,
    ['courier'],
    async (name) => {
      await using stage = await startStage(name, Array(subscribers).fill(CHANNEL));
      const stop = new AbortController();
      const traffic = { ...TRAFFIC, deliveriesPerTurn: TRAFFIC.perTurn * subscribers };
      const load = measureThroughput(stage, traffic, settings.seconds * 2).finally(() => stop.abort());
      const took: number[] = [];
      while (!stop.signal.aborted) {
        const startedAt = performance.now();
        await (await fetch(`http://127.0.0.1:${stage.port}/health`)).arrayBuffer();
        took.push(performance.now() - startedAt);
        await wait(HEALTH_PAUSE_MS);
      }
      const { deliveriesPerSecond } = await load;
      const sorted = sortedOf(took);
      const quantile = (share: number) => quantileOf(sorted, share);
      return { 'p50 ms': quantile(0.5), 'p99 ms': quantile(0.99), 'max ms': quantile(1), 'deliveries/s': deliveriesPerSecond };
    },
  );
}

export const operationsWorkloads: readonly Workload[] = [
  { name: 'metrics', title: 'What counting for /metrics costs', run: metrics },
  { name: 'logging', title: 'What it costs to log each publication', run: logging },
  { name: 'health', title: 'Health checks under load', run: health },
];
