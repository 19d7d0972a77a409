/** One gateway of one process, and of two workers: what it takes, what that costs, and how soon an event is with the other worker. */
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { DRAFT } from '../publishers.ts';
import { quantileOf, sortedOf } from '../quantiles.ts';
import { cpuMicrosOf, type GatewayStage, startGatewayStage } from './gateway-stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

const CONTENDERS = ['courier', 'courier-workers'] as const;
type Contender = (typeof CONTENDERS)[number];

/** Deliveries at a fixed load: so many events in one call, so often. */
const PER_CALL = 20;
const EVERY_MS = 50;
const SUBSCRIBERS = 1000;
/** Connections that latency is taken over, and publishes to each. */
const LISTENERS = 16;
const PUBLISHES = 200;

function startContender(name: Contender): Promise<GatewayStage> {
  return startGatewayStage(undefined, { COURIER_WORKERS: name === 'courier' ? '1' : '2' });
}

async function workers(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const inFlight of settings.quick ? [128] : [128, 1024]) {
    const title = `publish over tRPC WebSocket, ${thousands(inFlight)} in flight`;
    rows.push(...(await inTurn(settings, title, CONTENDERS, (name) => publishing(name, inFlight, settings))));
  }
  const load = `${thousands((PER_CALL * SUBSCRIBERS * 1000) / EVERY_MS)} deliveries/s to ${thousands(SUBSCRIBERS)}`;
  rows.push(...(await inTurn(settings, load, CONTENDERS, (name) => delivering(name, settings))));
  rows.push(...(await inTurn(settings, 'one event at a time, to its receipt', CONTENDERS, receiving)));
  return rows;
}

async function publishing(name: Contender, inFlight: number, { seconds }: Settings): Promise<Record<string, number>> {
  await using stage = await startContender(name);
  const { port, token, load } = stage;
  const publish = (time: number) =>
    load.ask({ kind: 'publish', transport: 'tRPC WebSocket', port, token, inFlight, seconds: time }, 'published');
  // Twice the code is to be compiled.
  await publish(seconds * 2);
  const before = await cpuMicrosOf(port);
  const { acks, acksPerSecond, p50Ms } = await publish(seconds);
  return { 'CPU µs/event': ((await cpuMicrosOf(port)) - before) / acks, 'acks/s': acksPerSecond, 'p50 ms': p50Ms };
}

async function delivering(name: Contender, { seconds }: Settings): Promise<Record<string, number>> {
  await using stage = await startContender(name);
  const { port, token, load } = stage;
  await load.ask({ kind: 'connect', contender: 'courier', port, token, channels: Array(SUBSCRIBERS).fill(DRAFT.channel) }, 'connected');
  await publishSteadily(stage, seconds * 2);
  const before = await cpuMicrosOf(port);
  const events = await publishSteadily(stage, seconds * 2);
  return { 'CPU µs/delivery': ((await cpuMicrosOf(port)) - before) / events / SUBSCRIBERS };
}

/** Resolves to how many events. */
async function publishSteadily({ port, token }: GatewayStage, seconds: number): Promise<number> {
  const body = JSON.stringify({ json: Array(PER_CALL).fill(DRAFT) });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' };
  let events = 0;
  for (const begunAt = performance.now(); performance.now() - begunAt < seconds * 1000; events += PER_CALL) {
    const response = await fetch(`http://127.0.0.1:${port}/trpc/events.publishBatch`, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(`events cannot be published: ${await response.text()}`);
    await response.arrayBuffer();
    await wait(Math.max(0, ((events + PER_CALL) / PER_CALL) * EVERY_MS - (performance.now() - begunAt)));
  }
  return events;
}

interface Listener {
  readonly socket: WebSocket;
  readonly connectionId: string;
  onEvent: () => void;
}

/** Over whichever worker a call comes, it is within for some of the listeners, and across for the others. */
async function receiving(name: Contender): Promise<Record<string, number>> {
  await using stage = await startContender(name);
  const { port, token } = stage;
  const known = new Set<string>();
  const listeners: (Listener & { readonly worker: number | null })[] = [];
  for (let n = 0; n < LISTENERS; n += 1) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/${DRAFT.channel}?token=${token}`);
    await new Promise((resolve) => socket.once('message', resolve));
    const added = (await connectionsOf(stage)).find(({ connection_id }) => !known.has(connection_id));
    if (added === undefined) throw new Error('a connection is not listed');
    known.add(added.connection_id);
    const listener = { socket, connectionId: added.connection_id, worker: added.worker, onEvent: () => undefined };
    socket.on('message', () => listener.onEvent());
    listeners.push(listener);
  }
  const within: number[] = [];
  const across: number[] = [];
  const home = listeners[0]?.worker;
  const publisher = await publisherOn(stage, home ?? null, known);
  for (let n = 0; n < PUBLISHES; n += 1) {
    const begunAt = performance.now();
    const received = listeners.map(
      (listener) =>
        new Promise<void>((resolve) => {
          listener.onEvent = () => {
            (listener.worker === home ? within : across).push(performance.now() - begunAt);
            resolve();
            return undefined;
          };
        }),
    );
    publisher.send(JSON.stringify({ id: n, method: 'mutation', params: { path: 'events.publish', input: { json: DRAFT } } }));
    await Promise.all(received);
  }
  for (const { socket } of listeners) socket.terminate();
  publisher.terminate();
  const p50 = (all: number[]) => quantileOf(sortedOf(all), 0.5);
  return { 'p50 ms, same worker': p50(within), ...(across.length > 0 && { 'p50 ms, other worker': p50(across) }) };
}

/** A tRPC connection that has come to this worker. */
async function publisherOn(stage: GatewayStage, worker: number | null, known: Set<string>): Promise<WebSocket> {
  for (;;) {
    const socket = new WebSocket(`ws://127.0.0.1:${stage.port}/trpc?connectionParams=1`);
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ method: 'connectionParams', data: { token: stage.token } }));
    socket.send(JSON.stringify({ id: -1, method: 'query', params: { path: 'auth.me' } }));
    await new Promise((resolve) => socket.once('message', resolve));
    const added = (await connectionsOf(stage)).find(({ connection_id }) => !known.has(connection_id));
    if (added?.worker === worker) return socket;
    if (added !== undefined) known.add(added.connection_id);
    socket.terminate();
  }
}

async function connectionsOf({ port, token }: GatewayStage): Promise<{ readonly connection_id: string; readonly worker: number | null }[]> {
  const answer = await fetch(`http://127.0.0.1:${port}/trpc/admin.connections`, { headers: { authorization: `Bearer ${token}` } });
  const { result } = (await answer.json()) as {
    result: { data: { json: { connections: { connection_id: string; worker: number | null }[] } } };
  };
  return result.data.json.connections;
}

export const workersWorkloads: readonly Workload[] = [{ name: 'workers', title: 'One process, and two workers', run: workers }];
