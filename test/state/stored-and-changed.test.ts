/** What is stored as selected and has changed in memory since is not left with a client: neither by a page nor by a watch. */
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';

const CHANNEL = 'strategy.s1';
const order = (order_id: string) => ({
  channel: CHANNEL,
  type: 'order.placed',
  data: { order_id, symbol: 'SPX', side: 'buy', order_type: 'market', quantity: '1', strategy_id: 's1' },
});
const cancelled = (order_id: string) => ({
  channel: CHANNEL,
  type: 'order.cancelled',
  data: { order_id, symbol: 'SPX', reason: 'no' },
});

test('an order that was stored as open and is cancelled before the next checkpoint', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const publish = async (url: string, token: string, event: object) => {
    const answer = await fetch(`${url}/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(event),
    });
    expect(answer.status).toBe(201);
  };
  {
    await using gateway = await startGateway(env);
    const token = await gateway.token('chevalier', 'service');
    for (const id of ['o1', 'o2', 'o3', 'o4']) await publish(gateway.url, token, order(id));
    // What ends in order stores what it has.
  }
  await using gateway = await startGateway(env);
  const token = await gateway.token('chevalier', 'service');
  const headers = { authorization: `Bearer ${token}` };
  const read = async (query: string) => {
    const answer = await fetch(`${gateway.url}/state/${CHANNEL}?entity=order&open=true${query}`, { headers });
    return (await answer.json()) as { items: { key: string; state: object | null }[]; next: string; has_more: boolean };
  };
  await publish(gateway.url, token, cancelled('o1'));
  await publish(gateway.url, token, cancelled('o2'));

  const open = new Map<string, unknown>();
  let after = '';
  for (let hasMore = true; hasMore; ) {
    const page = await read(`&limit=1${after}`);
    for (const { key, state } of page.items) {
      if (state === null) open.delete(key);
      else open.set(key, state);
    }
    after = `&after=${page.next}`;
    hasMore = page.has_more;
  }
  expect([...open.keys()].sort()).toEqual(['o3', 'o4']);

  const watched = new Map<string, unknown>();
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/${CHANNEL}?state=order&open=true&token=${token}`);
  await new Promise<void>((resolve, reject) => {
    socket.onerror = () => reject(new Error('it was closed'));
    socket.onmessage = ({ data }) => {
      const { type, key, state } = JSON.parse(data as string);
      if (type === 'state.ready') resolve();
      else if (state === null) watched.delete(key);
      else watched.set(key, state);
    };
  });
  expect([...watched.keys()].sort()).toEqual(['o3', 'o4']);
  const closed = new Promise((resolve) => {
    socket.onclose = resolve;
  });
  socket.close();
  await closed;
});
