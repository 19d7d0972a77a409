/** The scripted server plays what the vectors say, and finds what differs from them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import { webSocketClient } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { progressOf } from '../helpers/samples.ts';
import { overHttp, overPlainWebSocket, overTrpc, wsUrl } from './conversations.ts';
import { type PlayedVector, startScriptedServer } from './server.ts';
import { resultEvents, type SubscribeVector, type Vector, type WireEvent } from './vector.ts';

const CHANNEL = 'backtest.b1';
const DRAFT = { channel: CHANNEL, type: 'backtest.progress', data: progressOf() };

/** What a subscription over tRPC's own client gives, until the whole script has been played and as much has come. */
async function overStockClient(run: PlayedVector): Promise<WireEvent[]> {
  const { subscribe, result } = run.vector as SubscribeVector;
  const { channels, types, from } = subscribe;
  await using client = webSocketClient(run.url, 't1');
  using received = collect<{ data: { type: string } }>((observer) =>
    client.trpc.events.subscribe.subscribe({ channels, types: types as never, from, lastEventId: subscribe.last_event_id }, observer),
  );
  const isEvent = ({ data }: { data: { type: string } }) => !data.type.startsWith('courier.');
  await received.until((items) => items.filter(isEvent).length === result.events.length);
  expect(await run.done()).toMatchObject({ mismatches: [], complete: true });
  return received.items.filter(isEvent).map(({ data }) => JSON.parse(JSON.stringify(data)));
}

/** The same over one plain WebSocket after another, as many as the script has. */
async function overPlainSockets(run: PlayedVector): Promise<WireEvent[]> {
  const { subscribe, connections } = run.vector as SubscribeVector;
  const { channels, types, from } = subscribe;
  const items: WireEvent[] = [];
  for (const { send = [] } of connections) {
    const position = items.at(-1)?.id ?? subscribe.last_event_id;
    const query = new URLSearchParams({
      ...(types && { types: types.join() }),
      ...(from && { from }),
      ...(position && { last_event_id: position }),
    });
    await using socket = await openSocket(wsUrl(run.url, `/ws/${channels.map(encodeURIComponent)}?${query}`), {
      headers: { authorization: 'Bearer t1' },
    });
    const whole = send.filter((item) => 'event' in item || 'live' in item);
    items.push(...(await socket.count(whole.length)).map((text) => JSON.parse(text) as WireEvent));
  }
  expect(run.seen()).toMatchObject({ mismatches: [], complete: true });
  return items.filter(({ channel }) => channel !== 'courier');
}

describe('plays', () => {
  const normal = (events: readonly WireEvent[]) => JSON.parse(JSON.stringify(events)) as WireEvent[];

  test.each([
    'messages.json#events-in-order',
    'types.json#every-type',
    'messages.json#pings-are-answered',
    'positions.json#resume-after-the-last-event',
    'positions.json#resume-after-a-live-notice',
    'positions.json#half-an-event',
    'positions.json#moved-by-a-drain',
    'closes.json#dropped-comes-back',
  ])('%s to clients of both protocols', async (ref) => {
    await using server = await startScriptedServer();
    const expected = normal(resultEvents(server.play(ref).vector as SubscribeVector));
    expect(await overStockClient(server.play(ref))).toEqual(expected);
    expect(await overPlainSockets(server.play(ref))).toEqual(expected);
  });

  test('several runs at once, each by itself', async () => {
    await using server = await startScriptedServer();
    const refs = [
      'positions.json#many-drops',
      'positions.json#ids-are-opaque',
      'positions.json#half-an-event',
      'closes.json#1000-comes-back',
    ];
    await Promise.all(
      refs.map(async (ref) => {
        const run = server.play(ref);
        expect(await overPlainSockets(run)).toEqual(normal(resultEvents(run.vector as SubscribeVector)));
      }),
    );
  });
});

describe('finds', () => {
  const publish = (url: string, token: string, draft: object) => overHttp(url, token, '/publish', draft);
  const KEYED = { ...DRAFT, idempotency_key: 'k1' };

  test.each<[string, string, (url: string) => Promise<unknown>, RegExp]>([
    [
      'another event',
      'publishes.json#stored',
      (url) => publish(url, 't1', { ...KEYED, data: progressOf(1) }),
      /^publish 1: data is .*1.* should be .*0\.5/,
    ],
    ['another channel', 'publishes.json#stored', (url) => publish(url, 't1', { ...KEYED, channel: 'global' }), /channel is "global"/],
    [
      'metadata that nobody asked for',
      'publishes.json#stored',
      (url) => publish(url, 't1', { ...KEYED, metadata: { user_id: 'eve' } }),
      /metadata is \{"user_id":"eve"\}/,
    ],
    ['no idempotency key', 'publishes.json#stored', (url) => publish(url, 't1', DRAFT), /no idempotency key/],
    ['another token', 'publishes.json#stored', (url) => publish(url, 't2', KEYED), /token is "t2"/],
    [
      'a publish where there is none',
      'messages.json#events-in-order',
      (url) => publish(url, 't1', KEYED),
      /a publish, which this vector has none of/,
    ],
    ['a path that no vector has', 'publishes.json#stored', (url) => overHttp(url, 't1', '/stats'), /\/stats: no vector is about this/],
    [
      'a parameter that there is not',
      'messages.json#events-in-order',
      (url) => overPlainWebSocket(url, 't1', `/ws/${CHANNEL}?lastEventId=e1-1`, 1),
      /no parameter lastEventId/,
    ],
    [
      'another position',
      'messages.json#events-in-order',
      (url) => overPlainWebSocket(url, 't1', `/ws/${CHANNEL}?last_event_id=e1-1`, 1),
      /^connection 1: last_event_id is "e1-1", and should be null$/,
    ],
    [
      'other channels',
      'messages.json#events-in-order',
      (url) => overPlainWebSocket(url, 't1', `/ws/${CHANNEL},global`, 1),
      /channels is \["backtest\.b1","global"\]/,
    ],
    [
      'a page that was not asked for in its turn',
      'history.json#expired',
      (url) => overHttp(url, 't1', `/events/${CHANNEL}?after=e1-4`),
      /^read 1: after is "e1-4"/,
    ],
    [
      'a call that no vector has',
      'publishes.json#stored',
      (url) => overTrpc(url, 't1', [{ method: 'query', path: 'admin.stats' }], 1),
      /admin\.stats/,
    ],
  ])('%s', async (_name, ref, act, mismatch) => {
    await using server = await startScriptedServer();
    const run = server.play(ref);
    await act(run.url);
    expect((await run.done()).mismatches).toEqual([expect.stringMatching(mismatch)]);
  });

  test('another key in another attempt', async () => {
    await using server = await startScriptedServer();
    const run = server.play('publishes.json#internal-error-is-tried-again');
    await publish(run.url, 't1', KEYED);
    await publish(run.url, 't1', { ...KEYED, idempotency_key: 'k2' });
    expect(run.seen().mismatches).toEqual(['publish 2: idempotency_key is "k2", and should be "k1"']);
  });

  test('an attempt before the time that the client was told to wait', async () => {
    await using server = await startScriptedServer();
    const error = { code: 'SERVICE_UNAVAILABLE', retry_after_ms: 60_000 };
    const run = server.play({ name: 'test', why: 'a test', publish: DRAFT, answers: [{ error }, 'drop'], result: { error } });
    await publish(run.url, 't1', KEYED);
    expect(run.seen().mismatches).toEqual([]);
    await publish(run.url, 't1', KEYED).catch(() => 'dropped');
    expect(run.seen().mismatches).toEqual(['a publish came before the time that the client was told to wait']);
  });

  test('attempts beyond the script, and says that they are not to be repeated', async () => {
    await using server = await startScriptedServer();
    const publishing = server.play('publishes.json#stored');
    await publish(publishing.url, 't1', KEYED);
    expect(publishing.seen()).toMatchObject({ mismatches: [], complete: true });
    expect(await publish(publishing.url, 't1', KEYED)).toMatchObject({ status: 400, body: { code: 'BAD_REQUEST' } });
    expect(publishing.seen().mismatches).toEqual(['a publish after all 1 of the script']);
    const subscription = server.play('messages.json#events-in-order');
    await overPlainWebSocket(subscription.url, 't1', `/ws/${CHANNEL}`, 4);
    expect(await overPlainWebSocket(subscription.url, 't1', `/ws/${CHANNEL}`, 0)).toMatchObject({ closed: { code: 4400 } });
    await using trpc = await openSocket(wsUrl(subscription.url, '/trpc?connectionParams=1'));
    expect(await trpc.closed).toMatchObject({ code: 4400 });
    expect(subscription.seen().mismatches).toHaveLength(2);
  });

  test('a client that is gone before it answered a ping', async () => {
    await using server = await startScriptedServer();
    const run = server.play('messages.json#pings-are-answered');
    const socket = await openSocket(wsUrl(run.url, `/ws/${CHANNEL}`), { headers: { authorization: 'Bearer t1' } });
    // Nothing is read any more, pings included.
    socket.ws.pause();
    socket.ws.terminate();
    expect((await run.done()).mismatches[0]).toMatch(/before it answered a ping/);
  });
});

test('tells who the client is and what it asked for', async () => {
  await using server = await startScriptedServer();
  const identity = { client: 'courier-client-python/0.1.0', contract: '0123456789abcdef' };
  const headers = { authorization: 'Bearer t1', 'x-courier-client': identity.client, 'x-courier-contract': identity.contract };
  const plain = server.play('messages.json#events-in-order');
  await using socket = await openSocket(wsUrl(plain.url, `/ws/${CHANNEL}`), { headers });
  await socket.count(4);
  const seen = { ...identity, token: 't1', channels: [CHANNEL], types: null, from: null, last_event_id: null };
  expect(plain.seen().connections).toEqual([{ ...seen, protocol: 'plain' }]);
  const trpc = server.play('messages.json#events-in-order');
  await using connection = await openSocket(wsUrl(trpc.url, '/trpc?connectionParams=1'));
  connection.send({ method: 'connectionParams', data: { token: 't1', ...identity } });
  connection.send({ id: 1, method: 'subscription', params: { path: 'events.subscribe', input: { json: { channels: [CHANNEL] } } } });
  await connection.count(5);
  expect(trpc.seen().connections).toEqual([{ ...seen, protocol: 'trpc' }]);
});

test('in a process of its own it is told over HTTP what to play, and ends with its standard input', async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./serve.ts', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  const exit = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const begin = (vector: unknown) => overHttp(url, '', '/runs', { vector });
  const run = String((await begin('publishes.json#stored')).body['url']);
  await overHttp(run, 't1', '/publish', { ...DRAFT, idempotency_key: 'k1' });
  expect((await overHttp(run, '', '/done')).body).toMatchObject({
    mismatches: [],
    complete: true,
    calls: [{ call: 'publish', token: 't1' }],
  });
  const own: Vector = { name: 'own', why: 'a test', history: { channels: [CHANNEL] }, answers: ['drop'], result: { events: [] } };
  expect((await overHttp(String((await begin(own)).body['url']), '', '/seen')).body).toMatchObject({ calls: [], complete: false });
  expect(await begin('publishes.json#nowhere')).toMatchObject({
    status: 400,
    body: { error: expect.stringContaining('there is no vector') },
  });
  expect(await begin({ ...own, why: 1 })).toMatchObject({ status: 400, body: { error: expect.stringContaining('why') } });
  child.stdin.end();
  expect(await exit).toEqual([0, null]);
});
