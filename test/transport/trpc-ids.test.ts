/** Subscriptions share the bytes of their events, and each client still reads the id of its own call. */
import { expect, test } from 'vitest';
import { startGateway, UNLIMITED } from '../helpers/gateway.ts';
import { type RawSocket, signIn } from '../helpers/raw-socket.ts';

/** More than a batch keeps forms of, with as many digits and with others, and ids that are no such numbers. */
const IDS = [
  ...Array.from({ length: 14 }, (_, n) => n),
  ...Array.from({ length: 14 }, (_, n) => 95 + n),
  2 ** 53 - 1,
  'a',
  '7',
  1.5,
  -3,
  1e21,
];
/** Frames have headers of three lengths. */
const TEXTS = ['x', 'ä'.repeat(500), 'y'.repeat(70_000), 'z'];

interface Answer {
  readonly id: unknown;
  readonly jsonrpc?: string;
  readonly result: { readonly type: string; readonly id?: string; readonly data?: { json: { id: string; data: { data: unknown } } } };
}

/** More than the kernel holds for a client that reads nothing. */
const BATCHES = 40;
const PER_BATCH = 50;

async function subscribed(url: string, token: string, id: unknown, jsonrpc?: string): Promise<RawSocket> {
  const socket = await signIn(url, token);
  const params = { path: 'events.subscribe', input: { json: { channels: ['forge.job.j'] } } };
  socket.send({ id, jsonrpc, method: 'subscription', params });
  // It has started, and is live.
  await socket.count(2);
  return socket;
}

function completed(text: string) {
  return { channel: 'forge.job.j' as const, type: 'forge.job.completed' as const, data: { job_id: 'j', result: { text } } };
}

test.each([undefined, '2.0'])('each message of an event has the id of its subscription, with jsonrpc %s', async (jsonrpc) => {
  await using gateway = await startGateway({ COURIER_LIMITS: UNLIMITED });
  await using stack = new AsyncDisposableStack();
  const token = await gateway.token('root', 'admin');
  const sockets: RawSocket[] = [];
  for (const id of IDS) sockets.push(stack.use(await subscribed(gateway.url, token, id, jsonrpc)));
  const drafts = TEXTS.map(completed);
  const receipts = await gateway.httpClient(token).events.publishBatch.mutate(drafts);
  for (const [index, socket] of sockets.entries()) {
    const messages = (await socket.count(2 + TEXTS.length)).slice(2).map((text) => JSON.parse(text) as Answer);
    expect(messages.map(({ id, jsonrpc: version }) => [id, version])).toEqual(TEXTS.map(() => [IDS[index], jsonrpc]));
    expect(messages.map(({ result }) => [result.id, result.data?.json.id, result.data?.json.data.data])).toEqual(
      receipts.map(({ id }, at) => [id, id, drafts[at]?.data]),
    );
  }
});

test('what one client has yet to read keeps its id while others get theirs', async () => {
  await using gateway = await startGateway({ COURIER_LIMITS: UNLIMITED });
  await using stack = new AsyncDisposableStack();
  const token = await gateway.token('root', 'admin');
  const sockets: RawSocket[] = [];
  for (const id of [101, 102, 103, 104]) sockets.push(stack.use(await subscribed(gateway.url, token, id)));
  // One reads all the time, between others that do not.
  for (const index of [0, 2, 3]) sockets[index]?.ws.pause();
  const { events } = gateway.httpClient(token);
  const positions: string[] = [];
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const drafts = Array.from({ length: PER_BATCH }, () => completed('x'.repeat(4000)));
    positions.push(...(await events.publishBatch.mutate(drafts)).map(({ id }) => id));
  }
  for (const { ws } of sockets) ws.resume();
  for (const [index, socket] of sockets.entries()) {
    const messages = (await socket.count(2 + positions.length)).slice(2).map((text) => JSON.parse(text) as Answer);
    expect(new Set(messages.map(({ id }) => id))).toEqual(new Set([101 + index]));
    expect(messages.map(({ result }) => result.id)).toEqual(positions);
  }
});

test('an id that JSON cannot repeat is refused', async () => {
  await using gateway = await startGateway();
  await using socket = await signIn(gateway.url, await gateway.token('root', 'admin'));
  socket.send('{"id":1e400,"method":"query","params":{"path":"auth.me"}}');
  const [answer = ''] = await socket.count(1);
  expect(JSON.parse(answer)).toMatchObject({
    id: null,
    error: { json: { message: 'an id is a finite number or a text', data: { code: 'PARSE_ERROR' } } },
  });
});
