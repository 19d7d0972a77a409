/** Several instances on one PostgreSQL and one Redis: publishing through all of them, and delivery from one to another. */
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { startGateway } from '../../demo/processes.ts';
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../../servers.ts';
import { benchEnvironment, benchToken } from '../environment.ts';
import type { LoadAnswer, LoadQuestion } from '../load.ts';
import { startWorker } from '../processes.ts';
import { quantileOf, sortedOf } from '../quantiles.ts';
import { inTurn, type Row, type Settings, type Workload } from './workload.ts';

const IN_FLIGHT = 512;
const LATENCY_PAUSE_MS = 5;

interface Servers {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
}

export async function startServers(stack: AsyncDisposableStack): Promise<Servers> {
  return { postgres: stack.use(await startPostgres()), redis: stack.use(await startRedis()) };
}

/** The variables of instances that share the servers, on a new database. */
export async function clusterEnvironment({ postgres, redis }: Servers): Promise<NodeJS.ProcessEnv> {
  return { ...benchEnvironment(await postgres.createDatabase()), COURIER_BROKER: redis.url };
}

async function startInstances(servers: Servers, count: number, stack: AsyncDisposableStack) {
  const environment = await clusterEnvironment(servers);
  const urls: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const { url } = await startGateway(
      {
        ...environment,
        COURIER_LOG_FORMAT: 'json',
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
  const token = await benchToken();
  const rows: Row[] = [];
  for (const count of settings.quick ? [2] : [1, 2, 3]) {
    const name = `${count} ${count === 1 ? 'instance' : 'instances'}, ${IN_FLIGHT} in flight`;
    const measured = await inTurn(settings, name, ['courier'], async () => {
      await using stack = new AsyncDisposableStack();
      const urls = await startInstances(servers, count, stack);
      const published = await Promise.all(urls.map((url) => publishThrough(url, Math.floor(IN_FLIGHT / count), token, settings, stack)));
      const figures = { 'acks/s': published.reduce((sum, { acksPerSecond }) => sum + acksPerSecond, 0) };
      if (count === 1) return figures;
      const { hereMs, thereMs } = await latencies(urls[0] as string, urls[1] as string, token, settings.seconds);
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
