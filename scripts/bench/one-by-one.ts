/** Latency of single events through a durable log, and what the disk beneath it takes for a sync of its own, in turn. */
import { once } from 'node:events';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DRAFT } from './publishers.ts';
import { quantileOf, sortedOf } from './quantiles.ts';
import { RawSocket, timeMark } from './raw-socket.ts';

/** For so long one event after another, to all sockets, and between them writes of 4 KiB to a file that are synced. */
export interface OneByOneQuestion {
  readonly kind: 'one-by-one';
  readonly port: number;
  readonly token: string;
  /** Where the file is made. */
  readonly folder: string;
  readonly seconds: number;
}
export interface OneByOneAnswer {
  readonly kind: 'delivered';
  readonly latency: Quantiles;
  readonly sync: Quantiles;
}

interface Quantiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const BLOCK = Buffer.alloc(4096, 1);
/** The file is written anew from its beginning after so many, as a write-ahead log is. */
const BLOCKS = 1000;
/** How long the last event may take to arrive. */
const GRACE_MS = 20_000;

export async function oneByOne(
  { port, token, folder, seconds }: OneByOneQuestion,
  subscribers: readonly RawSocket[],
): Promise<OneByOneAnswer> {
  const file = openSync(join(folder, 'synced'), 'w');
  const publisher = await connectPublisher(port, token);
  const tooLate = once(AbortSignal.timeout(seconds * 1000 + GRACE_MS), 'abort').then(() =>
    Promise.reject(new Error('an event did not arrive')),
  );
  tooLate.catch(() => undefined);
  const latencies: number[] = [];
  const syncs: number[] = [];
  const endsAt = performance.now() + seconds * 1000;
  for (let turn = 0; performance.now() < endsAt; turn += 1) {
    syncs.push(timeOfSync(file, turn % BLOCKS));
    const arrived = arrivals(subscribers, latencies);
    await Promise.race([Promise.all([publisher.publish(), arrived]), tooLate]);
  }
  publisher.socket.close();
  closeSync(file);
  return { kind: 'delivered', latency: quantilesOf(latencies), sync: quantilesOf(syncs) };
}

function timeOfSync(file: number, block: number): number {
  const startedAt = performance.now();
  writeSync(file, BLOCK, 0, BLOCK.length, block * BLOCK.length);
  fdatasyncSync(file);
  return performance.now() - startedAt;
}

/** Resolves once each subscriber has got an event. */
function arrivals(subscribers: readonly RawSocket[], latencies: number[]): Promise<void> {
  const all = Promise.withResolvers<void>();
  let missing = subscribers.length;
  for (const subscriber of subscribers) {
    subscriber.onLatency = (ms) => {
      latencies.push(ms);
      missing -= 1;
      if (missing === 0) all.resolve();
    };
  }
  return all.promise;
}

async function connectPublisher(port: number, token: string) {
  let answered = Promise.withResolvers<void>();
  const socket = await RawSocket.open({
    port,
    path: '/trpc?connectionParams=1',
    counter: { frames: 0 },
    hello: [JSON.stringify({ method: 'connectionParams', data: { token } })],
    answer: (text) => {
      if (text.includes('"result"')) answered.resolve();
      else answered.reject(new Error(text));
      return undefined;
    },
  });
  let id = 0;
  const publish = (): Promise<void> => {
    answered = Promise.withResolvers();
    id += 1;
    const json = { ...DRAFT, data: { ...DRAFT.data, message: timeMark() + DRAFT.data.message } };
    socket.send(JSON.stringify({ id, method: 'mutation', params: { path: 'events.publish', input: { json } } }));
    return answered.promise;
  };
  return { socket, publish };
}

function quantilesOf(measured: readonly number[]): Quantiles {
  const sorted = sortedOf(measured);
  return { p50Ms: quantileOf(sorted, 0.5), p99Ms: quantileOf(sorted, 0.99) };
}
