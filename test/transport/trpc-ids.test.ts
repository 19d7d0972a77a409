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

test.each([undefined, '2.0'])('each message of an event has the id of its subscription, with jsonrpc %s', async (jsonrpc) => {
  await using gateway = await startGateway({ COURIER_LIMITS: UNLIMITED });
  await using stack = new AsyncDisposableStack();
  const token = await gateway.token('root', 'admin');
  const sockets: RawSocket[] = [];
  for (const id of IDS) {
    const socket = stack.use(await signIn(gateway.url, token));
    const params = { path: 'events.subscribe', input: { json: { channels: ['forge.job.j'] } } };
    socket.send({ id, jsonrpc, method: 'subscription', params });
    // It has started, and is live.
    await socket.count(2);
    sockets.push(socket);
  }
  const drafts = TEXTS.map((text) => ({
    channel: 'forge.job.j' as const,
    type: 'forge.job.completed' as const,
    data: { job_id: 'j', result: { text } },
  }));
  const receipts = await gateway.httpClient(token).events.publishBatch.mutate(drafts);
  for (const [index, socket] of sockets.entries()) {
    const messages = (await socket.count(2 + TEXTS.length)).slice(2).map((text) => JSON.parse(text) as Answer);
    expect(messages.map(({ id, jsonrpc: version }) => [id, version])).toEqual(TEXTS.map(() => [IDS[index], jsonrpc]));
    expect(messages.map(({ result }) => [result.id, result.data?.json.id, result.data?.json.data.data])).toEqual(
      receipts.map(({ id }, at) => [id, id, drafts[at]?.data]),
    );
  }
});
