/** Lists of events that cost their sender next to nothing: what is said of each takes bounded room, and leaves others their turns. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startGateway } from '../helpers/gateway.ts';
import { signIn } from '../helpers/raw-socket.ts';

const NOTHING = Array<object>(500).fill({});
const CALLS = 100;

test('the answers of one principal over HTTP take bounded memory until they are read, and give it back', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('forge', 'service');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = JSON.stringify(Object.fromEntries(Array.from({ length: CALLS }, (_, index) => [index, { json: NOTHING }])));
  const ask = async () => {
    const response = await fetch(`${gateway.url}/trpc/${Array(CALLS).fill('events.publishEach').join(',')}?batch=1`, {
      method: 'POST',
      headers,
      body,
    });
    const answers = (await response.json()) as { result?: object; error?: { json: { data: { code: string } } } }[];
    const told = answers.filter(({ result }) => result !== undefined).length;
    expect(answers.flatMap(({ error }) => error?.json.data.code ?? [])).toEqual(Array(CALLS - told).fill('TOO_MANY_REQUESTS'));
    return told;
  };
  const told = await ask();
  expect(told).toBeGreaterThan(0);
  expect(told).toBeLessThan(CALLS / 2);
  await expect.poll(() => gateway.census.reservedBytes).toBe(0);
  expect(await ask()).toBe(told);
});

test('a client that leaves at once leaves nothing reserved', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('forge', 'service');
  const body = JSON.stringify({ json: NOTHING });
  const lines = [
    'POST /trpc/events.publishEach HTTP/1.1',
    'Host: courier',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ];
  for (let client = 0; client < 50; client += 1) {
    const socket = connect(gateway.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
    await once(socket, 'close');
  }
  await expect.poll(() => gateway.census.requests).toBe(0);
  await expect.poll(() => gateway.census.reservedBytes).toBe(0);
});

test('the calls of one message have turns of their own', async () => {
  await using gateway = await startGateway();
  await using client = await signIn(gateway.url, await gateway.token('forge', 'service'));
  client.send(
    Array.from({ length: 8 }, (_, id) => ({ id, method: 'mutation', params: { path: 'events.publishEach', input: { json: NOTHING } } })),
  );
  let turns = 0;
  const counting = new AbortController();
  const counted = (async () => {
    while (!counting.signal.aborted) {
      await nextTurn();
      if (client.messages.length > 0) turns += 1;
    }
  })();
  await client.count(8);
  counting.abort();
  await counted;
  expect(turns).toBeGreaterThanOrEqual(6);
});
