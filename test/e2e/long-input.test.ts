/** Input of the worst kinds for every procedure and route: each is refused, and what a caller chose is not told at length. */
import { expect, test } from 'vitest';
import { openSocket } from '../helpers/raw-socket.ts';
import { ROLES, startGateway, stranger, worker } from '../helpers/trade.ts';

const NOTE = worker.note();
/** Characters of an answer, at most: twenty issues, and all of them in one message again. */
const MAX_ANSWER_LENGTH = 12_000;

const long = 'x'.repeat(200_000);
const list = (length: number, element: unknown) => Array(length).fill(element);
const keys = Object.fromEntries(Array.from({ length: 15_000 }, (_, index) => [`k${index}`, 1]));
type Input = [name: string, path: string, method: string, inputs: (value: unknown) => unknown[]];
const odd: [string, unknown][] = [
  ['numbers', list(100_000, 1)],
  ['lists', list(80_000, [])],
  ['objects', list(80_000, {})],
  ['keys', keys],
  ['a text', long],
  ['a key', { [long]: 1 }],
  ['dots', 'a.'.repeat(100_000)],
  ['stars', '**.'.repeat(60_000)],
];
const INPUTS: Input[] = [
  ['events.publish', 'events.publish', 'mutation', publishes],
  [`${worker.service}.publish`, `${worker.service}.publish`, 'mutation', publishes],
  ['events.publishBatch', 'events.publishBatch', 'mutation', (value) => [value, ...publishes(value).map((draft) => [draft])]],
  ['events.publishEach', 'events.publishEach', 'mutation', (value) => [value]],
  ['events.history', 'events.history', 'query', reads],
  ['events.subscribe', 'events.subscribe', 'subscription', reads],
  ['global.onEvent', 'global.onEvent', 'subscription', reads],
  ['user.onEvent', 'user.onEvent', 'subscription', (value) => [...reads(value), { user_id: value }]],
  ...ROLES.map(
    ({ procedure, idField }): Input => [procedure, procedure, 'subscription', (value) => [...reads(value), { [idField]: value }]],
  ),
  ['auth.refresh', 'auth.refresh', 'mutation', (value) => [value, { token: value }]],
  ['admin.connections', 'admin.connections', 'query', (value) => [value, { sub: value }]],
  ['admin.recipients', 'admin.recipients', 'query', (value) => [value, { id: value }, { id: 'a-1', channel: value, type: 'x' }]],
  ['admin.disconnect', 'admin.disconnect', 'mutation', (value) => [value, { connection_id: value }]],
  ['admin.revoke', 'admin.revoke', 'mutation', (value) => [value, { sub: value }, { jti: value }]],
  ['admin.setLogLevel', 'admin.setLogLevel', 'mutation', (value) => [value, { level: value }]],
  ['admin.rebuildState', 'admin.rebuildState', 'mutation', (value) => [value, { entity: value }]],
  ['a procedure that there is not', `events.${long}`, 'mutation', () => [1]],
];

function publishes(value: unknown): unknown[] {
  const field = (name: string) => ({ ...NOTE, [name]: value });
  const report = { ...worker.report(value as never), channel: 'global' };
  return [
    value,
    ...['type', 'channel', 'data', 'metadata', 'idempotency_key'].map(field),
    { ...report, data: { [worker.idField]: value } },
    { ...report, type: 'x' },
  ];
}
function reads(value: unknown): unknown[] {
  const field = (name: string) => ({ channels: ['**'], [name]: value });
  return [value, ...['channels', 'types', 'order', 'from', 'after', 'lastEventId', 'limit'].map(field), { channels: [value] }];
}

test.each(INPUTS)('by %s', async (_name, path, method, inputs) => {
  await using gateway = await startGateway();
  const headers = { authorization: `Bearer ${await gateway.token('root', 'admin')}` };
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/trpc`, { headers });
  let count = 0;
  for (const [name, value] of odd) {
    for (const json of inputs(value)) {
      socket.send({ id: count, method, params: { path, input: { json } } });
      count += 1;
      const answer = (await socket.count(count))[count - 1] as string;
      expect(JSON.parse(answer), name).toMatchObject({ id: count - 1, error: { json: { data: { code: expect.any(String) } } } });
      expect(answer, name).not.toContain('INTERNAL_SERVER_ERROR');
      expect(answer.length, `${name}: ${answer.slice(0, 300)}`).toBeLessThan(MAX_ANSWER_LENGTH);
    }
  }
});

test.each(odd)('by plain HTTP: %s', async (_name, value) => {
  await using gateway = await startGateway();
  const headers = { authorization: `Bearer ${await gateway.token('root', 'admin')}`, 'content-type': 'application/json' };
  for (const body of publishes(value)) {
    const response = await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(body) });
    expect([400, 413]).toContain(response.status);
    expect((await response.text()).length).toBeLessThan(MAX_ANSWER_LENGTH);
  }
});

test('a list of channels that is not granted', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('ada'));
  const channels = list(100, stranger.channel('s'.repeat(64)));
  const error = await client.trpc.events.history.query({ channels }).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({
    data: { code: 'FORBIDDEN' },
    message: expect.stringMatching(/^user "ada" may not subscribe to .{1,300}$/),
  });
});
