/** The TypeScript client without an answer: whether anything may have been sent decides between UNREACHABLE and TIMEOUT. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { CourierClient, type CourierError } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';
import { gatewayThat } from './publishes.ts';

const QUICK = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };
/** Long enough for a connection on a busy machine. */
const LIMIT = { timeoutMs: 1500 };

const failure = (promise: Promise<unknown>): Promise<CourierError | undefined> =>
  promise.then(
    () => undefined,
    (error: CourierError) => error,
  );

const CALLS: readonly [name: string, call: (client: CourierClient) => Promise<unknown>][] = [
  ['connect', (client) => client.connect(LIMIT)],
  ['publish', (client) => client.publish('backtest.b1', 'backtest.progress', progressOf(), { ...LIMIT, idempotencyKey: 'k' })],
  ['publishBatch', (client) => client.publishBatch([{ channel: 'backtest.b1', type: 'backtest.progress', data: progressOf() }], LIMIT)],
  ['history', (client) => client.history('backtest.b1', LIMIT)],
  ['iterateHistory', (client) => client.iterateHistory('backtest.b1', LIMIT).next()],
];

async function listening(server: Server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Takes connections and says nothing. */
async function mute() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  return {
    host: await listening(server),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Opens WebSockets and answers nothing. @param dropFirst ends the first one when a call has come. */
async function silent({ dropFirst = false } = {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  server.once('connection', (ws) => {
    let messages = 0;
    ws.on('message', () => {
      messages += 1;
      if (dropFirst && messages === 2) {
        server.close();
        ws.terminate();
      }
    });
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const ws of server.clients) ws.terminate();
      server.close();
      await once(server, 'close').catch(() => undefined);
    },
  };
}

test.concurrent.each(CALLS)('%s is UNREACHABLE where nothing listens', async (name, call) => {
  await using client = new CourierClient({ url: 'ws://127.0.0.1:9', token: 't', retry: QUICK });
  const error = await failure(call(client));
  expect(error).toMatchObject({ code: 'UNREACHABLE', retryable: true, message: expect.stringContaining('ws://127.0.0.1:9/trpc') });
  if (name === 'publish') expect(error).toMatchObject({ idempotencyKey: 'k' });
});

test.concurrent.each(CALLS)('%s is UNREACHABLE where no WebSocket opens', async (_name, call) => {
  await using server = await mute();
  await using client = new CourierClient({ url: `http://${server.host}`, token: 't', retry: QUICK });
  expect(await failure(call(client))).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining(server.host) });
});

const AWAY = new Error('the identity provider is away');
const FAILING: readonly [how: string, token: () => string | Promise<string>, message: string, cause: unknown][] = [
  [
    'throws',
    () => {
      throw AWAY;
    },
    AWAY.message,
    AWAY,
  ],
  ['rejects', () => Promise.reject(AWAY), AWAY.message, AWAY],
  ['does not answer', () => new Promise(() => undefined), 'did not answer', undefined],
];

describe.each(FAILING)('while the token function %s', (_how, token, message, cause) => {
  const unavailable = { code: 'TOKEN_UNAVAILABLE', retryable: true, message: expect.stringContaining(message), cause };

  test.concurrent.each(CALLS)('%s is TOKEN_UNAVAILABLE', async (name, call) => {
    await using gateway = await startGateway();
    await using client = new CourierClient({ url: gateway.url, token, retry: QUICK });
    const error = await failure(call(client));
    expect(error).toMatchObject({ ...unavailable, mayBeStored: false });
    if (name === 'publish') expect(error).toMatchObject({ idempotencyKey: 'k' });
  });

  test('a subscription is TOKEN_UNAVAILABLE when it gives up', async () => {
    await using gateway = await startGateway();
    await using client = new CourierClient({ url: gateway.url, token, retry: QUICK, giveUpAfter: 500 });
    expect(await failure(client.subscribe('global').next())).toMatchObject(unavailable);
    expect(await failure(client.subscribe('global', () => undefined).ended)).toMatchObject(unavailable);
  });
});

describe.each<[what: string, token: unknown, message: string | RegExp]>([
  ['undefined', undefined, 'there is no token: what the token function gave is undefined'],
  ['null', null, 'there is no token: what the token function gave is null'],
  ['an empty text', '', 'there is no token: what the token function gave is empty'],
  ['blanks', ' \n', 'there is no token: what the token function gave is empty'],
  ['a number', 5, 'what the token function gave is no text, but of the type number'],
  ['an answer of fetch', { ok: true }, 'what the token function gave is no text, but of the type object'],
  ['a header', 'Bearer abc', /^what the token function gave begins with the word Bearer.*give what follows it$/],
])('a token function that gives %s', (_what, token, message) => {
  const refused = {
    code: 'UNAUTHORIZED',
    retryable: false,
    message: expect.stringMatching(message),
    hint: expect.stringContaining('the token alone'),
  };

  test.concurrent.each(CALLS)('ends %s with what to give, at once', async (_name, call) => {
    let asked = 0;
    const source = () => {
      asked += 1;
      return token as string;
    };
    await using client = new CourierClient({ url: 'http://127.0.0.1:9', token: source, retry: QUICK });
    expect(await failure(call(client))).toMatchObject(refused);
    expect(client.connection.get()).toMatchObject({ status: 'refused', error: refused });
    expect(asked).toBe(1);
  });
});

test.each([
  ['', 'there is no token: the token is empty'],
  ['bearer abc', 'the token begins with the word Bearer'],
])('the token %j is refused with what to give', async (token, message) => {
  await using client = new CourierClient({ url: 'http://127.0.0.1:9', token, retry: QUICK });
  expect(await failure(client.connect())).toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining(message) });
});

test('a token is taken without the line break of the file that it was read from', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: `${await gateway.token('ada')}\n`, retry: QUICK });
  await client.connect();
});

test('an address without a gateway is UNREACHABLE, however long the token function takes', async () => {
  let calls = 0;
  const token = () => {
    calls += 1;
    return calls < 3 ? 't' : new Promise<string>(() => undefined);
  };
  await using client = new CourierClient({ url: 'ws://127.0.0.1:9', token, retry: QUICK });
  expect(await failure(client.history('backtest.b1', LIMIT))).toMatchObject({ code: 'UNREACHABLE' });
});

test.concurrent.each(CALLS)('%s is TIMEOUT where the gateway does not answer', async (name, call) => {
  await using server = await silent();
  await using client = new CourierClient({ url: `http://${server.host}`, token: 't', retry: QUICK });
  const error = await failure(call(client));
  expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true, message: expect.stringContaining(server.host) });
  if (name === 'publish') expect(error).toMatchObject({ idempotencyKey: 'k', hint: expect.stringContaining('key') });
});

test.concurrent.each(CALLS)('%s is TIMEOUT after a connection that was lost, and a gateway that stays away', async (_name, call) => {
  await using server = await silent({ dropFirst: true });
  await using client = new CourierClient({ url: `http://${server.host}`, token: 't', retry: QUICK });
  expect(await failure(call(client))).toMatchObject({ code: 'TIMEOUT' });
});

test.concurrent.each(CALLS)('%s is UNREACHABLE once the gateway that was there is gone', async (_name, call) => {
  const gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin'), retry: QUICK });
  await client.connect();
  const lost = new Promise<void>((resolve) => client.connection.subscribe(({ status }) => status === 'connecting' && resolve()));
  await gateway[Symbol.asyncDispose]();
  await lost;
  expect(await failure(call(client))).toMatchObject({ code: 'UNREACHABLE' });
});

test('setToken is TIMEOUT where the gateway does not answer, and waits for nothing where there is no connection', async () => {
  await using gateway = await gatewayThat(() => undefined);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await client.connect();
  expect(await failure(client.setToken('u', LIMIT))).toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(/^setToken: /),
  });
  const aborted = AbortSignal.abort(new Error('enough'));
  expect(await failure(client.setToken('t', { signal: aborted }))).toMatchObject({ message: 'enough' });
  await using idle = new CourierClient({ url: 'http://127.0.0.1:9', token: 't', retry: QUICK });
  await idle.setToken('u', LIMIT);
});

test('a publish that waits for its answer when the client closes may have been stored', async () => {
  const arrived = Promise.withResolvers<void>();
  const never = Promise.withResolvers<undefined>();
  await using gateway = await gatewayThat(() => {
    arrived.resolve();
    return never.promise;
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const published = failure(client.publish('backtest.b1', 'backtest.progress', progressOf(), { idempotencyKey: 'k' }));
  await arrived.promise;
  await client.close({ timeoutMs: 0 });
  expect(await published).toMatchObject({
    code: 'CLOSED',
    message: expect.stringMatching(/^the client was closed .*may have been stored/),
    mayBeStored: true,
    idempotencyKey: 'k',
  });
});
