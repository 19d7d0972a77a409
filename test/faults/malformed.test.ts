/** Messages that nobody should send: each gets an error or a close code, and those beside it notice nothing. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket, type RawSocket } from '../helpers/raw-socket.ts';
import { EXACT, Ledger, LONG, report } from './ledger.ts';
import { startLoad, storedEvents, TIDY_HEAP, watch } from './load.ts';

const ROUNDS = LONG ? 40 : 4;
const RANDOM_PER_ROUND = 50;

type Answer = { readonly error: string } | { readonly closed: number } | { readonly data: unknown };
interface Case {
  readonly name: string;
  readonly send: (ws: WebSocket, raw: Socket) => void;
  readonly expected: Answer;
}

const deep = (open: string, close: string, levels: number) => `${open.repeat(levels)}1${close.repeat(levels)}`;
const call = (path: string, input: string, id: number | string = 1, method = 'mutation') =>
  `{"id":${JSON.stringify(id)},"method":"${method}","params":{"path":"${path}","input":{"json":${input}}}}`;
const publish = (data: string) => call('forge.publish', `{"type":"forge.job.completed","channel":"forge.job.j","data":${data}}`);
const text = (message: string) => (ws: WebSocket) => ws.send(message);
const bytes = (...frame: number[]) => {
  return (_ws: WebSocket, raw: Socket) => void raw.write(Buffer.from(frame));
};
/** A client's frame with a mask of zeros. */
const frame = (first: number, payload: Buffer) => bytes(first, 0x80 | payload.length, 0, 0, 0, 0, ...payload);

const REFUSED: Answer = { error: 'BAD_REQUEST' };
const UNPARSEABLE: Answer = { error: 'PARSE_ERROR' };
const CASES: Case[] = [
  { name: 'text that is no JSON', send: text('{"id":'), expected: UNPARSEABLE },
  { name: 'an empty message', send: text(''), expected: UNPARSEABLE },
  { name: 'null', send: text('null'), expected: UNPARSEABLE },
  { name: 'a number', send: text('1'), expected: UNPARSEABLE },
  { name: 'lists in lists', send: text('[[[]]]'), expected: UNPARSEABLE },
  { name: '100,000 open brackets', send: text('['.repeat(100_000)), expected: UNPARSEABLE },
  { name: 'a message 50,000 deep', send: text(deep('[', ']', 50_000)), expected: UNPARSEABLE },
  { name: 'a binary message', send: (ws) => ws.send(randomBytes(100)), expected: UNPARSEABLE },
  { name: 'an input 20,000 deep', send: text(call('events.publish', deep('{"a":', '}', 20_000))), expected: REFUSED },
  { name: 'data 5,000 deep', send: text(publish(`{"job_id":"j","result":${deep('{"a":', '}', 5000)}}`)), expected: REFUSED },
  { name: 'a key __proto__', send: text(publish('{"job_id":"j","result":{"__proto__":{"x":1}}}')), expected: REFUSED },
  { name: 'a key constructor', send: text(publish('{"job_id":"j","result":{"a":{"constructor":1}}}')), expected: REFUSED },
  { name: 'a procedure __proto__', send: text(call('__proto__.toString', '1')), expected: { error: 'NOT_FOUND' } },
  {
    name: 'a batch of 20,000 that are no calls',
    send: text(`[${Array.from({ length: 20_000 }, () => '{"id":1}').join(',')}]`),
    expected: UNPARSEABLE,
  },
  {
    name: 'an id that is in use',
    send: text(
      `[${call('events.subscribe', '{"channels":["user.x"]}', 7, 'subscription')},${call('auth.whoami', 'null', 7, 'subscription')}]`,
    ),
    expected: REFUSED,
  },
  { name: 'a message of 1.1 MB', send: text(`"${'x'.repeat(1_100_000)}"`), expected: { closed: 1009 } },
  {
    name: 'a message in three fragments',
    send: (ws) => {
      const message = call('auth.whoami', 'null', 1, 'query');
      ws.send(message.slice(0, 10), { fin: false });
      ws.send(message.slice(10, 20), { fin: false });
      ws.send(message.slice(20), { fin: true });
    },
    expected: { data: expect.objectContaining({ sub: 'forge' }) },
  },
  {
    name: 'a message in 5,000 fragments',
    send: (ws) => {
      for (let n = 0; n < 5000; n += 1) ws.send(' ', { fin: false });
    },
    expected: { closed: 1008 },
  },
  { name: 'a frame without a mask', send: bytes(0x81, 0x01, 0x20), expected: { closed: 1002 } },
  { name: 'an opcode that does not exist', send: frame(0x83, Buffer.alloc(0)), expected: { closed: 1002 } },
  { name: 'reserved bits', send: frame(0xf1, Buffer.from('x')), expected: { closed: 1002 } },
  { name: 'a fragmented ping', send: frame(0x09, Buffer.alloc(0)), expected: { closed: 1002 } },
  { name: 'text that is no UTF-8', send: frame(0x81, Buffer.from([0xff, 0xfe])), expected: { closed: 1007 } },
  { name: 'a close code that does not exist', send: frame(0x88, Buffer.from([0x00, 0x01])), expected: { closed: 1002 } },
  { name: 'a message of 2^60 bytes', send: bytes(0x81, 0xff, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), expected: { closed: 1009 } },
];

const rawOf = (socket: RawSocket) => (socket.ws as unknown as { _socket: Socket })._socket;

/** The first error or result that comes, or the code that the connection was closed with. */
async function answerTo(url: string, token: string, send: Case['send']): Promise<Answer> {
  await using socket = await openSocket(`${url}/trpc?connectionParams=1`);
  socket.send({ method: 'connectionParams', data: { token } });
  send(socket.ws, rawOf(socket));
  for (let count = 1; ; count += 1) {
    const closed = await socket.count(count).then(
      () => undefined,
      () => socket.closed,
    );
    if (closed !== undefined) return { closed: closed.code };
    const { error, result } = JSON.parse(socket.messages[count - 1] as string) as {
      error?: { json: { data: { code: string } } };
      result?: { type: string; data?: { json: unknown } };
    };
    if (error !== undefined) return { error: error.json.data.code };
    if (result?.type === 'data') return { data: result.data?.json };
  }
}

/** Bytes at random, as frames or as no protocol at all. Resolves when the gateway has closed the connection. */
async function sendRandomBytes(url: string, token: string): Promise<void> {
  await using socket = await openSocket(`${url}/ws/**?token=${token}`);
  const raw = rawOf(socket);
  raw.write(randomBytes(1 + Math.floor(Math.random() * 2000)));
  raw.end();
  await socket.closed;
}

test('messages that nobody should send', { timeout: 300_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}`, NODE_OPTIONS: TIDY_HEAP });
  const webSocket = gateway.url.replace('http', 'ws');
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  await using neighbour = watch(gateway.url, token);
  await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 2 });
  const connections = async () => {
    const health = (await (await fetch(`${gateway.url}/health`)).json()) as { components: { websocket_server: { connections: number } } };
    return health.components.websocket_server.connections;
  };
  const attack = async () => {
    for (const { name, send, expected } of CASES) expect(await answerTo(webSocket, token, send), name).toEqual(expected);
    await Promise.all(Array.from({ length: RANDOM_PER_ROUND }, () => sendRandomBytes(webSocket, token)));
  };
  await load.more(100);
  await attack();
  const before = gateway.peakRssBytes();
  for (let round = 1; round < ROUNDS; round += 1) await attack();
  const grown = Math.max(0, gateway.peakRssBytes() - before);
  await load.more(100);
  await load.stop();
  // The publisher's and the neighbour's.
  await expect.poll(connections).toBe(2);
  const stored = await storedEvents(gateway.url, token);
  await neighbour.reaches(stored.at(-1)?.id ?? '');
  const figures = ledger.compare(stored, neighbour.items);
  report(task, 20, 'malformed messages beside a subscriber', {
    ...figures,
    'peak memory': `${Math.round(gateway.peakRssBytes() / 1e6)} MB`,
    'bad messages': ROUNDS * (CASES.length + RANDOM_PER_ROUND),
    'grown after the first round': `${Math.round(grown / 1e6)} MB`,
  });
  expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
  expect(neighbour.notices).toEqual(['courier.live']);
  expect(grown).toBeLessThan(64e6);
});
