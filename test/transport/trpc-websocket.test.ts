/** Courier's tRPC WebSocket endpoint: what tRPC's own adapter does, byte for byte, and what Courier does beyond it. */
import { once } from 'node:events';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';
import { describe, expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { big, type testRouter } from '../helpers/trpc-router.ts';
import { byCall, call, play, type Script, stop } from '../helpers/trpc-scripts.ts';
import { courierServer, stockServer } from '../helpers/trpc-servers.ts';

const SCRIPTS: Record<string, Script> = {
  'a query': { send: [{ message: call(1, 'query', 'hello', 'world') }], expect: 1 },
  'a query with jsonrpc': { send: [{ message: { jsonrpc: '2.0', ...call(1, 'query', 'hello', 'world') } }], expect: 1 },
  'a string id': { send: [{ message: call('x"y', 'query', 'hello', 'world') }], expect: 1 },
  'a mutation': { send: [{ message: call(1, 'mutation', 'add', { a: 1, b: 2 }) }], expect: 1 },
  'a result of undefined': { send: [{ message: call(1, 'query', 'nothing') }], expect: 1 },
  'a batch': { send: [{ message: [call(1, 'query', 'hello', 'a'), call(2, 'mutation', 'add', { a: 1, b: 2 })] }], expect: 2 },
  'an invalid input': { send: [{ message: call(1, 'query', 'hello', 5) }], expect: 1 },
  'an error on purpose': { send: [{ message: call(1, 'query', 'fail') }], expect: 1 },
  'an error by accident': { send: [{ message: call(1, 'mutation', 'crash') }], expect: 1 },
  'an unknown procedure': { send: [{ message: call(1, 'query', 'nope') }], expect: 1 },
  'the wrong kind of call': { send: [{ message: call(1, 'mutation', 'hello', 'x') }], expect: 1 },
  'an iterable from a query': { send: [{ message: call(1, 'query', 'iterableQuery') }], expect: 1 },
  'a result that cannot be written': { send: [{ message: call(1, 'query', 'unserialisable') }], expect: 1 },
  'a call without an id': { send: [{ message: call(null, 'query', 'hello', 'x') }], expect: 1 },
  'malformed JSON': { send: [{ message: '{"id":1,' }, { after: 1, message: call(1, 'query', 'hello', 'x') }], expect: 2 },
  'no tRPC message': { send: [{ message: { id: 1, method: 'dance' } }, { after: 1, message: 5 }], expect: 2 },
  'a subscription that ends': { send: [{ message: call(1, 'subscription', 'three') }], expect: 5 },
  'a subscription with jsonrpc': { send: [{ message: { jsonrpc: '2.0', ...call(1, 'subscription', 'three') } }], expect: 5 },
  'a subscription that fails': { send: [{ message: call(1, 'subscription', 'failing') }], expect: 4 },
  'a subscription that fails at once': { send: [{ message: call(1, 'subscription', 'failingAtOnce') }], expect: 3 },
  'a subscription that is stopped': {
    send: [{ message: call(1, 'subscription', 'forever') }, { after: 2, message: stop(1) }],
    expect: 3,
  },
  'an id that is used again after a stop': {
    send: [
      { message: call(1, 'subscription', 'forever') },
      { after: 2, message: stop(1) },
      { after: 3, message: call(1, 'subscription', 'three') },
    ],
    expect: 8,
  },
  'a duplicate id': {
    send: [{ message: call(1, 'subscription', 'forever') }, { after: 2, message: call(1, 'subscription', 'three') }],
    expect: 3,
  },
  'a stop of nothing': {
    send: [{ message: stop(9) }, { message: call(1, 'query', 'hello', 'x') }],
    expect: 1,
  },
  'a stop in the same batch': {
    send: [{ message: [call(1, 'subscription', 'forever'), stop(1)] }],
    expect: 1,
  },
  'an observable that completes': { send: [{ message: call(1, 'subscription', 'observed') }], expect: 4 },
  'an observable that fails': { send: [{ message: call(1, 'subscription', 'observedFailing') }], expect: 4 },
  'a subscription that is none': { send: [{ message: call(1, 'subscription', 'notIterable') }], expect: 1 },
  'lastEventId beside an object': { send: [{ message: call(1, 'subscription', 'echo', { a: 1 }, { lastEventId: 'e' }) }], expect: 3 },
  'lastEventId without input': { send: [{ message: call(1, 'subscription', 'echo', undefined, { lastEventId: 'e' }) }], expect: 3 },
  'lastEventId beside a string': { send: [{ message: call(1, 'subscription', 'echo', 's', { lastEventId: 'e' }) }], expect: 3 },
  'PING and PONG': { send: [{ message: 'PING' }, { message: 'PONG' }, { after: 1, message: call(1, 'query', 'hello', 'x') }], expect: 2 },
  'connection parameters': {
    query: '/?connectionParams=1',
    send: [{ message: { method: 'connectionParams', data: { name: 'Ada' } } }, { message: call(1, 'query', 'hello', 'x') }],
    expect: 1,
  },
  'PING before connection parameters': {
    query: '/?connectionParams=1',
    send: [
      { message: 'PING' },
      { after: 1, message: { method: 'connectionParams', data: null } },
      { message: call(1, 'query', 'hello', 'x') },
    ],
    expect: 2,
  },
  'connection parameters that are refused': {
    query: '/?connectionParams=1',
    send: [{ message: { method: 'connectionParams', data: { refuse: 'yes' } } }],
    expect: 1,
  },
  'connection parameters of the wrong shape': {
    query: '/?connectionParams=1',
    send: [{ message: { method: 'connectionParams', data: { name: 5 } } }],
    expect: 1,
  },
  'several queries': { send: [{ message: ['a', 'b', 'c'].map((input, index) => call(index, 'query', 'hello', input)) }], expect: 3 },
  'several mutations': { send: [{ message: [1, 2, 3].map((a) => call(a, 'mutation', 'add', { a, b: 1 })) }], expect: 3 },
  'several subscriptions': { send: [{ message: [1, 2, 3].map((id) => call(id, 'subscription', 'three')) }], expect: 15 },
  'several calls of each kind, some of which fail': {
    send: [
      {
        message: [
          call(1, 'query', 'hello', 'a'),
          call(2, 'mutation', 'add', { a: 1, b: 2 }),
          call(3, 'subscription', 'three'),
          call(4, 'query', 'fail'),
          call(5, 'mutation', 'crash'),
          call(6, 'subscription', 'failing'),
          call(7, 'query', 'nope'),
          call(8, 'mutation', 'add', { a: 'one' }),
          call(9, 'subscription', 'notIterable'),
          call(10, 'query', 'hello', 'b'),
          call(11, 'mutation', 'add', { a: 3, b: 4 }),
          call(12, 'subscription', 'forever'),
          stop(99),
        ],
      },
    ],
    expect: 20,
  },
  'a call without an id among others': {
    send: [
      {
        message: [
          call(1, 'query', 'hello', 'a'),
          call(null, 'query', 'hello', 'b'),
          call(3, 'mutation', 'add', { a: 1, b: 2 }),
          stop(null),
        ],
      },
    ],
    expect: 4,
  },
  'what is no call among others': {
    send: [
      { message: [call(1, 'query', 'hello', 'a'), { id: 2, method: 'dance' }, call(3, 'subscription', 'three')] },
      { after: 1, message: call(4, 'query', 'hello', 'x') },
    ],
    expect: 2,
  },
  'a value among others': {
    send: [{ message: [call(1, 'query', 'hello', 'a'), 5] }, { after: 1, message: call(4, 'query', 'hello', 'x') }],
    expect: 2,
  },
  'no call at all': { send: [{ message: [] }, { message: call(1, 'query', 'hello', 'x') }], expect: 1 },
  'a list within a list': { send: [{ message: [[call(1, 'query', 'hello', 'x')]] }], expect: 1 },
  'one id for several queries': { send: [{ message: ['a', 'b'].map((input) => call(1, 'query', 'hello', input)) }], expect: 2 },
  'one id for several subscriptions': { send: [{ message: [1, 1].map((id) => call(id, 'subscription', 'forever')) }], expect: 3 },
  'an event of the log': { send: [{ message: call(1, 'subscription', 'event') }], expect: 3 },
  'an event of the log, jsonrpc and a string id': {
    send: [{ message: { jsonrpc: '2.0', ...call('ünï', 'subscription', 'event') } }],
    expect: 3,
  },
};

describe('what a client sees is what it sees of the stock adapter', () => {
  test.each(Object.entries(SCRIPTS))('%s', async (_name, script) => {
    await using stock = await stockServer();
    await using courier = await courierServer();
    const [theirs, ours] = await Promise.all([play(stock, script), play(courier, script)]);
    expect(byCall(ours)).toEqual(byCall(theirs));
    expect(ours).toHaveLength(script.expect);
  });

  test('the reconnect notification', async () => {
    for (const server of [await stockServer(), await courierServer()]) {
      await using _server = server;
      await using socket = await openSocket(server.url);
      socket.send('PING');
      await socket.count(1);
      server.broadcastReconnect();
      expect(await socket.count(2)).toEqual(['PONG', '{"id":null,"method":"reconnect"}']);
    }
  });
});

describe('beyond the stock adapter', () => {
  test('a refused connection is closed with 1008', async () => {
    await using server = await courierServer();
    await using socket = await openSocket(`${server.url}/?connectionParams=1`);
    socket.send({ method: 'connectionParams', data: { refuse: 'yes' } });
    expect(await socket.closed).toEqual({ code: 1008, reason: 'not you' });
    expect(JSON.parse(socket.messages[0] ?? '')).toMatchObject({ id: null, error: { json: { message: 'not you' } } });
  });

  test('a client that never sends its parameters is closed with 4408, whatever else it sends', async () => {
    await using server = await courierServer({ timings: { openingMs: 100 } });
    await using socket = await openSocket(`${server.url}/?connectionParams=1`);
    socket.send('PING');
    expect((await socket.closed).code).toBe(4408);
  });

  test('a quiet client is pinged, and cut off when it does not answer', async () => {
    await using server = await courierServer({ timings: { lookMs: 10 } });
    await using socket = await openSocket(server.url, { autoPong: false });
    await once(socket.ws, 'ping');
    expect((await socket.closed).code).toBe(1006);
  });

  test('a message may carry any number of calls, and each is answered', async () => {
    await using server = await courierServer();
    await using socket = await openSocket(server.url);
    const ids = Array.from({ length: 1000 }, (_, index) => index);
    socket.send(ids.map((id) => call(id, 'query', 'hello', 'x'.repeat(300))));
    const replies = (await socket.count(ids.length)).map((text) => JSON.parse(text));
    expect(replies.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(ids);
    expect(replies.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  test('a subscription over the bound is refused, and one that ends makes room', async () => {
    await using server = await courierServer({ maxSubscriptions: 1 });
    await using socket = await openSocket(server.url);
    socket.send(call(1, 'subscription', 'forever'));
    await socket.count(2);
    socket.send(call(2, 'subscription', 'forever'));
    expect(JSON.parse((await socket.count(3))[2] ?? '')).toMatchObject({ id: 2, error: { json: { data: { code: 'TOO_MANY_REQUESTS' } } } });
    socket.send(stop(1));
    await socket.count(4);
    socket.send(call(3, 'subscription', 'forever'));
    expect((await socket.count(6)).slice(4).map((text) => JSON.parse(text).id)).toEqual([3, 3]);
  });

  test('a client that does not read its replies is not read either, and gets every reply once it reads', async () => {
    await using server = await courierServer();
    await using slow = await openSocket(server.url);
    await using other = await openSocket(server.url);
    const calls = 2000;
    slow.ws.pause();
    for (let id = 1; id <= calls; id += 1) slow.send(call(id, 'query', 'big', 'x'.repeat(10_000)));
    // Others are served meanwhile, long enough for every call to have run if nothing kept them back.
    for (let round = 1; round <= 300; round += 1) {
      other.send('PING');
      await other.count(round);
    }
    expect(big.calls).toBeLessThan(calls / 2);
    slow.ws.resume();
    await slow.count(calls);
    expect(big.calls).toBe(calls);
  });

  test('a binary message is an error, and the connection stays', async () => {
    await using server = await courierServer();
    await using socket = await openSocket(server.url);
    socket.ws.send(Buffer.from('{"id":1}'));
    expect(JSON.parse((await socket.count(1))[0] ?? '')).toMatchObject({ id: null, error: { json: { data: { code: 'PARSE_ERROR' } } } });
    socket.send(call(1, 'query', 'hello', 'x'));
    await socket.count(2);
  });
});

test('an unmodified client moves its subscriptions when it is told to reconnect', async () => {
  await using server = await courierServer();
  const ws = createWSClient({ url: server.url, connectionParams: { name: 'Ada' } });
  await using _closing = { [Symbol.asyncDispose]: () => ws.close() };
  const client = createTRPCClient<typeof testRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });
  expect(await client.hello.query('x')).toEqual({ text: 'Ada x', at: new Date(0) });
  using received = collect<string>((observer) => client.forever.subscribe(undefined, observer));
  await received.count(1);
  server.broadcastReconnect();
  expect(await received.count(2)).toEqual(['first', 'first']);
  expect(await client.add.mutate({ a: 1, b: 2 })).toBe(3);
});
