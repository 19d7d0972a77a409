/** Several instances on one PostgreSQL and one Redis: publishing through all of them, and delivery from one to another. */
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { signToken } from '../../../src/auth/tokens.ts';
import { startGateway } from '../../demo/processes.ts';
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../../servers.ts';
import type { LoadAnswer, LoadQuestion } from '../load.ts';
import { startWorker } from '../processes.ts';
import { quantileOf, sortedOf } from '../quantiles.ts';
import { BENCH_LIMITS, BENCH_SECRET, BENCH_TOKENS } from '../tokens.ts';
import { inTurn, type Row, type Settings, type Workload } from './workload.ts';

const IN_FLIGHT = 512;
const LATENCY_PAUSE_MS = 5;

interface Servers {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly token: string;
}

async function startServers(stack: AsyncDisposableStack): Promise<Servers> {
  const postgres = stack.use(await startPostgres());
  const redis = stack.use(await startRedis());
  return { postgres, redis, token: await signToken(BENCH_TOKENS, { sub: 'bench', role: 'admin', expiresInSeconds: 86_400 }) };
}

/** Starts instances on a database of their own. */
async function startInstances({ postgres, redis }: Servers, count: number, stack: AsyncDisposableStack) {
  const database = await postgres.createDatabase();
  const urls: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const { url } = await startGateway(
      {
        PATH: process.env['PATH'],
        COURIER_PORT: '0',
        COURIER_LOG: database,
        COURIER_BROKER: redis.url,
        COURIER_JWT_SECRET: BENCH_SECRET,
        COURIER_LOG_FORMAT: 'json',
        COURIER_LIMITS: BENCH_LIMITS,
        COURIER_DRAIN_SECONDS: '1',
      },
      stack,
    );
    urls.push(url);
  }
  return urls;
}

async function cluster(settings: Settings): Promise<Row[]> {
  await using shared = new AsyncDisposableStack();
  const servers = await startServers(shared);
  const rows: Row[] = [];
  for (const count of settings.quick ? [2] : [1, 2, 3]) {
    const name = `${count} ${count === 1 ? 'instance' : 'instances'}, ${IN_FLIGHT} in flight`;
    const measured = await inTurn(settings, name, ['courier'], async () => {
      await using stack = new AsyncDisposableStack();
      const urls = await startInstances(servers, count, stack);
      const published = await Promise.all(
        urls.map((url) => publishThrough(url, Math.floor(IN_FLIGHT / count), servers.token, settings, stack)),
      );
      const figures = { 'acks/s': published.reduce((sum, { acksPerSecond }) => sum + acksPerSecond, 0) };
      if (count === 1) return figures;
      const { hereMs, thereMs } = await latencies(urls[0] as string, urls[1] as string, servers.token, settings.seconds);
      return { ...figures, 'same instance p50 ms': hereMs, 'other instance p50 ms': thereMs };
    });
    rows.push(...measured);
  }
  return rows;
}

async function publishThrough(url: string, inFlight: number, token: string, { seconds }: Settings, stack: AsyncDisposableStack) {
  const load = stack.use(await startWorker<LoadQuestion, LoadAnswer>('./load.ts'));
  const port = Number(new URL(url).port);
  const ask = (duration: number) =>
    load.ask({ kind: 'publish', transport: 'tRPC WebSocket', port, token, inFlight, seconds: duration }, 'published');
  await ask(seconds / 2);
  return ask(seconds);
}

/** From the publish call to the arrival at a subscriber of the same instance, and of another. */
async function latencies(here: string, there: string, token: string, seconds: number): Promise<{ hereMs: number; thereMs: number }> {
  const sentAt = new Map<string, number>();
  const listen = async (url: string) => {
    const took: number[] = [];
    const ws = new WebSocket(`${url.replace('http', 'ws')}/ws/forge.job.latency?token=${token}`);
    const live = Promise.withResolvers<void>();
    ws.on('message', (data) => {
      const { type, data: event } = JSON.parse(String(data)) as { type: string; data: { step?: string } };
      if (type === 'courier.live') live.resolve();
      const at = sentAt.get(event.step ?? '');
      if (at !== undefined) took.push(performance.now() - at);
    });
    await live.promise;
    return { took, ws };
  };
  const [one, other] = await Promise.all([listen(here), listen(there)]);
  const endsAt = performance.now() + seconds * 1000;
  for (let n = 0; performance.now() < endsAt; n += 1) {
    sentAt.set(String(n), performance.now());
    await fetch(`${here}/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        type: 'forge.job.progress',
        channel: 'forge.job.latency',
        data: { job_id: 'latency', progress: 0.5, step: String(n) },
      }),
    });
    await wait(LATENCY_PAUSE_MS);
  }
  for (const { ws } of [one, other]) ws.terminate();
  const median = (took: number[]) => quantileOf(sortedOf(took), 0.5);
  return { hereMs: median(one.took), thereMs: median(other.took) };
}

export const clusterWorkloads: readonly Workload[] = [
  { name: 'cluster', title: 'Several instances on PostgreSQL and Redis, all on this machine', run: cluster },
];
