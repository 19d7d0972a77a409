/** States that are given by a gateway that breaks off on the way: what is shown is never a part of two of them. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { CONTRACT_HASH, CourierClient, type StateMap } from '../../client/src/index.ts';
import { resultText } from '../vectors/trpc-messages.ts';
import { QUICK, until } from './states.ts';

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params?: { readonly path: string; readonly lastEventId?: string };
}

/** What a watch is given: items and notices, or what becomes of its connection. */
type Told = { readonly id: string; readonly data: object } | 'drop' | 'move';

const IDENTITY = { sub: 'ada', role: 'admin', expires_at: new Date(), expires_in_ms: 3_600_000, contract: CONTRACT_HASH };

const item = (key: string, seq: number, id = `e-${seq}`) => ({
  id,
  data: { id: `e-${seq}`, channel: 'strategy.s1', entity: 'order', key, open: true, state: { order_id: key, status: 'open' } },
});
const notice = (type: string, id: string, data: object) => ({
  id,
  data: { id, channel: 'courier', type, metadata: { timestamp: '2026-01-02T03:04:05Z', source: 'courier' }, data },
});
const ready = (seq: number, items: number) => notice('state.ready', `e-${seq}`, { position: `e-${seq}`, items });
const reset = () => notice('state.reset', 'e-0', { reason: 'rebuilt', requested: 'e-9' });

/** Gives each watch the next part of a script, and notes where each said that it goes on. */
async function gatewayThatGives(script: readonly (readonly Told[])[]) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const asked: (string | undefined)[] = [];
  const give = (ws: WebSocket, id: number) => {
    for (const told of script[asked.length - 1] ?? []) {
      if (told === 'drop') ws.terminate();
      else if (told === 'move') ws.send(JSON.stringify({ id: null, method: 'reconnect' }));
      else ws.send(JSON.stringify({ id, result: { type: 'data', id: told.id, data: { json: told } } }));
    }
  };
  server.on('connection', (ws) => {
    ws.on('message', (text) => {
      if (String(text) === 'PING' || String(text) === 'PONG') return;
      for (const { id, method, params } of [JSON.parse(String(text))].flat() as Call[]) {
        if (params?.path === 'auth.whoami') ws.send(resultText(id, IDENTITY));
        else if (method === 'subscription') {
          asked.push(params?.lastEventId);
          ws.send(JSON.stringify({ id, result: { type: 'started' } }));
          give(ws, id);
        } else if (method === 'subscription.stop') ws.send(JSON.stringify({ id, result: { type: 'stopped' } }));
      }
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      for (const ws of server.clients) ws.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

const keysOf = (orders: StateMap<'order'>) => orders.items().map(({ key }) => key);

async function watch(script: readonly (readonly Told[])[], holds: (orders: StateMap<'order'>) => boolean) {
  await using gateway = await gatewayThatGives(script);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const orders = client.state('strategy.*', 'order');
  const shown: string[] = [];
  orders.subscribe(() => shown.push(keysOf(orders).join()));
  await until(orders, () => holds(orders));
  return { asked: gateway.asked, shown, keys: keysOf(orders), items: orders.items() };
}

test('what was given before a lost connection is given again, from the beginning', async () => {
  const { asked, shown } = await watch(
    [
      [item('gone', 1, 'e-0'), item('o1', 2, 'e-0'), 'drop'],
      [item('o1', 2, 'e-0'), item('o2', 3, 'e-0'), ready(5, 2)],
    ],
    ({ isReady }) => isReady,
  );
  expect([asked, shown]).toEqual([[undefined, undefined], ['o1,o2']]);
});

test('what was given before it moved to another connection is given again, from the beginning', async () => {
  const whole = [item('o1', 2, 'e-0'), item('o2', 3, 'e-0'), ready(5, 2)];
  // tRPC's client goes on where it was. To the gateway that is the beginning.
  const { asked, shown } = await watch([[item('gone', 1, 'e-0'), item('o1', 2, 'e-0'), 'move'], whole, whole], ({ isReady }) => isReady);
  expect([asked, shown]).toEqual([[undefined, 'e-0', undefined], ['o1,o2']]);
});

test('a state that is given anew, and breaks off, leaves the old one until the next is whole', async () => {
  const { asked, shown } = await watch(
    [
      [item('o1', 1), item('o2', 2), ready(2, 2), 'drop'],
      [reset(), item('o2', 2), item('o3', 3), 'drop'],
      [item('o2', 2), item('o4', 4), ready(4, 2), item('o5', 5)],
    ],
    (orders) => orders.get('o5') !== undefined,
  );
  expect(asked).toEqual([undefined, 'e-2', undefined]);
  expect(shown.at(-1)).toBe('o2,o4,o5');
  for (const keys of shown) expect(['o1,o2', 'o2,o4', 'o2,o4,o5']).toContain(keys);
});

test('what is given anew and is the same stays the same object, and what is not does not', async () => {
  const { data } = item('o2', 2);
  await using gateway = await gatewayThatGives([
    [item('o1', 1), item('o2', 2), ready(2, 2), 'drop'],
    // By another reducer: at the same position, another state.
    [reset(), item('o1', 1), { id: 'e-2', data: { ...data, state: { ...data.state, status: 'filled' } } }, ready(2, 2)],
  ]);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const orders = client.state('strategy.*', 'order');
  await orders.ready;
  const [o1] = orders.items();
  await until(orders, () => orders.get('o2')?.status === 'filled');
  expect(orders.items()[0]).toBe(o1);
});
