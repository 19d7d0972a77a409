/** The client's WebSocket: no message that it makes of several calls is too much for the gateway. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { CourierWebSocket } from '../../client/src/web-socket.ts';

const KIB = 1024;

/** The messages that arrive when these are sent. */
async function sent(...texts: readonly string[]): Promise<string[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const received: string[] = [];
  const closed = once(server, 'connection').then(([ws]) => {
    ws.on('message', (data: Buffer) => received.push(String(data)));
    return once(ws, 'close');
  });
  const socket = new CourierWebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(socket, 'open');
  for (const text of texts) socket.send(text);
  socket.close();
  await closed;
  server.close();
  return received;
}

const calls = (count: number, text: string) => Array.from({ length: count }, (_, id) => ({ id, text }));

test('any number of calls that fit are one message, as they are', async () => {
  const batch = JSON.stringify(calls(2000, 'x'));
  expect(await sent(batch)).toEqual([batch]);
});

test.each([
  ['of one byte a character', 'x'.repeat(1000)],
  ['of three bytes a character', '€'.repeat(1000)],
])('a batch that is too long is several messages, as few as will do, with every call in its order: %s', async (_name, text) => {
  const batch = calls(1000, text);
  const messages = await sent(JSON.stringify(batch));
  expect(messages.flatMap((message) => JSON.parse(message))).toEqual(batch);
  const sizes = messages.map((message) => Buffer.byteLength(message));
  const callBytes = Buffer.byteLength(JSON.stringify(batch.at(-1))) + 1;
  expect(Math.max(...sizes)).toBeLessThanOrEqual(512 * KIB);
  for (const size of sizes.slice(0, -1)) expect(size + callBytes).toBeGreaterThan(512 * KIB);
});

test('a batch of exactly the bound is one message, and of a byte more is two', async () => {
  const batchOf = (bytes: number) => {
    const empty = JSON.stringify(calls(2, ''));
    return empty.replace('""}]', `"${'x'.repeat(bytes - empty.length)}"}]`);
  };
  expect(await sent(batchOf(512 * KIB))).toHaveLength(1);
  expect(await sent(batchOf(512 * KIB + 1))).toHaveLength(2);
});

test('a call that is too long goes alone, and what is no batch goes as it is', async () => {
  const [small, large] = [
    { id: 1, text: 'x' },
    { id: 2, text: 'x'.repeat(600 * KIB) },
  ];
  const single = JSON.stringify(large);
  const messages = await sent(JSON.stringify([small, large, small]), single, 'PING');
  expect(messages).toEqual([JSON.stringify([small]), JSON.stringify([large]), JSON.stringify([small]), single, 'PING']);
});
