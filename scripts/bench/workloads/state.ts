/** The state of entities: what keeping it costs publishing, snapshots, watches, and a start with very many things. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import type { NewEvent } from '../../../src/log/log.ts';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { makeTemporaryFolder } from '../../temporary.ts';
import { benchEnvironment, benchToken } from '../environment.ts';
import { GatewayProcess } from '../gateway-process.ts';
import { cpuMicrosOf, rssBytesOf, startGatewayStage } from './gateway-stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

const WITHOUT = fileURLToPath(new URL('../contract-without-entities.ts', import.meta.url));
const IN_FLIGHT = 100;
/** Strategies whose orders are placed, and filled. */
const STRATEGIES = 50;
const WATCHES = 1000;
const CHANGES_PER_SECOND = 10;
const FILES = 4096;

async function state(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  for (const kind of ['the same things again and again', 'orders, each placed and filled'] as const) {
    rows.push(...(await inTurn(settings, `publishing ${kind}, ${IN_FLIGHT} in flight`, ['courier'], () => publishing(kind, settings))));
  }
  rows.push(...(await inTurn(settings, `${WATCHES} watches, ${CHANGES_PER_SECOND} changes/s`, ['courier'], () => watching(settings))));
  const orders = settings.quick ? 20_000 : 100_000;
  rows.push(...(await inTurn(settings, `a snapshot of ${thousands(orders)} orders to one watch`, ['courier'], () => snapshot(orders))));
  for (const open of settings.quick ? [1000, 20_000] : [1000, 1_000_000]) {
    rows.push(
      ...(await inTurn({ ...settings, rounds: 1 }, `a start with ${thousands(open)} open orders`, ['courier'], () => starting(open))),
    );
  }
  return rows;
}

/** With the contract's entities, and without them, in turn. */
async function publishing(kind: string, { seconds }: Settings): Promise<Record<string, number>> {
  const make = kind.startsWith('orders') ? order : progress;
  const measure = async (env: Record<string, string>) => {
    await using stage = await startGatewayStage(undefined, env);
    await publishFor(stage.port, stage.token, make, seconds);
    const before = await cpuMicrosOf(stage.port);
    const acks = await publishFor(stage.port, stage.token, make, seconds);
    // With what is stored of the last events.
    await wait(1500);
    return ((await cpuMicrosOf(stage.port)) - before) / acks;
  };
  const without = await measure({ COURIER_CONTRACT: WITHOUT });
  const with_ = await measure({});
  return { 'CPU µs/event': with_, 'without entities': without, ratio: with_ / without };
}

type Make = (n: number) => object;

const progress: Make = (n) => ({
  type: 'backtest.progress',
  channel: `backtest.b${n % STRATEGIES}`,
  data: { backtest_id: `b${n % STRATEGIES}`, progress: (n % 100) / 100, bars_processed: n, bars_total: 1_000_000_000 },
});

const order: Make = (n) => {
  const [order_id, strategy_id] = [`o${n >> 1}`, `s${(n >> 1) % STRATEGIES}`];
  const common = { order_id, symbol: 'SPX', side: 'buy', quantity: '1.5' };
  const data =
    n % 2 === 0
      ? { ...common, order_type: 'limit', limit_price: '1455.22', strategy_id }
      : { ...common, price: '1455.22', remaining_quantity: '0' };
  return { type: n % 2 === 0 ? 'order.placed' : 'order.filled', channel: `strategy.${strategy_id}`, data };
};

/** Numbers events across calls. */
let made = 0;

/** Publishes one by one over one WebSocket, so many in flight. Resolves to how many were acknowledged. */
async function publishFor(port: number, token: string, make: Make, seconds: number): Promise<number> {
  const socket = await opened(`ws://127.0.0.1:${port}/trpc`, token);
  let acks = 0;
  let inFlight = 0;
  let isOver = false;
  const done = Promise.withResolvers<void>();
  const send = () => {
    inFlight += 1;
    socket.send(JSON.stringify({ id: made, method: 'mutation', params: { path: 'events.publish', input: { json: make(made) } } }));
    made += 1;
  };
  socket.on('message', (message) => {
    if (acks === 0 && String(message).includes('"error"')) done.reject(new Error(String(message)));
    acks += 1;
    inFlight -= 1;
    if (!isOver) send();
    else if (inFlight === 0) done.resolve();
  });
  made += made % 2;
  for (let n = 0; n < IN_FLIGHT; n += 1) send();
  await Promise.race([wait(seconds * 1000), done.promise]);
  isOver = true;
  await done.promise;
  socket.terminate();
  return acks;
}

/** CPU for an item to one of many watches of one thing, beside that for an event to as many subscribers. */
async function watching({ seconds }: Settings): Promise<Record<string, number>> {
  const measure = async (query: string) => {
    await using stage = await startGatewayStage();
    const { port, token } = stage;
    let received = 0;
    const sockets: WebSocket[] = [];
    for (let n = 0; n < WATCHES; n += 1) {
      const socket = await opened(`ws://127.0.0.1:${port}/ws/backtest.b1${query}`, token);
      socket.on('message', () => {
        received += 1;
      });
      sockets.push(socket);
    }
    const publish = () => publishOnce(port, token, { ...progress(0), channel: 'backtest.b1', data: { backtest_id: 'b1', progress: 0.5 } });
    const pace = async (turns: number) => {
      for (let n = 0; n < turns; n += 1) {
        await publish();
        await wait(1000 / CHANGES_PER_SECOND);
      }
    };
    await pace(CHANGES_PER_SECOND);
    const [before, receivedBefore] = [await cpuMicrosOf(port), received];
    await pace(CHANGES_PER_SECOND * seconds);
    const figure = ((await cpuMicrosOf(port)) - before) / (received - receivedBefore);
    for (const socket of sockets) socket.terminate();
    return figure;
  };
  const items = await measure('?state=backtest');
  const events = await measure('');
  return { 'CPU µs/item': items, 'µs/event to as many subscribers': events, ratio: items / events };
}

async function publishOnce(port: number, token: string, draft: object): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' };
  const response = await fetch(`http://127.0.0.1:${port}/publish`, { method: 'POST', headers, body: JSON.stringify(draft) });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
}

async function snapshot(orders: number): Promise<Record<string, number>> {
  await using stage = await startGatewayStage((path) => fillOrders(path, orders));
  const { port, token } = stage;
  await built(port);
  // Once to compile the code.
  await snapshotOf(port, token);
  const seconds = await snapshotOf(port, token);
  return { 'items/s': orders / seconds, 'ms in all': seconds * 1000 };
}

/** Resolves to the time until the state is ready, in s. */
async function snapshotOf(port: number, token: string): Promise<number> {
  const startedAt = performance.now();
  const socket = await opened(`ws://127.0.0.1:${port}/ws/strategy.*?state=order`, token);
  await new Promise<void>((resolve, reject) => {
    socket.on('message', (message: Buffer) => {
      if (message.length < 400 && message.includes('"state.ready"')) resolve();
    });
    socket.on('close', (code, reason) => reject(new Error(`closed with ${code}: ${String(reason)}`)));
  });
  const seconds = (performance.now() - startedAt) / 1000;
  socket.removeAllListeners('close');
  socket.terminate();
  return seconds;
}

async function starting(open: number): Promise<Record<string, number>> {
  const folder = makeTemporaryFolder('bench');
  try {
    const path = join(folder, 'courier.db');
    await fillOrders(path, open);
    await using gateway = await GatewayProcess.start(benchEnvironment(`sqlite:${path}`), FILES);
    await built(gateway.port);
    await gateway.end('SIGTERM');
    const startedAt = performance.now();
    await gateway.start();
    const ms = performance.now() - startedAt;
    await snapshotPage(gateway.port, await benchToken());
    return { 'ms to listening': ms, 'MB after a page': (await rssBytesOf(gateway.port)) / 1024 / 1024 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function snapshotPage(port: number, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}/state/strategy.*?entity=order&open=true&limit=100`, { headers });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
}

/** Resolves when the states of all events are stored. */
async function built(port: number): Promise<void> {
  for (;;) {
    const { components } = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as {
      components: { state: { status: string; unstored: number } };
    };
    if (components.state.status === 'healthy' && components.state.unstored === 0) return;
    await wait(100);
  }
}

/** Orders that were placed, of many strategies. */
async function fillOrders(path: string, count: number): Promise<void> {
  await using log = await openSqliteLog({ path });
  const metadata = { timestamp: new Date().toISOString(), source: 'chevalier' };
  for (let done = 0; done < count; done += 500) {
    const events = Array.from({ length: Math.min(500, count - done) }, (_, index): NewEvent => {
      const n = done + index;
      const channel = `strategy.s${n % 1000}`;
      const data = { order_id: `o${n}`, symbol: 'SPX', side: 'buy', order_type: 'limit', quantity: '1.5', limit_price: '1455.22' };
      const body = JSON.stringify({ channel, type: 'order.placed', metadata, data });
      return { channel, family: 'strategy', type: 'order.placed', version: 1, body };
    });
    await log.append(events);
  }
}

async function opened(url: string, token: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}

export const stateWorkloads: readonly Workload[] = [{ name: 'state', title: 'State of entities (SQLite)', run: state }];
