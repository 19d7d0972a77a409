/** Delivery: the same traffic through each contender, one after another. */
import type { Answer, Question } from '../contender.ts';
import { benchToken } from '../environment.ts';
import type { LoadAnswer, LoadQuestion, Traffic } from '../load.ts';
import { startWorker, type Worker } from '../processes.ts';
import type { ContenderName, SubscribedName } from '../protocols.ts';

/** One contender with its subscribers connected. */
export interface Stage extends AsyncDisposable {
  readonly contender: Worker<Question, Answer>;
  readonly load: Worker<LoadQuestion, LoadAnswer>;
  readonly port: number;
  readonly controlPort: number;
  /** Memory before anybody connected. */
  readonly emptyRssBytes: number;
}

/** Starts a contender and a load process with a subscriber to each of `channels`. */
export async function startStage(name: SubscribedName, channels: readonly string[]): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const stage = stack.use(await startEmptyStage(name));
  const token = await benchToken();
  await stage.load.ask({ kind: 'connect', contender: name, port: stage.port, token, channels }, 'connected');
  stack.move();
  return stage;
}

/** Starts a contender and a load process. */
export async function startEmptyStage(name: ContenderName): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const contender = stack.use(await startWorker<Question, Answer>(`./contenders/${name}.ts`));
  const ready = await contender.first;
  if (ready.kind !== 'ready') throw new Error(`${name} is not ready`);
  const load = stack.use(await startWorker<LoadQuestion, LoadAnswer>('./load.ts'));
  const { rssBytes } = await contender.ask('memory', 'memory');
  const resources = stack.move();
  return {
    contender,
    load,
    port: ready.port,
    controlPort: ready.controlPort,
    emptyRssBytes: rssBytes,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

export interface Throughput {
  readonly deliveriesPerSecond: number;
  readonly cpuMicrosPerDelivery: number;
}

/** As much as the contender can do. */
export async function measureThroughput(stage: Stage, traffic: Traffic, seconds: number): Promise<Throughput> {
  const { contender, load, controlPort } = stage;
  await load.ask({ kind: 'saturate', controlPort, traffic, seconds: seconds / 2 }, 'saturated');
  const before = await contender.ask('usage', 'usage');
  const result = await load.ask({ kind: 'saturate', controlPort, traffic, seconds }, 'saturated');
  const after = await contender.ask('usage', 'usage');
  return {
    deliveriesPerSecond: result.deliveries / result.seconds,
    cpuMicrosPerDelivery: (after.cpuMicros - before.cpuMicros) / result.deliveries,
  };
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** Turns that were not sent because the contender was that far behind. */
  readonly late: number;
}

/** At a fixed load. */
export async function measureLatency(stage: Stage, traffic: Traffic, turnsPerSecond: number, seconds: number): Promise<Latency> {
  const { load, controlPort } = stage;
  const { p50Ms, p99Ms, p999Ms, maxMs, late } = await load.ask({ kind: 'pace', controlPort, traffic, turnsPerSecond, seconds }, 'paced');
  return { p50Ms, p99Ms, p999Ms, maxMs, late };
}
