/** The TypeScript client under Node.js, and an upgrade that is refused: it waits as long as it is told, up to a bound, and comes in then. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BackgroundPublisher, CONTRACT_HASH, type ConnectionState, CourierClient, type CourierError } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';
import { plainWebSocket } from '../helpers/transports.ts';

/** A server that answers every request and every upgrade with this head. */
async function serverThat(lines: readonly string[], port = 0) {
  const server = createServer();
  let attempts = 0;
  server.on('upgrade', (_req, socket) => {
    attempts += 1;
    socket.on('error', () => undefined);
    socket.end([...lines, 'Connection: close', 'Content-Length: 0', '', ''].join('\r\n'));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    attempts: () => attempts,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

/** Resolves to the first state in which the client waits for its next attempt. */
function firstWait(client: CourierClient): Promise<Extract<ConnectionState, { status: 'connecting' }>> {
  return new Promise((resolve) => {
    client.connection.subscribe((state) => {
      if (state.status === 'connecting' && state.retryAt !== undefined) resolve(state);
    });
  });
}

const options = { token: 'token', contractHash: CONTRACT_HASH, retry: { minDelayMs: 0, maxDelayMs: 0 } } as const;

test.each([
  ['429', ['HTTP/1.1 429 Too Many Requests', 'Retry-After: 7'], 'TOO_MANY_REQUESTS', 7000],
  ['503', ['HTTP/1.1 503 Service Unavailable', 'Retry-After: 7'], 'SERVICE_UNAVAILABLE', 7000],
  ['503 that says no time', ['HTTP/1.1 503 Service Unavailable'], 'SERVICE_UNAVAILABLE', 0],
  ['502', ['HTTP/1.1 502 Bad Gateway'], 'UNREACHABLE', 0],
])('a refusal with %s is heard, and its Retry-After heeded', async (_name, lines, code, waitMs) => {
  await using server = await serverThat(lines);
  await using client = new CourierClient({ ...options, url: server.url });
  const waiting = firstWait(client);
  const before = Date.now();
  client.connect().catch(() => undefined);
  const { error, retryAt = 0 } = await waiting;
  expect(error).toMatchObject({ code, retryable: true, message: expect.stringContaining(`(HTTP ${lines[0]?.slice(9, 12)})`) });
  expect(retryAt - before).toBeGreaterThanOrEqual(waitMs);
});

/** An hour from now in the forms of HTTP: today's, that of RFC 850, and that of asctime(). */
const HOUR_MS = 3_600_000;
const inAnHour = new Date(Date.now() + HOUR_MS);
const imf = inAnHour.toUTCString();
const [day, date, month, year, time] = imf.replace(',', '').split(' ') as [string, string, string, string, string];
const weekday = inAnHour.toLocaleDateString('en-US', { weekday: 'long', timeZone: 'UTC' });

test.each([
  ['a day', '86400', 86_400_000],
  ['more than a number holds', '9'.repeat(400), Number.POSITIVE_INFINITY],
  ['a date', imf, expect.closeTo(HOUR_MS, -5)],
  ['a date of RFC 850', `${weekday}, ${date}-${month}-${year.slice(2)} ${time} GMT`, expect.closeTo(HOUR_MS, -5)],
  ['a date of asctime()', `${day} ${month} ${date.replace(/^0/, ' ')} ${time} ${year}`, expect.closeTo(HOUR_MS, -5)],
])('a Retry-After of %s is told, and heeded for a minute', async (_name, value, retryAfterMs) => {
  await using server = await serverThat(['HTTP/1.1 503 Service Unavailable', `Retry-After: ${value}`]);
  await using client = new CourierClient({ ...options, url: server.url });
  const waiting = firstWait(client);
  const before = Date.now();
  client.connect().catch(() => undefined);
  const { error, retryAt = 0 } = await waiting;
  expect(error).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs });
  expect(retryAt - before).toBeGreaterThanOrEqual(60_000);
  expect(retryAt - Date.now()).toBeLessThanOrEqual(60_000);
});

test.each([
  ['a date that is past', 'Sun, 06 Nov 1994 08:49:37 GMT', 0],
  ['less than nothing', '-5', undefined],
  ['a part of a second', '1.5', undefined],
  ['no time', 'soon, in May 2090', undefined],
  ['nothing', '', undefined],
])('a Retry-After of %s is no delay', async (_name, value, retryAfterMs) => {
  await using server = await serverThat(['HTTP/1.1 503 Service Unavailable', `Retry-After: ${value}`]);
  await using client = new CourierClient({ ...options, url: server.url });
  const waiting = firstWait(client);
  client.connect().catch(() => undefined);
  const { error, retryAt = 0 } = await waiting;
  expect(error).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs });
  expect(retryAt - Date.now()).toBeLessThanOrEqual(0);
});

test('a client that finds the gateway full comes in when there is room', async () => {
  await using gateway = await startGateway({ COURIER_LIMITS: '{"gateway": {"connections": 1}}' });
  const first = plainWebSocket.subscribe(gateway.port, { token: await gateway.token('eve'), channels: 'global' });
  await first.live();
  await using client = new CourierClient({ ...options, url: gateway.url, token: await gateway.token('ada') });
  const waiting = firstWait(client);
  const before = Date.now();
  client.connect().catch(() => undefined);
  const { error, retryAt = 0 } = await waiting;
  expect(error).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1000 });
  expect(retryAt - before).toBeGreaterThanOrEqual(1000);
  await first[Symbol.asyncDispose]();
  await expect.poll(() => client.connection.get().status, { timeout: 10_000 }).toBe('connected');
});

describe('an address that something else answers', () => {
  const CALLS: readonly [name: string, call: (client: CourierClient) => Promise<unknown>][] = [
    ['connect', (client) => client.connect()],
    ['publish', (client) => client.publish('backtest.b1', 'backtest.progress', progressOf())],
    ['history', (client) => client.history('backtest.b1')],
    ['subscribe', (client) => client.subscribe('backtest.b1').next()],
  ];
  const answered = (retryable: boolean) => ({
    code: 'NOT_FOUND',
    retryable,
    message: expect.stringMatching(/^(\w+: )?what answers at ws:.* is no gateway of Courier \(HTTP \d+\)$/),
    hint: expect.stringContaining('without /trpc'),
  });
  /** The time from the first such answer to the last, in ms. */
  const LONG_MS = 30_000;

  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  test.each(CALLS)('ends %s with what to do', async (_name, call) => {
    await using gateway = await startGateway();
    for (const path of ['/trpc', '/courier/']) {
      const token = await gateway.token('ada', 'admin');
      await using client = new CourierClient({ ...options, url: `${gateway.url}${path}`, token });
      const called = expect(call(client)).rejects.toMatchObject({
        ...answered(false),
        message: expect.stringContaining(`${path.replace(/\/$/, '')}/trpc`),
      });
      await firstWait(client);
      vi.advanceTimersByTime(LONG_MS);
      await called;
      expect(client.connection.get()).toMatchObject({ status: 'refused', error: answered(false) });
    }
  });

  test.each(['200 OK', '301 Moved Permanently\r\nLocation: https://elsewhere', '400 Bad Request', '404 Not Found', '426 Upgrade Required'])(
    'is told each time that it answers %s, and is no gateway when it has done so for long',
    async (status) => {
      await using server = await serverThat([`HTTP/1.1 ${status}`]);
      const told: CourierError[] = [];
      await using client = new CourierClient({ ...options, url: server.url, onRetry: (error) => told.push(error) });
      const late = { ...answered(true), idempotencyKey: 'k', mayBeStored: false };
      const published = client.publish('backtest.b1', 'backtest.progress', progressOf(), { timeoutMs: 500, idempotencyKey: 'k' });
      await expect(published).rejects.toMatchObject(late);
      await expect(client.connect({ timeoutMs: 10 })).rejects.toMatchObject(answered(true));
      await expect.poll(() => told.length).toBeGreaterThan(4);
      expect(told).toEqual(told.map(() => expect.objectContaining(answered(true))));
      vi.advanceTimersByTime(LONG_MS / 2);
      const before = told.length;
      await expect.poll(() => told.length).toBeGreaterThan(before + 4);
      expect(client.connection.get().status).toBe('connecting');
      vi.advanceTimersByTime(LONG_MS);
      await expect.poll(() => client.connection.get()).toMatchObject({ status: 'refused', error: answered(false) });
    },
  );

  test('is no gateway after three answers only, however far they are apart', async () => {
    await using server = await serverThat(['HTTP/1.1 404 Not Found']);
    const asked: ((token: string) => void)[] = [];
    const token = () => new Promise<string>((resolve) => asked.push(resolve));
    await using client = new CourierClient({ ...options, url: server.url, token });
    client.connect().catch(() => undefined);
    for (const attempt of [0, 1, 2]) {
      await expect.poll(() => asked.length).toBe(attempt + 1);
      expect(client.connection.get().status).toBe('connecting');
      vi.advanceTimersByTime(LONG_MS);
      asked[attempt]?.('token');
    }
    await expect.poll(() => client.connection.get().status).toBe('refused');
    expect(server.attempts()).toBe(3);
  });

  test.each(['an answer of 503', 'a token function that fails'])('is counted anew after %s', async (between) => {
    const lines = ['HTTP/1.1 404 Not Found'];
    await using server = await serverThat(lines);
    const told: string[] = [];
    let fails = false;
    const token = () => (fails ? Promise.reject(new Error('away')) : 'token');
    await using client = new CourierClient({ ...options, url: server.url, token, onRetry: ({ code }) => told.push(code) });
    client.connect().catch(() => undefined);
    await expect.poll(() => told.length).toBeGreaterThan(4);
    if (between === 'an answer of 503') lines[0] = 'HTTP/1.1 503 Service Unavailable';
    else fails = true;
    await expect.poll(() => told.at(-1)).not.toBe('NOT_FOUND');
    vi.advanceTimersByTime(LONG_MS);
    fails = false;
    lines[0] = 'HTTP/1.1 404 Not Found';
    const before = told.length;
    await expect.poll(() => told.slice(before).filter((code) => code === 'NOT_FOUND').length).toBeGreaterThan(4);
    expect(client.connection.get().status).toBe('connecting');
    vi.advanceTimersByTime(LONG_MS);
    await expect.poll(() => client.connection.get().status).toBe('refused');
  });

  test('may be a proxy that learns of its gateway a little later, and takes no event of a background publisher with it', async () => {
    const retry = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };
    const first = await startGateway();
    const token = await first.token('ada', 'admin');
    await first[Symbol.asyncDispose]();
    const server = await serverThat(['HTTP/1.1 404 Not Found'], first.port);
    await using client = new CourierClient({ ...options, retry, url: server.url, token, timeoutMs: 20 });
    await using publisher = new BackgroundPublisher(client);
    publisher.submit({ channel: 'backtest.b1', type: 'backtest.progress', data: progressOf() });
    await expect.poll(server.attempts).toBeGreaterThan(4);
    await server[Symbol.asyncDispose]();
    await using _gateway = await startGateway({ COURIER_PORT: String(first.port) });
    await expect.poll(() => publisher.counts, { timeout: 10_000 }).toMatchObject({ published: 1, refused: 0 });
  });

  test.each([
    '401 Unauthorized',
    '403 Forbidden',
    '408 Request Timeout',
    '429 Too Many Requests',
    '500 Internal Server Error',
    '502 Bad Gateway',
    '503 Service Unavailable',
    '504 Gateway Timeout',
  ])('is asked again when it answers %s', async (status) => {
    await using server = await serverThat([`HTTP/1.1 ${status}`]);
    await using client = new CourierClient({ ...options, url: server.url });
    client.connect().catch(() => undefined);
    await expect.poll(server.attempts).toBeGreaterThan(4);
    expect(client.connection.get().status).toBe('connecting');
  });

  test('may be a proxy whose gateway is away, where the client was accepted before', async () => {
    const first = await startGateway();
    const retry = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };
    await using client = new CourierClient({ ...options, retry, url: first.url, token: await first.token('ada', 'admin') });
    await client.connect();
    await first[Symbol.asyncDispose]();
    {
      await using server = await serverThat(['HTTP/1.1 404 Not Found'], first.port);
      await expect.poll(server.attempts, { timeout: 10_000 }).toBeGreaterThan(4);
    }
    await using _second = await startGateway({ COURIER_PORT: String(first.port) });
    await expect.poll(() => client.connection.get().status, { timeout: 10_000 }).toBe('connected');
  });
});

test('an address where nothing listens is told with the reason of the platform', async () => {
  const server = await serverThat(['HTTP/1.1 404 Not Found']);
  await server[Symbol.asyncDispose]();
  const refused = `connect ECONNREFUSED 127.0.0.1:${server.port}`;
  await using client = new CourierClient({ ...options, url: server.url });
  const waiting = firstWait(client);
  await expect(client.connect({ timeoutMs: 200 })).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: `connect: ws://127.0.0.1:${server.port}/trpc was not reached within 200 ms (${refused})`,
  });
  expect((await waiting).error).toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringContaining(refused),
    cause: { code: 'ECONNREFUSED' },
  });
  await expect(client.history('global', { timeoutMs: 200 })).rejects.toMatchObject({ message: expect.stringContaining(refused) });
});
