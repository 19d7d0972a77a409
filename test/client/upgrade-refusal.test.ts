/** The TypeScript client under Node.js, and an upgrade that is refused: it waits as long as it is told, up to a bound, and comes in then. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { CONTRACT_HASH, type ConnectionState, CourierClient } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { plainWebSocket } from '../helpers/transports.ts';

/** A server that refuses every upgrade with this head. */
async function serverThat(...lines: readonly string[]) {
  const server = createServer();
  server.on('upgrade', (_req, socket) => socket.end([...lines, 'Connection: close', 'Content-Length: 0', '', ''].join('\r\n')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
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
  await using server = await serverThat(...lines);
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
  await using server = await serverThat('HTTP/1.1 503 Service Unavailable', `Retry-After: ${value}`);
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
  await using server = await serverThat('HTTP/1.1 503 Service Unavailable', `Retry-After: ${value}`);
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
