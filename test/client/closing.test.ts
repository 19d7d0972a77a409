/** The TypeScript client while its connection closes: the close frame has come, and the connection is not gone yet. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';

const CLOSE_FRAME = Buffer.from([0x88, 2, 0x03, 0xf4]); // 1012
/** How the client's begins: masked, of two bytes. */
const CLOSE_ANSWERED = Buffer.from([0x88, 0x82]);
const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Closes its first connection with a frame alone, until `release`; those after it are the gateway's. */
async function inFrontOf(gatewayPort: number) {
  let upgrades = 0;
  let first: Duplex | undefined;
  const closing = Promise.withResolvers<void>();
  const sockets = new Set<Duplex>();
  const server = createServer().on('upgrade', (req: IncomingMessage, socket: Duplex) => {
    upgrades += 1;
    sockets.add(socket.on('error', () => undefined));
    if (first === undefined) {
      first = socket;
      const accept = createHash('sha1').update(`${req.headers['sec-websocket-key']}${HANDSHAKE_GUID}`).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.once('data', () => socket.write(CLOSE_FRAME));
      socket.on('data', (data: Buffer) => data.includes(CLOSE_ANSWERED) && closing.resolve());
      return;
    }
    const upstream = connect(gatewayPort, '127.0.0.1').on('error', () => undefined);
    sockets.add(upstream);
    const lines = req.rawHeaders.flatMap((name, index, all) => (index % 2 === 0 ? [`${name}: ${all[index + 1]}\r\n`] : []));
    upstream.write(`GET ${req.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
    socket.pipe(upstream).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    upgrades: () => upgrades,
    closing: closing.promise,
    release: async () => {
      first?.end();
      if (first !== undefined) await once(first, 'close');
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Long enough for what is to be done at once to have been done. */
async function someTurns(): Promise<void> {
  for (let turns = 0; turns < 100; turns += 1) await turn();
}

test('a call that comes while the connection closes waits for the one that follows it, and there is one', async () => {
  await using gateway = await startGateway();
  await using front = await inFrontOf(Number(new URL(gateway.url).port));
  const token = await gateway.token('cartographe', 'service');
  let mayConnect = Promise.resolve();
  await using client = new CourierClient({
    url: front.url,
    token: () => mayConnect.then(() => token),
    retry: { minDelayMs: 1, maxDelayMs: 1, busyDelayMs: 1 },
  });
  const subscription = client.subscribe('backtest.b1', { onGap: 'fail' });
  await front.closing;
  const gate = Promise.withResolvers<void>();
  mayConnect = gate.promise;
  const published = client.publish('backtest.b1', 'backtest.progress', progressOf());
  const read = client.history('backtest.b1');
  await someTurns();
  await front.release();
  await someTurns();
  gate.resolve();
  expect(await published).toMatchObject({ type: 'backtest.progress' });
  await read;
  await client.connect();
  await subscription.return();
  expect(front.upgrades()).toBe(2);
});
