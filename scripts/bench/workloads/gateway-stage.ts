/** The gateway itself, in a process of its own, with a process beside it that drives it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NewEvent } from '../../../src/log/log.ts';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { startGateway } from '../../demo/processes.ts';
import { makeTemporaryFolder } from '../../temporary.ts';
import { benchEnvironment, benchToken } from '../environment.ts';
import type { LoadAnswer, LoadQuestion } from '../load.ts';
import { startWorker, type Worker } from '../processes.ts';

export interface GatewayStage extends AsyncDisposable {
  readonly port: number;
  readonly token: string;
  /** Where its log is. */
  readonly folder: string;
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
      ...benchEnvironment(`sqlite:${path}`),
      COURIER_LOG_FORMAT: 'json',
      ...env,
    },
    stack,
  );
  const token = await benchToken();
  const load = stack.use(await startWorker<LoadQuestion, LoadAnswer>('./load.ts'));
  const resources = stack.move();
  const startLoad = async () => resources.use(await startWorker<LoadQuestion, LoadAnswer>('./load.ts'));
  return { port: Number(new URL(url).port), token, folder, load, startLoad, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Writes `count` events of about 300 bytes, as they were published `ageMs` ago. */
export async function fillLog(path: string, count: number, ageMs = 0): Promise<void> {
  await using log = await openSqliteLog({ path, now: () => Date.now() - ageMs });
  const data = JSON.stringify({ job_id: 'bench', result: { text: 'x'.repeat(120) } });
  const metadata = `{"timestamp":"${new Date().toISOString()}","source":"forge"}`;
  const body = `{"channel":"forge.job.bench","type":"forge.job.completed","metadata":${metadata},"data":${data}}`;
  const draft: NewEvent = { channel: 'forge.job.bench', family: 'forge.job', type: 'forge.job.completed', version: 1, body };
  for (let done = 0; done < count; done += 5000) await log.append(Array<NewEvent>(Math.min(5000, count - done)).fill(draft));
}

/** What a gateway has used of its processors, user and system. */
export async function cpuMicrosOf(port: number): Promise<number> {
  return 1e6 * (await metricOf(port, 'process_cpu_seconds_total'));
}

/** Its memory, as the system counts it. */
export async function rssBytesOf(port: number): Promise<number> {
  return await metricOf(port, 'process_resident_memory_bytes');
}

async function metricOf(port: number, name: string): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  // Of each worker, where there are several, and their supervisor.
  const values = [...metrics.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'gm'))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}
