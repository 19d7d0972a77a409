/** What the log tells of refusals: one line for each, on every transport, with who and where, and never with what was sent. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { principalOf } from '../../src/auth/principal.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { publish } from '../../src/publish.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { contract } from '../helpers/lumiere.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { jobStarted } from '../helpers/samples.ts';

interface Line {
  readonly level: string;
  readonly logger: string;
  readonly message: string;
  readonly request_id?: string;
  readonly context: Readonly<Record<string, unknown>> & { readonly code: string; readonly paths?: readonly string[] };
}

/** No value, name or token of a caller's may be found in the log. */
const CANARY = 'canary-5519';
const LIMITS = JSON.stringify({ user: { queriesPerSecond: 1 }, gateway: { unauthenticatedPerAddress: 5 } });

function capture() {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += String(chunk);
  });
  const linesOf = () =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line);
  return {
    logger: createLogger({ logLevel: 'info', logFormat: 'json' }, { destination: stream }),
    get text() {
      return text;
    },
    get refusals() {
      return linesOf().filter(({ level }) => level === 'WARN');
    },
  };
}

const inputOf = (value: unknown) => encodeURIComponent(JSON.stringify({ json: value }));
const invalid = { type: 'forge.job.progress', channel: 'forge.job.j', data: { job_id: 'j', progress: CANARY } };

/** How a client is refused, and what the log says of it. Each comes with a request id of its own. */
interface Case {
  readonly name: string;
  readonly act: (client: Client) => Promise<unknown>;
  readonly told: readonly string[];
}
interface Client {
  readonly gateway: TestGateway;
  readonly service: string;
  readonly user: string;
  readonly requestId: string;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  post(path: string, token: string, body: unknown): Promise<Response>;
  socket(path: string, headers?: Record<string, string>): ReturnType<typeof openSocket>;
}

async function overTrpc({ socket }: Client, token: string, ...messages: object[]): Promise<void> {
  await using ws = await socket('/trpc?connectionParams=1');
  ws.send({ method: 'connectionParams', data: { token } });
  for (const message of messages) ws.send(message);
  await ws.count(messages.length);
}
async function closed(opening: ReturnType<typeof openSocket>): Promise<void> {
  await using ws = await opening;
  await ws.closed;
}
const refusedUpgrade = (opening: ReturnType<typeof openSocket>) => opening.then(undefined, () => undefined);
const call = (path: string, input: unknown, type = 'mutation') => ({ id: 1, method: type, params: { path, input: { json: input } } });

const CASES: readonly Case[] = [
  {
    name: 'tRPC WebSocket: parameters with a wrong token, and a call behind them',
    act: (client) => overTrpc(client, CANARY, call('auth.whoami', undefined, 'query')),
    told: ['auth UNAUTHORIZED'],
  },
  {
    name: 'tRPC WebSocket: parameters that are none',
    act: async ({ socket }) => {
      await using ws = await socket('/trpc?connectionParams=1');
      ws.send(`{"${CANARY}`);
      await ws.closed;
    },
    told: ['trpc PARSE_ERROR'],
  },
  {
    name: 'tRPC WebSocket: data that is not valid',
    act: (client) => overTrpc(client, client.service, call('forge.publish', invalid)),
    told: ['trpc BAD_REQUEST forge data.progress'],
  },
  {
    name: 'tRPC WebSocket: a subscription without the right',
    act: (client) => overTrpc(client, client.user, call('events.subscribe', { channels: ['user.bob'] }, 'subscription')),
    told: ['auth FORBIDDEN ada'],
  },
  {
    name: 'tRPC WebSocket: a message that is none',
    act: async (client) => overTrpc(client, client.service, [{ id: null, [CANARY]: 1 }]),
    told: ['trpc PARSE_ERROR forge'],
  },
  {
    name: 'tRPC WebSocket: a procedure that there is not',
    act: async (client) => overTrpc(client, client.service, call('no.such', 1)),
    told: ['trpc NOT_FOUND forge'],
  },
  {
    name: "tRPC WebSocket: an admin's call",
    act: (client) => overTrpc(client, client.service, call('admin.revoke', { sub: CANARY })),
    told: ['auth FORBIDDEN forge'],
  },
  {
    name: 'tRPC WebSocket: a refresh with a wrong token',
    act: (client) => overTrpc(client, client.service, call('auth.refresh', { token: CANARY })),
    told: ['auth UNAUTHORIZED forge'],
  },
  {
    name: 'tRPC HTTP: a batch, each of its calls',
    act: async ({ post, service }) => {
      const body = { 0: { json: invalid }, 1: { json: jobStarted() }, 2: { json: { ...invalid, channel: CANARY } } };
      return post('/trpc/events.publish,events.publish,events.publish?batch=1', service, body);
    },
    told: ['trpc BAD_REQUEST forge data.progress', 'trpc BAD_REQUEST forge channel data.progress'],
  },
  {
    name: 'tRPC HTTP: a wrong token',
    act: ({ get }) => get('/trpc/auth.whoami,auth.whoami?batch=1', { authorization: `Bearer ${CANARY}` }),
    told: ['auth UNAUTHORIZED'],
  },
  {
    name: 'tRPC HTTP: beyond the limit',
    act: async ({ get, user }) => {
      for (let n = 0; n < 2; n += 1) await get('/trpc/auth.whoami', { authorization: `Bearer ${user}` });
    },
    told: ['limits TOO_MANY_REQUESTS ada'],
  },
  {
    name: 'tRPC server-sent events: a wrong token',
    act: ({ get }) => get(`/trpc/events.subscribe?input=${inputOf({ channels: ['global'] })}`, { authorization: `Bearer ${CANARY}` }),
    told: ['auth UNAUTHORIZED'],
  },
  {
    name: 'tRPC server-sent events: without the right',
    act: async ({ get, user }) =>
      (await get(`/trpc/events.subscribe?input=${inputOf({ channels: ['user.bob'] })}`, { authorization: `Bearer ${user}` })).text(),
    told: ['auth FORBIDDEN ada'],
  },
  {
    name: 'server-sent events: a wrong token',
    act: ({ get }) => get(`/sse/global?token=${CANARY}`),
    told: ['auth UNAUTHORIZED'],
  },
  {
    name: 'server-sent events: without the right',
    act: ({ get, user }) => get('/sse/user.bob', { authorization: `Bearer ${user}` }),
    told: ['auth FORBIDDEN ada'],
  },
  {
    name: 'plain WebSocket: a wrong token',
    act: ({ socket }) => closed(socket(`/ws/global?token=${CANARY}`)),
    told: ['auth UNAUTHORIZED'],
  },
  {
    name: 'plain WebSocket: a type that there is not',
    act: ({ socket, service }) => closed(socket(`/ws/global?token=${service}&types=${CANARY}`)),
    told: ['websocket BAD_REQUEST forge types.0'],
  },
  {
    name: 'plain WebSocket: a frame that is none',
    act: async ({ socket, service }) => {
      await using ws = await socket(`/ws/global?token=${service}`);
      await ws.count(1);
      (ws.ws as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0xff, 0xff]));
      await ws.closed;
    },
    told: ['websocket PARSE_ERROR forge'],
  },
  {
    name: 'an upgrade: a page of another origin',
    act: ({ socket, service }) => refusedUpgrade(socket(`/ws/global?token=${service}`, { origin: 'https://evil.example' })),
    told: ['auth FORBIDDEN'],
  },
  { name: 'an upgrade: no such path', act: ({ socket }) => refusedUpgrade(socket('/nowhere')), told: ['websocket NOT_FOUND'] },
  {
    name: 'a preflight: a page of another origin',
    act: ({ gateway, requestId }) =>
      fetch(`${gateway.url}/publish`, {
        method: 'OPTIONS',
        headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST', 'x-request-id': requestId },
      }),
    told: ['auth FORBIDDEN'],
  },
  {
    name: 'plain HTTP: data that is not valid',
    act: ({ post, service }) => post('/publish', service, { ...invalid, [CANARY.slice(0, 3)]: CANARY }),
    told: ['http BAD_REQUEST forge data.progress can'],
  },
  {
    name: 'plain HTTP: a body that is no JSON',
    act: ({ post, service }) => post('/publish', service, undefined),
    told: ['http PARSE_ERROR forge'],
  },
  { name: 'plain HTTP: without the right', act: ({ post, user }) => post('/publish', user, jobStarted()), told: ['auth FORBIDDEN ada'] },
  { name: 'plain HTTP: no such path', act: ({ get }) => get('/nowhere'), told: ['http NOT_FOUND'] },
  { name: 'plain HTTP: another method', act: ({ post, service }) => post('/metrics', service, {}), told: ['http METHOD_NOT_SUPPORTED'] },
  { name: 'plain HTTP: figures without a token', act: ({ get }) => get('/stats'), told: ['auth UNAUTHORIZED'] },
];

/** `auth FORBIDDEN ada channel`: the logger, the code, who, and which fields. */
function summaryOf({ logger, context }: Line): string {
  return [logger.replace('courier.', ''), context.code, context['user_id'], ...(context.paths ?? [])].filter(Boolean).join(' ');
}

test('each refusal is one line, on every transport', { timeout: 60_000 }, async () => {
  const log = capture();
  await using gateway = await startGateway({ COURIER_LIMITS: LIMITS }, {}, { logger: log.logger });
  const [service, user] = await Promise.all([gateway.token('forge', 'service'), gateway.token('ada', 'user')]);
  for (const [index, { name, act, told }] of CASES.entries()) {
    const requestId = `case-${index}`;
    const before = log.refusals.length;
    await act({
      gateway,
      service,
      user,
      requestId,
      get: (path, headers = {}) => fetch(gateway.url + path, { headers: { 'x-request-id': requestId, ...headers } }),
      post: (path, token, body) =>
        fetch(gateway.url + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-request-id': requestId },
          body: body === undefined ? `{"${CANARY}` : JSON.stringify(body),
        }),
      socket: (path, headers = {}) =>
        openSocket(gateway.url.replace('http', 'ws') + path, { headers: { 'x-request-id': requestId, ...headers } }),
    });
    await expect.poll(() => log.refusals.length, { message: name }).toBeGreaterThanOrEqual(before + told.length);
    const lines = log.refusals.slice(before);
    expect(lines.map(summaryOf), name).toEqual(told);
    for (const line of lines) {
      expect(line, name).toMatchObject({
        message: `refused: ${line.context.code}`,
        request_id: expect.stringMatching(new RegExp(`^${requestId}(/1|/call)?$`)),
        context: { address: '127.0.0.1' },
      });
    }
  }
  for (const secret of [CANARY, service, user]) expect(log.text).not.toContain(secret);
  expect(log.text).toContain('"origin":"https://evil.example"');
});

test('who does not say in time who it is, is refused', async () => {
  const log = capture();
  await using gateway = await startGateway({}, {}, { logger: log.logger, timings: { openingMs: 100 } });
  await closed(openSocket(`${gateway.url.replace('http', 'ws')}/trpc?connectionParams=1`, { headers: { 'x-request-id': 'late' } }));
  await expect
    .poll(() => log.refusals)
    .toMatchObject([{ logger: 'courier.auth', request_id: 'late', context: { code: 'UNAUTHORIZED', close: 4408, address: '127.0.0.1' } }]);
});

test.each([
  ['a status before its WebSocket is accepted', (): Record<string, string> => ({}), { path: '/ws/global', status: 503, close: undefined }],
  ['a close code, as a page', ({ url }: TestGateway) => ({ origin: url }), { path: '/ws/global', status: undefined, close: 1013 }],
])('of who is refused by %s the log tells that, and where it came', async (_name, headersOf, told) => {
  const log = capture();
  await using gateway = await startGateway({ COURIER_LIMITS: '{"gateway": {"connections": 1}}' }, {}, { logger: log.logger });
  const token = await gateway.token('ada');
  const url = `${gateway.url.replace('http', 'ws')}/ws/global?token=${token}`;
  await using inside = await openSocket(url);
  await inside.count(1);
  await closed(openSocket(url, { headers: headersOf(gateway) })).catch(() => undefined);
  await expect.poll(() => log.refusals.length).toBe(1);
  expect({ close: undefined, status: undefined, ...log.refusals[0]?.context }).toMatchObject(told);
  expect(log.text).not.toContain(token);
});

test('a caller that leaves is not refused', async () => {
  const log = capture();
  await using gateway = await startGateway({}, {}, { logger: log.logger });
  const token = await gateway.token('forge', 'service');
  const { port } = gateway;
  const url = gateway.url.replace('http', 'ws');
  await using plain = await openSocket(`${url}/ws/global?token=${token}`);
  await plain.count(1);
  plain.ws.terminate();
  await using early = await openSocket(`${url}/trpc?connectionParams=1`);
  early.ws.terminate();
  const cut = connect(port, '127.0.0.1');
  cut.write(
    `POST /publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
  );
  await expect.poll(() => gateway.census.requests).toBe(1);
  cut.destroy();
  await expect.poll(() => gateway.census.requests).toBe(0);
  const abort = new AbortController();
  const stream = await fetch(`${gateway.url}/sse/global?token=${token}`, { signal: abort.signal });
  await stream.body?.getReader().read();
  abort.abort();
  await expect.poll(() => gateway.census.connections).toEqual({ trpc: 0, plain: 0, sse: 0 });
  // Behind everything that went before.
  await fetch(`${gateway.url}/nowhere`);
  await expect.poll(() => log.refusals.map(({ context }) => context.code)).toEqual(['NOT_FOUND']);
});

test('names of fields and procedures that a caller invents take bounded room', async () => {
  const log = capture();
  await using gateway = await startGateway({}, {}, { logger: log.logger });
  const invented = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`${n}${'x'.repeat(500)}`, n]));
  const draft = jobStarted();
  await fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await gateway.token('forge', 'service')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...draft, ...Object.fromEntries(Object.entries(invented).slice(0, 100)) }),
  });
  await expect.poll(() => log.refusals.length).toBe(1);
  const [line] = log.refusals;
  expect(line?.context.paths).toHaveLength(5);
  expect(JSON.stringify(line).length).toBeLessThan(800);
  const procedure = 'x'.repeat(100_000);
  const { port } = gateway;
  await using ws = await openSocket(`ws://127.0.0.1:${port}/trpc`, {
    headers: { authorization: `Bearer ${await gateway.token('forge')}` },
  });
  ws.send({ id: 1, method: 'query', params: { path: procedure } });
  await ws.count(1);
  await fetch(`${gateway.url}/trpc/${procedure.slice(0, 10_000)}`, {
    headers: { authorization: `Bearer ${await gateway.token('forge')}` },
  });
  await expect.poll(() => log.refusals.length).toBe(3);
  for (const refusal of log.refusals.slice(1)) expect(JSON.stringify(refusal).length).toBeLessThan(800);
});

test('a flood of strangers is cut, and counted to the last', { timeout: 60_000 }, async () => {
  const log = capture();
  await using gateway = await startGateway({}, {}, { logger: log.logger });
  const strangers = Array.from({ length: 300 }, () => fetch(`${gateway.url}/stats`, { headers: { authorization: 'Bearer x' } }));
  for (const { status } of await Promise.all(strangers)) expect(status).toBe(401);
  log.logger.flush();
  await expect.poll(() => log.refusals.at(-1)?.context['suppressed']).toBeGreaterThan(0);
  const suppressed = log.refusals.reduce((sum, { context }) => sum + Number(context['suppressed'] ?? 0), 0);
  expect(log.refusals.filter(({ context }) => context['suppressed'] === undefined).length + suppressed).toBe(300);
});

test('no token, password or control is told, wherever a caller has put it', async () => {
  const log = capture();
  await using gateway = await startGateway({}, {}, { logger: log.logger });
  const token = await gateway.token('ada');
  const paths = [
    `/sse/global&token=${token}`,
    `/events/${token}`,
    `/admin/#token=${token}`,
    'http://ada:hunter2@host/nowhere',
    `/trpc/${token}`,
  ];
  for (const path of paths) {
    await using raw = connect(gateway.port, '127.0.0.1');
    raw.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nOrigin: http://e\x9b2J\r\nConnection: close\r\n\r\n`, 'latin1');
    await once(raw.resume(), 'close');
  }
  const invented = JSON.stringify({ ...jobStarted(), [token]: 1, '\u009b31m\u202e': 1 });
  const headers = { authorization: `Bearer ${await gateway.token('forge', 'service')}`, 'content-type': 'application/json' };
  await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: invented });
  await expect.poll(() => log.refusals.length).toBe(paths.length + 1);
  expect(log.text).not.toContain(token.slice(0, 22));
  expect(log.text).not.toContain('hunter2');
  expect(log.text).not.toMatch(/[\u007f-\u009f\u202a-\u202e]/);
});

test('a WebSocket that is not let in is told of with whose token it had', async () => {
  const log = capture();
  const env = { COURIER_LIMITS: JSON.stringify({ user: { connections: 1 } }) };
  await using gateway = await startGateway(env, {}, { logger: log.logger });
  const headers = { authorization: `Bearer ${await gateway.token('ada')}`, origin: gateway.url };
  await using first = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/global`, { headers });
  await using second = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/global`, { headers });
  await second.closed;
  await expect
    .poll(() => log.refusals)
    .toMatchObject([{ logger: 'courier.limits', context: { code: 'TOO_MANY_REQUESTS', user_id: 'ada', origin: gateway.url } }]);
  expect(first.ws.readyState).toBe(first.ws.OPEN);
});

test('what a drain turns away is no refusal: that the gateway drains is in the log', async () => {
  const log = capture();
  await using gateway = await startGateway({}, {}, { logger: log.logger });
  const principal = principalOf(contract, 'forge', 'service', { subscribe: [], publish: [] }, Number.POSITIVE_INFINITY);
  const call = { requestId: 'r', traceparent: undefined, connection: { principal, assertOpen: () => undefined } };
  await gateway[Symbol.asyncDispose]();
  const turnedAway: unknown = await publish(gateway.pipeline, call, [jobStarted()]).catch((error: unknown) => error);
  gateway.failures.answer('http', turnedAway, {}, { address: '127.0.0.1' });
  expect(turnedAway).toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: 'shutting down', retryAfterMs: 1000 });
  expect(log.refusals).toEqual([]);
});
