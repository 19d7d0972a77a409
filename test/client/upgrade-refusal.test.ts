/** The TypeScript client under Node.js, and an upgrade that is refused: it waits as long as it is told, and comes in then. */
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
  [
    '503 of a proxy, with a date',
    ['HTTP/1.1 503 Service Unavailable', `Retry-After: ${new Date(Date.now() + 3_600_000).toUTCString()}`],
    'SERVICE_UNAVAILABLE',
    3_000_000,
  ],
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
