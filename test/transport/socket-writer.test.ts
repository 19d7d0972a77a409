/** What is written to one WebSocket: in order, in few writes, bounded, and given up when it does not move. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { textFrames, WebSocketWriter } from '../../src/transport/web-socket-writer.ts';
import { openSocket, type RawSocket } from '../helpers/raw-socket.ts';

interface Pair extends AsyncDisposable {
  readonly writer: WebSocketWriter;
  readonly socket: Socket;
  readonly client: RawSocket;
}

/** A real connection with a writer at the gateway's end. */
async function connect(options: { readonly highWaterBytes?: number; readonly stallMs?: number } = {}): Promise<Pair> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const accepted = Promise.withResolvers<{ writer: WebSocketWriter; socket: Socket }>();
  server.on('upgrade', (req, socket, head) => {
    wss.handleUpgrade(req, socket, head, (ws) => {
      const writer = new WebSocketWriter(ws, socket as Socket, { ...options, onStalled: () => writer.close(4509, 'no progress') });
      ws.on('pong', () => writer.ponged());
      accepted.resolve({ writer, socket: socket as Socket });
    });
  });
  const client = await openSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    ...(await accepted.promise),
    client,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      server.close();
      await once(server, 'close');
    },
  };
}

test('text of every length arrives as it was', async () => {
  await using pair = await connect();
  const texts = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000].map((length) => 'x'.repeat(length));
  for (const text of texts) pair.writer.writeText(text);
  expect(await pair.client.count(texts.length)).toEqual(texts);
  const before = pair.client.messages.length;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 20 }), async (words) => {
      const start = pair.client.messages.length;
      for (const word of words) pair.writer.writeText(word);
      expect((await pair.client.count(start + words.length)).slice(start)).toEqual(words);
    }),
    { numRuns: 50 },
  );
  expect(pair.client.messages.length).toBeGreaterThan(before);
});

test('what is queued in one turn leaves in one write, and equal queues share it', async () => {
  await using first = await connect();
  await using second = await connect();
  const writes: unknown[] = [];
  for (const { socket } of [first, second]) {
    const write = socket.write.bind(socket);
    socket.write = (chunk: string | Uint8Array) => {
      writes.push((chunk as Buffer).buffer);
      return write(chunk);
    };
  }
  const frames = textFrames(['a', 'b', 'c']);
  for (const { writer } of [first, second]) writer.write(frames);
  expect(writes).toEqual([]);
  expect(await first.client.count(3)).toEqual(['a', 'b', 'c']);
  expect(await second.client.count(3)).toEqual(['a', 'b', 'c']);
  expect(writes).toHaveLength(2);
  expect(writes[0]).toBe(writes[1]);
});

test('closing sends what is queued first', async () => {
  await using pair = await connect();
  pair.writer.writeText('last words');
  pair.writer.close(1001, 'bye');
  pair.writer.writeText('too late');
  expect(await pair.client.closed).toEqual({ code: 1001, reason: 'bye' });
  expect(pair.client.messages).toEqual(['last words']);
});

/** Writes while it is writable; returns how many bytes that took. */
async function fill({ writer }: Pair): Promise<number> {
  const frame = textFrames(['x'.repeat(10_000)]);
  let bytes = 0;
  while (writer.writable) {
    writer.write(frame);
    bytes += frame.length;
    await Promise.resolve();
    // Lets the socket hand over what the kernel takes.
    if (writer.bufferedBytes === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return bytes;
}

test('it is not writable while the client does not read, keeps no more than its bound, and is again when it has drained', async () => {
  await using pair = await connect({ highWaterBytes: 100_000 });
  pair.client.ws.pause();
  await fill(pair);
  expect(pair.writer.bufferedBytes).toBeGreaterThanOrEqual(100_000);
  expect(pair.writer.bufferedBytes).toBeLessThan(120_000);
  const stop = new AbortController();
  const abandoned = pair.writer.drained(stop.signal);
  stop.abort(new Error('enough'));
  await expect(abandoned).rejects.toThrow('enough');
  const drained = pair.writer.drained(new AbortController().signal);
  pair.client.ws.resume();
  await drained;
  expect(pair.writer.writable).toBe(true);
});

test('a connection that does not move is given up, and told so when it reads again', async () => {
  await using pair = await connect({ highWaterBytes: 100_000, stallMs: 50 });
  pair.client.ws.pause();
  await fill(pair);
  await expect.poll(() => pair.writer.open).toBe(false);
  pair.client.ws.resume();
  expect(await pair.client.closed).toEqual({ code: 4509, reason: 'no progress' });
});

test('a client that reads slowly is not given up, though the kernel takes nothing more for long', async () => {
  await using pair = await connect({ highWaterBytes: 100_000, stallMs: 500 });
  pair.client.ws.pause();
  const bytes = await fill(pair);
  // From here on the socket itself stands still. Only the pongs show that the client reads what the kernel keeps.
  const { writableLength } = pair.socket;
  for (let n = 0; n < 25; n += 1) {
    pair.client.ws.pong();
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(pair.socket.writableLength).toBe(writableLength);
  expect(pair.writer.open).toBe(true);
  let pings = 0;
  pair.client.ws.on('ping', () => {
    pings += 1;
  });
  pair.client.ws.resume();
  await expect.poll(() => pings).toBeGreaterThan(bytes / 600_000);
});
