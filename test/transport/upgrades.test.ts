/** Upgrades that are none of a WebSocket: offers that are passed over, as any server may. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startGateway } from '../helpers/gateway.ts';

/** The status line of the answer to a request that is sent as it is. */
async function statusOf(port: number, lines: readonly string[], body = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`${[...lines, 'Host: localhost'].join('\r\n')}\r\n\r\n${body}`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString().split('\r\n', 1)[0] ?? '';
}

test('a client that offers HTTP/2 is answered over HTTP/1.1', async () => {
  await using gateway = await startGateway();
  expect(await statusOf(gateway.port, ['GET /livez HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c'])).toBe('HTTP/1.1 200 OK');
});

test.each([
  ['whose body has yet to come', ['GET /nothing HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 1'], ''],
  [
    'of another origin with a body',
    ['GET /trpc HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Origin: http://evil.example', 'Transfer-Encoding: chunked'],
    '1\r\nx\r\n',
  ],
])('an upgrade %s is a request like any other', async (_name, lines, body) => {
  await using gateway = await startGateway();
  expect(await statusOf(gateway.port, lines, body)).toBe('HTTP/1.1 404 Not Found');
  expect(await statusOf(gateway.port, ['GET /livez HTTP/1.1'])).toBe('HTTP/1.1 200 OK');
});
