/** The state by calls, and by watches of a client that reads too slowly, loses its rights, or is one of many. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startGateway, type TestGateway, webSocketClient } from '../helpers/gateway.ts';
import { contract } from '../helpers/lumiere.ts';
import { startStates } from '../helpers/states.ts';
import { plainWebSocket } from '../helpers/transports.ts';

const placed = (order_id: string, channel = 'strategy.s1') =>
  ({
    type: 'order.placed',
    channel: channel as 'strategy.s1',
    data: { order_id, symbol: 'SPX', side: 'buy', order_type: 'market', quantity: '1' },
  }) as const;

async function publish(gateway: TestGateway, ...drafts: readonly ReturnType<typeof placed>[]): Promise<string[]> {
  const { events } = gateway.httpClient(await gateway.token('chevalier', 'service'));
  return (await events.publishBatch.mutate([...drafts])).map(({ id }) => id);
}

const ORDERS = { channels: ['strategy.s1'], entities: ['order' as const] };

describe('a page of the state', () => {
  test('is the same by call, over WebSocket, in a batch, and by its address', async () => {
    await using gateway = await startGateway();
    const ids = await publish(gateway, placed('o1'), placed('o2'), placed('o3'));
    const token = await gateway.token('reader', 'service');
    await using socket = gateway.webSocketClient(token);
    const { state } = gateway.httpClient(token);
    const [batched, other] = await Promise.all([state.get.query({ ...ORDERS, limit: 2 }), state.get.query({ ...ORDERS, keys: ['o3'] })]);
    const asked = await socket.trpc.state.get.query({ ...ORDERS, limit: 2 });
    const address = (query: string) =>
      fetch(`${gateway.url}/state/strategy.s1?entity=order&${query}`, { headers: { authorization: `Bearer ${token}` } });
    const read = await (await address('limit=2')).json();
    // Where the next one begins depends on what is stored by then.
    const next = expect.stringMatching(/^\w+-2-\d\.\d$/);
    expect([asked, JSON.parse(JSON.stringify(batched))]).toEqual([
      { ...batched, next },
      { ...(read as object), next },
    ]);
    expect(batched).toMatchObject({ has_more: true, position: ids[2], reset: null });
    expect([batched, other].map(({ items }) => items.map(({ id, key }) => [id, key]))).toEqual([
      [
        [ids[0], 'o1'],
        [ids[1], 'o2'],
      ],
      [[ids[2], 'o3']],
    ]);
    const rest = await state.get.query({ ...ORDERS, limit: 2, after: batched.next });
    expect(rest).toMatchObject({ items: [{ key: 'o3' }], has_more: false, next: ids[2], position: ids[2] });
    expect(await (await address(`limit=2&after=${batched.next}`)).json()).toMatchObject({ items: [{ key: 'o3' }] });
    // And from there on what has changed.
    const [id] = await publish(gateway, placed('o4'));
    expect(await state.get.query({ ...ORDERS, after: rest.next })).toMatchObject({ items: [{ id, key: 'o4' }], next: id });
  });

  test.each([
    ['garbage', 400, undefined],
    ['other-3', 200, 'epoch'],
    ['other-3-2.1', 200, 'epoch'],
  ])('after %s', async (after, status, reason) => {
    await using gateway = await startGateway();
    await publish(gateway, placed('o1'));
    const headers = { authorization: `Bearer ${await gateway.token('reader', 'service')}` };
    const answer = await fetch(`${gateway.url}/state/strategy.s1?after=${after}`, { headers });
    const body = (await answer.json()) as { issues?: { path: string }[]; reset?: { reason: string }; items?: unknown[] };
    expect([answer.status, body.issues?.[0]?.path, body.reset?.reason]).toEqual([status, status === 400 ? 'after' : undefined, reason]);
    if (status === 200) expect(body.items).toHaveLength(1);
  });

  test('is for those who may read the channels', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('ada');
    await expect(gateway.httpClient(token).state.get.query(ORDERS)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
    const answer = await fetch(`${gateway.url}/state/global,strategy.s1`, { headers: { authorization: `Bearer ${token}` } });
    expect([answer.status, await answer.json()]).toMatchObject([403, { code: 'FORBIDDEN' }]);
  });
});

test('a watch ends with the right to read, when its connection goes on with a token that has it not', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('ada', 'user', { subscribe: ['strategy.*'] });
  await using client = webSocketClient(gateway.url, token);
  const { trpc } = client as ReturnType<TestGateway['webSocketClient']>;
  const ready = Promise.withResolvers<void>();
  const lost = Promise.withResolvers<unknown>();
  const given: unknown[] = [];
  trpc.state.watch.subscribe(ORDERS, {
    onData: ({ data }) => {
      given.push(data);
      ready.resolve();
    },
    onError: lost.resolve,
  });
  await ready.promise;
  await trpc.auth.refresh.mutate({ token: await gateway.token('ada', 'user', { subscribe: ['strategy.s2'] }) });
  await publish(gateway, placed('o1'));
  expect(await lost.promise).toMatchObject({ data: { code: 'FORBIDDEN' } });
  expect(given).toHaveLength(1);
  expect(gateway.census.subscriptions).toBe(0);
});

test('who reads nothing while fifty things change 100,000 times is given the latest of each, and costs no memory', async () => {
  await using gateway = await startGateway();
  await using peer = plainWebSocket.subscribe(gateway.port, {
    token: await gateway.token('reader', 'service'),
    channels: 'strategy.s1',
    state: { entities: ['order'] },
    answersPings: true,
  });
  await peer.until(({ events }) => events.some(({ type }) => type === 'state.ready'));
  peer.pause();
  const { log, tail } = gateway.pipeline;
  const admin = gateway.httpClient(await gateway.token('root', 'admin')).admin;
  let buffered = 0;
  for (let published = 0; published < 100_000; published += 1000) {
    await log.append(
      Array.from({ length: 1000 }, (_, index) => {
        const channel = 'strategy.s1';
        const n = published + index;
        const data = { order_id: `o${n % 50}`, symbol: 'SPX', side: 'buy', order_type: 'market', quantity: String(n + 1) };
        const body = JSON.stringify({
          channel,
          type: 'order.placed',
          metadata: { timestamp: new Date(n).toISOString(), source: 'chevalier' },
          data,
        });
        return { channel, family: 'strategy', type: 'order.placed', version: contract.types.get('order.placed')?.version ?? 1, body };
      }),
    );
    await turn();
    if (published % 10_000 === 0)
      buffered = Math.max(buffered, (await admin.connections.query({ sub: 'reader' })).connections[0]?.buffered_bytes ?? 0);
  }
  expect(tail.seq).toBe(100_000);
  expect(buffered).toBeLessThan(2 * 1024 * 1024);
  peer.resume();
  const latest = () => {
    const quantities = new Map<string, string>();
    for (const event of peer.events as unknown as { key?: string; state?: { quantity: string } }[])
      if (event.key !== undefined) quantities.set(event.key, event.state?.quantity ?? '');
    return quantities;
  };
  await peer.until(({ events }) => events.at(-1)?.id === log.positions.at(100_000));
  expect([...latest()].sort()).toEqual(Array.from({ length: 50 }, (_, n) => [`o${n}`, String(99_951 + n)]).sort());
  // It is live again.
  const [id] = await publish(gateway, placed('o50'));
  await peer.until(({ events }) => events.at(-1)?.id === id);
  // Most of it was never sent.
  expect(peer.events.length).toBeLessThan(60_000);
});

test('a thousand that watch the same are handed the same', async () => {
  await using states = await startStates({ contract });
  const request = { channels: ['strategy.s1'], entities: ['order'], open: true };
  await states.publish(placed('o1'));
  await states.stored();
  await using stack = new AsyncDisposableStack();
  const watches = await Promise.all(Array.from({ length: 1000 }, () => stack.use(states.watch(request)).ready()));
  const serving = await states.pipeline.states.serving(new Set(['order']), new AbortController().signal);
  // They have read what is stored once, or a few times where a checkpoint came in between.
  expect(serving.reads.count).toBeLessThan(20);
  await states.publish(placed('o2'));
  await Promise.all(watches.map((watch) => watch.sink.until(() => watch.things.size === 2)));
  const [first] = watches;
  const last = first?.sink.received.at(-1);
  expect(watches.every(({ sink }) => sink.received.at(-1) === last)).toBe(true);
});

test('watches on one connection have their own items', async () => {
  await using gateway = await startGateway();
  await publish(gateway, placed('o1'));
  const token = await gateway.token('reader', 'service');
  await using socket = gateway.webSocketClient(token);
  const watch = (entities: ('order' | 'position')[], max_per_second?: number) =>
    new Promise<unknown[]>((resolve, reject) => {
      const given: unknown[] = [];
      socket.trpc.state.watch.subscribe(
        { channels: ['strategy.s1'], entities, max_per_second },
        {
          onData: ({ data }) => {
            given.push(data.type ?? data.entity);
            if (data.type === 'state.ready') resolve(given);
          },
          onError: reject,
        },
      );
    });
  expect(await Promise.all([watch(['order']), watch(['position']), watch(['order', 'position'], 1)])).toEqual([
    ['order', 'state.ready'],
    ['state.ready'],
    ['order', 'state.ready'],
  ]);
  expect(gateway.census.subscriptions).toBe(3);
});
