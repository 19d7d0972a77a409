/** Input on every surface: what is taken, what a wrong one costs, and whose error it is. */
import { describe, expect, test } from 'vitest';
import { MAX_DATA_BYTES } from '../../src/contract/json.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { startGateway, stranger, type TestGateway, traveller, worker } from '../helpers/trade.ts';

const DATE = '2026-01-02T03:04:05.678Z';
const NOTE = worker.note();

interface Problem {
  readonly code: string;
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
  readonly path?: string;
}
interface Answer {
  readonly id?: number;
  readonly result?: { readonly data: { readonly json: Record<string, unknown> } };
  readonly error?: { readonly json: { readonly message: string; readonly data: Problem } };
}
interface Call {
  readonly path: string;
  readonly input?: unknown;
  readonly method?: string;
}

/** How calls are made: all in one message, answered in its order. */
interface Way {
  readonly name: string;
  readonly call: (gateway: TestGateway, token: string, calls: readonly Call[]) => Promise<Answer[]>;
}

const WAYS: Way[] = [
  {
    name: 'WebSocket',
    call: async (gateway, token, calls) => {
      await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/trpc`, { headers: { authorization: `Bearer ${token}` } });
      socket.send(calls.map(({ path, input, method = 'mutation' }, id) => ({ id, method, params: { path, input } })));
      const answers = (await socket.count(calls.length)).map((text) => JSON.parse(text) as Answer);
      return answers.toSorted((a, b) => Number(a.id) - Number(b.id));
    },
  },
  {
    name: 'HTTP',
    call: async (gateway, token, calls) => {
      const response = await fetch(`${gateway.url}/trpc/${calls.map(({ path }) => path).join(',')}?batch=1`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(Object.fromEntries(calls.map(({ input }, index) => [index, input]))),
      });
      return (await response.json()) as Answer[];
    },
  },
];

const problemOf = ({ error }: Answer | undefined = {}) => error && { ...error.json.data, message: error.json.message };
const publishOf = (json: unknown, meta?: unknown) => ({ path: 'events.publish', input: { json, meta } });
const codeOf = (answer: Answer | undefined) => problemOf(answer)?.code ?? 'answered';

describe.each(WAYS)('over $name', ({ call }) => {
  const good = publishOf(
    { ...NOTE, metadata: { timestamp: DATE, correlation_id: null } },
    {
      v: 1,
      values: { 'metadata.timestamp': ['Date'], 'metadata.correlation_id': ['undefined'] },
    },
  );

  test('dates and undefined are taken', async () => {
    await using gateway = await startGateway();
    const [answer] = await call(gateway, await gateway.token(worker.service, 'service'), [good]);
    expect(answer?.result?.data.json).toMatchObject({ timestamp: DATE, duplicate: false });
  });

  test.each<[string, unknown, unknown, RegExp]>([
    [
      'a typed array of 120,000,000',
      { a: { length: 120_000_000 } },
      { v: 1, values: { a: [['typed-array', 'Uint8Array']] } },
      /"typed-array"/,
    ],
    ['60 references, doubling', nested(60), { v: 1, referentialEqualities: doubling(60) }, /meta\.referentialEqualities/],
    ['a set', { ...NOTE, data: [] }, { v: 1, values: { data: ['set'] } }, /"set"/],
    ['a regular expression', { ...NOTE, channel: '/(a+)+$/' }, { v: 1, values: { channel: ['regexp'] } }, /"regexp"/],
    ['a place that is not there', NOTE, { v: 1, values: { 'metadata.timestamp': ['Date'] } }, /"metadata\.timestamp"/],
  ])('%s is the error of its call alone', async (_name, json, meta, message) => {
    await using gateway = await startGateway();
    const token = await gateway.token('root', 'admin');
    const answers = await call(gateway, token, [good, publishOf(json, meta), good, { path: 'events.publishBatch', input: { json, meta } }]);
    expect(answers.map(codeOf)).toEqual(['answered', 'BAD_REQUEST', 'answered', 'BAD_REQUEST']);
    expect(problemOf(answers[1])?.message).toMatch(message);
  });

  test('a date in data is refused with its place', async () => {
    await using gateway = await startGateway();
    const json = { ...worker.report({ at: DATE }), channel: 'global' };
    const path = `data.${worker.reported.field}.at`;
    const [answer] = await call(gateway, await gateway.token(worker.service, 'service'), [
      publishOf(json, { v: 1, values: { [path]: ['Date'] } }),
    ]);
    expect(problemOf(answer)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path }] });
  });

  test('data that is much too large is PAYLOAD_TOO_LARGE before it is looked into', async () => {
    await using gateway = await startGateway();
    const data = { [worker.idField]: 1, [worker.reported.field]: Array(MAX_DATA_BYTES / 2).fill(1) };
    const [one, many] = await call(gateway, await gateway.token(worker.service, 'service'), [
      publishOf({ ...NOTE, data }),
      { path: 'events.publishBatch', input: { json: [NOTE, { ...NOTE, data }] } },
    ]);
    expect(problemOf(one)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', issues: [{ path: 'data' }] });
    expect(problemOf(many)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', issues: [{ path: '1.data' }] });
  });

  test('rights come before validation, from what type and channel are handed in', async () => {
    await using gateway = await startGateway();
    const wrong = { ...NOTE, data: { nothing: 'right' } };
    const calls = [
      publishOf(wrong),
      { path: 'events.publishBatch', input: { json: [wrong] } },
      { path: `${worker.service}.publish`, input: { json: wrong } },
      publishOf({ type: 'nothing', data: 1 }),
    ];
    const codes = async (token: string) => (await call(gateway, token, calls)).map(codeOf);
    expect(await codes(await gateway.token('ada'))).toEqual(Array(4).fill('FORBIDDEN'));
    expect(await codes(await gateway.token('reader', 'service'))).toEqual(Array(4).fill('FORBIDDEN'));
    expect(await codes(await gateway.token('ada', 'user', { publish: ['user.ada'] }))).toEqual([
      ...Array(3).fill('FORBIDDEN'),
      'BAD_REQUEST',
    ]);
    expect(await codes(await gateway.token(stranger.service, 'service'))).toEqual([...Array(3).fill('FORBIDDEN'), 'BAD_REQUEST']);
    expect(await codes(await gateway.token(worker.service, 'service'))).toEqual(Array(4).fill('BAD_REQUEST'));
  });

  test('a channel that may not carry the type is BAD_REQUEST for the service of that type', async () => {
    await using gateway = await startGateway();
    const [answer] = await call(gateway, await gateway.token(worker.service, 'service'), [
      publishOf({ ...NOTE, channel: traveller.channel('b') }),
    ]);
    expect(problemOf(answer)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'channel' }] });
  });

  test('twenty things that are wrong are told, and how many more there are', async () => {
    await using gateway = await startGateway();
    const unknown = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key${index}`, index]));
    const listed = { ...stranger.list(Array(1000).fill(1)), channel: 'global' };
    const answers = await call(gateway, await gateway.token('root', 'admin'), [
      publishOf({ ...NOTE, metadata: unknown }),
      publishOf(listed),
    ]);
    for (const [index, first] of ['metadata.key0: is not a known key; ', `data.${stranger.listed.field}.0: `].entries()) {
      const problem = problemOf(answers[index]);
      expect(problem?.issues).toHaveLength(20);
      expect(problem?.message).toMatch(/; and 980 more$/);
      expect(problem?.message.slice(0, first.length)).toBe(first);
    }
  });
});

/** `{a: {a: …, b: null}, b: null}`, and references by which each `b` would be what `a` beside it is. */
function nested(levels: number): unknown {
  return levels === 0 ? {} : { a: nested(levels - 1), b: null };
}
function doubling(levels: number): Record<string, string[]> {
  const paths = Array.from({ length: levels }, (_, level) => 'a.'.repeat(levels - 1 - level));
  return Object.fromEntries(paths.map((path) => [`${path}a`, [`${path}b`]]));
}

test('a position that a stream resumes from is read with the input of its call', async () => {
  await using gateway = await startGateway();
  const headers = { authorization: `Bearer ${await gateway.token(worker.service, 'service')}` };
  const get = async (query: object, lastEventId = '') => {
    const url = `${gateway.url}/trpc/global.onEvent?${new URLSearchParams({ ...query, ...(lastEventId && { lastEventId }) })}`;
    return (await (await fetch(url, { headers })).text()).slice(0, 1000);
  };
  const refused = '"message":"lastEventId: is not a position of Courier';
  expect(await get({}, 'garbage')).toContain(refused);
  expect(await get({ input: '{"json":{"from":"now"}}' }, 'garbage')).toContain(refused);
  expect(await get({ input: '{"json":null,"meta":{"values":["undefined"],"v":1}}' }, 'garbage')).toContain(refused);
  expect(await get({ input: '{"json":{"from":"now"},"meta":{"values":{"from":["regexp"]}}}' })).toContain('the annotation');
});

test('a list that is too long is one thing that is wrong, whatever is in it', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('root', 'admin'));
  const { events } = client.trpc;
  const wrong = Array(50_000).fill(1) as never;
  const refused = (path: string) => ({
    data: { code: 'BAD_REQUEST', issues: [{ path, message: expect.stringMatching(/^must have at most \d+ elements$/) }] },
  });
  await expect(events.history.query({ channels: wrong })).rejects.toMatchObject(refused('channels'));
  await expect(events.history.query({ channels: ['**'], types: wrong })).rejects.toMatchObject(refused('types'));
  await expect(events.publishBatch.mutate(wrong)).rejects.toMatchObject(refused(''));
  const errored = Promise.withResolvers<unknown>();
  stranger.over(client.trpc).onEvent.subscribe({ ...stranger.named('s'), types: wrong }, { onError: errored.resolve });
  expect(await errored.promise).toMatchObject(refused('types'));
});

describe('a body over HTTP', () => {
  const latin1 = Buffer.from(JSON.stringify(worker.note('Zürich')), 'latin1');
  const send = async (gateway: TestGateway, path: string, contentType: string, body: Buffer | string) => {
    const authorization = `Bearer ${await gateway.token(worker.service, 'service')}`;
    const response = await fetch(gateway.url + path, { method: 'POST', headers: { authorization, 'content-type': contentType }, body });
    const { code, error } = (await response.json()) as { code?: string } & Answer;
    return { status: response.status, code: code ?? error?.json.data.code };
  };

  test('that is not valid UTF-8 is not parseable', async () => {
    await using gateway = await startGateway();
    expect(await send(gateway, '/publish', 'application/json', latin1)).toEqual({ status: 400, code: 'PARSE_ERROR' });
    const wrapped = Buffer.concat([Buffer.from('{"json":'), latin1, Buffer.from('}')]);
    expect(await send(gateway, '/trpc/events.publish', 'application/json', wrapped)).toEqual({ status: 400, code: 'PARSE_ERROR' });
  });

  test('over tRPC that is too large is the error of its calls, and that of a stranger is not waited for', async () => {
    await using gateway = await startGateway();
    const tooLarge = `{"json":"${'x'.repeat(1024 * 1024)}"}`;
    const path = '/trpc/events.publish';
    expect(await send(gateway, path, 'application/json', tooLarge)).toEqual({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
    const headers = { 'content-type': 'application/json', authorization: 'Bearer nonsense' };
    const endless = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{')) });
    const response = await fetch(gateway.url + path, { method: 'POST', headers, body: endless, duplex: 'half' } as RequestInit);
    expect([response.status, await response.json()]).toMatchObject([401, { error: { json: { data: { code: 'UNAUTHORIZED' } } } }]);
  });

  test.each([
    ['application/json; charset=iso-8859-1', 415],
    ['application/json; x=1; charset="UTF-16"', 415],
    ['application/jsonp', 415],
    ['text/plain', 415],
    ['multipart/form-data; boundary=x', 415],
    ['application/octet-stream', 415],
    ['application/json; charset=utf-8', 201],
    ['Application/JSON;Charset="UTF-8"', 201],
    ['application/json; x=1', 201],
  ])('of type %s is answered with %i', async (contentType, status) => {
    await using gateway = await startGateway();
    expect(await send(gateway, '/publish', contentType, JSON.stringify(NOTE))).toMatchObject({ status });
    const overTrpc = await send(gateway, '/trpc/events.publish', contentType, JSON.stringify({ json: NOTE }));
    expect(overTrpc).toMatchObject({ status: status === 201 ? 200 : status });
  });

  test('rights come before validation, and before the body where they are none', async () => {
    await using gateway = await startGateway();
    const status = async (token: string, body: string) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      return (await fetch(`${gateway.url}/publish/${worker.channel('j')}`, { method: 'POST', headers, body })).status;
    };
    const wrong = JSON.stringify({ type: NOTE.type, data: { nothing: 'right' } });
    expect(await status(await gateway.token('ada'), '{"')).toBe(403);
    expect(await status(await gateway.token('ada', 'user', { publish: ['user.ada'] }), wrong)).toBe(403);
    expect(await status(await gateway.token('ada', 'user', { publish: ['user.ada'] }), '{"')).toBe(400);
    expect(await status(await gateway.token(worker.service, 'service'), wrong)).toBe(400);
  });
});
