/** Upgrades that are none of a WebSocket, which are passed over, as any server may; and those for which there is no room. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { Peer } from '../helpers/peer.ts';
import { answersIn, exchange, headerIn } from '../helpers/raw-http.ts';
import { plainWebSocket, UPGRADE } from '../helpers/transports.ts';

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
    ['GET /nothing HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Origin: http://evil.example', 'Transfer-Encoding: chunked'],
    '1\r\nx\r\n',
  ],
])('an upgrade %s is a request like any other', async (_name, lines, body) => {
  await using gateway = await startGateway();
  expect(await statusOf(gateway.port, lines, body)).toBe('HTTP/1.1 404 Not Found');
  expect(await statusOf(gateway.port, ['GET /livez HTTP/1.1'])).toBe('HTTP/1.1 200 OK');
});

describe('a handshake that is refused', () => {
  const HANDSHAKE = Object.entries({ host: 'localhost', 'x-request-id': 'mine', ...UPGRADE });
  const send = (start: string, changed: Record<string, string | undefined> = {}) => {
    const headers = Object.entries({ ...Object.fromEntries(HANDSHAKE), ...changed }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}: ${value}`],
    );
    return `${[`${start} HTTP/1.1`, ...headers].join('\r\n')}\r\n\r\n`;
  };
  const upgradeTo = { upgrade: 'websocket', connection: 'close, upgrade', 'sec-websocket-version': '13' };

  test.each([
    ['of another version', send('GET /ws/global', { 'sec-websocket-version': '12' }), 426, upgradeTo],
    ['without a version', send('GET /trpc', { 'sec-websocket-version': undefined }), 426, upgradeTo],
    ['with a wrong key', send('GET /ws/global', { 'sec-websocket-key': 'short' }), 400, {}],
    ['without a key', send('GET /trpc', { 'sec-websocket-key': undefined }), 400, {}],
    ['with subprotocols that are no names', send('GET /ws/global', { 'sec-websocket-protocol': 'a, b c' }), 400, {}],
    ['with the same subprotocol twice', send('GET /trpc', { 'sec-websocket-protocol': 'a, a' }), 400, {}],
    ['that is a POST', send('POST /ws/global', { connection: 'upgrade, close' }), 405, { allow: 'GET' }],
    ['of a tunnel', send('CONNECT example.com:443'), 405, { allow: 'GET, POST' }],
    ['without an upgrade', send('GET /ws/global', { upgrade: undefined, connection: 'close' }), 426, upgradeTo],
    ['without an upgrade over tRPC', send('GET /trpc', { upgrade: undefined, connection: 'close' }), 426, upgradeTo],
  ])('%s has a problem document', async (_name, bytes, status, headers) => {
    await using gateway = await startGateway();
    const [answer, ...more] = answersIn(await exchange(gateway, bytes));
    if (answer === undefined) throw new Error('there is no answer');
    expect([answer.status, more]).toEqual([status, []]);
    expect(JSON.parse(answer.body)).toMatchObject({ status, request_id: 'mine' });
    const told = { ...headers, 'x-request-id': 'mine', 'content-type': 'application/problem+json; charset=utf-8' };
    for (const [name, value] of Object.entries(told)) expect([name, headerIn(answer, name)]).toEqual([name, value]);
    expect(headerIn(answer, 'x-courier-contract')).toMatch(/^[0-9a-f]{16}$/);
    expect(gateway.census.connections).toEqual({ trpc: 0, plain: 0, sse: 0 });
  });

  test.each(['13', '8'])('is not one of version %s with subprotocols', async (version) => {
    await using gateway = await startGateway();
    const more = { 'sec-websocket-version': version, 'sec-websocket-protocol': 'a,  b' };
    const bytes = await exchange(gateway, send(`GET /ws/nothing?token=${await gateway.token('reader')}`, more));
    expect(bytes).toMatch(/^HTTP\/1\.1 101 /);
  });
});

describe('the root', () => {
  test.each(['', '/courier'])('leads a browser to the dashboard, below "%s"', async (basePath) => {
    await using gateway = await startGateway({ COURIER_BASE_PATH: basePath });
    const answer = await fetch(`${gateway.url}/`, { headers: { accept: 'text/html,*/*' }, redirect: 'manual' });
    expect(new URL(answer.headers.get('location') ?? '', answer.url).href).toBe(`${gateway.url}/admin/`);
    expect(answer.status).toBe(302);
  });

  test('tells a program what there is', async () => {
    await using gateway = await startGateway();
    const answer = await fetch(`${gateway.url}/`);
    expect(await answer.json()).toMatchObject({ status: 404, code: 'NOT_FOUND', detail: expect.stringContaining('/asyncapi.json') });
  });
});

interface Crowd extends AsyncDisposable {
  readonly gateway: TestGateway;
  /** Of whoever comes too late. */
  readonly token: string;
}

/** A gateway with these limits, whose crowd is inside. */
async function crowd(limits: object, come: (gateway: TestGateway, stack: AsyncDisposableStack) => Promise<string>): Promise<Crowd> {
  await using stack = new AsyncDisposableStack();
  const gateway = stack.use(await startGateway({ COURIER_LIMITS: JSON.stringify(limits) }));
  const token = await come(gateway, stack);
  const all = stack.move();
  return { gateway, token, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function sitDown(gateway: TestGateway, stack: AsyncDisposableStack, sub: string): Promise<string> {
  const token = await gateway.token(sub);
  const peer = stack.use(plainWebSocket.subscribe(gateway.port, { token, channels: 'global' }));
  await peer.live();
  return token;
}

const CROWDS = [
  {
    what: 'has all of its places taken',
    start: () => crowd({ user: { connections: 1 } }, (gateway, stack) => sitDown(gateway, stack, 'ada')),
    problem: { status: 429, code: 'TOO_MANY_REQUESTS', detail: '"ada" has 1 connections, and may have 1' },
    waits: '1',
    close: 1013,
  },
  {
    what: 'finds the gateway full',
    start: () =>
      crowd({ gateway: { connections: 1 } }, async (gateway, stack) => {
        await sitDown(gateway, stack, 'eve');
        return gateway.token('ada');
      }),
    problem: { status: 503, code: 'SERVICE_UNAVAILABLE', detail: 'the gateway is full' },
    waits: '1',
    close: 1013,
  },
  {
    what: 'comes from an address of too many wrong tokens',
    start: () =>
      crowd({ gateway: { failedAuthenticationsPerMinute: 1 } }, async (gateway) => {
        expect((await fetch(`${gateway.url}/stats`, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
        return 'nonsense';
      }),
    problem: { status: 429, code: 'TOO_MANY_REQUESTS', detail: 'too many wrong tokens from this address' },
    waits: '60',
    close: 4429,
  },
] as const;

const WAYS = [
  { way: '/trpc, with a header', target: () => '/trpc', inHeader: true },
  { way: '/ws/, with a header', target: () => '/ws/global', inHeader: true },
  { way: '/ws/, with a token in the address', target: (token: string) => `/ws/global?token=${token}`, inHeader: false },
] as const;

function upgrade({ gateway, token }: Crowd, { target, inHeader }: (typeof WAYS)[number], headers: Record<string, string> = {}): Peer {
  const authorization = inHeader ? { authorization: `Bearer ${token}` } : undefined;
  return new Peer({ port: gateway.port, target: target(token), headers: { ...UPGRADE, ...authorization, ...headers }, read: () => ({}) });
}

/** How an answer refuses: its problem document, and how long to wait. */
function refusalIn({ head, body }: Peer) {
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1];
  const { status, code, detail } = JSON.parse(body) as Record<string, unknown>;
  return { problem: { status, code, detail }, waits: header('retry-after'), type: header('content-type') };
}

describe.each(CROWDS)('a client that $what', ({ start, problem, waits, close }) => {
  const told = { problem, waits, type: 'application/problem+json; charset=utf-8' };

  test.each(WAYS)('is told so before its WebSocket is accepted, on $way', async (way) => {
    await using inside = await start();
    await using peer = upgrade(inside, way);
    await peer.gone;
    expect([peer.status, refusalIn(peer)]).toEqual([problem.status, told]);
    expect(peer.head).toMatch(/^x-courier-contract: [0-9a-f]{16}$/im);
    await expect.poll(() => inside.gateway.census.unauthenticated).toBe(0);
  });

  test.each(WAYS)('is told by the close code when it is a page, on $way', async (way) => {
    await using inside = await start();
    await using page = upgrade(inside, way, { origin: `http://127.0.0.1:${inside.gateway.port}` });
    expect(await page.ended()).toEqual({ code: close, reason: problem.detail });
    expect(page.status).toBe(101);
  });

  test('is told so before its stream of server-sent events begins', async () => {
    await using inside = await start();
    const { url } = inside.gateway;
    const plain = await fetch(`${url}/sse/global?token=${inside.token}`);
    const { status, code, detail } = (await plain.json()) as Record<string, unknown>;
    expect({ problem: { status, code, detail }, waits: plain.headers.get('retry-after') }).toEqual({ problem, waits });
    const query = new URLSearchParams({
      connectionParams: JSON.stringify({ token: inside.token }),
      input: '{"json":{"channels":["global"]}}',
    });
    const trpc = await fetch(`${url}/trpc/events.subscribe?${query}`);
    expect(await trpc.json()).toMatchObject({ error: { json: { message: problem.detail, data: { code: problem.code } } } });
    expect([plain.status, trpc.status, trpc.headers.get('retry-after')]).toEqual([problem.status, problem.status, waits]);
  });
});

test('a client that comes when too many wait to authenticate is told so before its WebSocket is accepted', async () => {
  await using gateway = await startGateway({ COURIER_LIMITS: '{"gateway": {"unauthenticatedPerAddress": 1}}' });
  const stranger = (headers = {}) =>
    new Peer({ port: gateway.port, target: '/trpc?connectionParams=1', headers: { ...UPGRADE, ...headers }, read: () => ({}) });
  await using first = stranger();
  await first.until(({ status }) => status === 101);
  // A page too: to accept it is what the limit is to prevent.
  for (const headers of [{}, { origin: `http://127.0.0.1:${gateway.port}` }]) {
    await using second = stranger(headers);
    await second.gone;
    expect(refusalIn(second)).toMatchObject({
      problem: { status: 429, code: 'TOO_MANY_REQUESTS', detail: 'too many connections of this address have yet to authenticate' },
      waits: '1',
    });
  }
});

test('a client that sends its token behind the handshake is told of a full gateway before it', async () => {
  await using stack = new AsyncDisposableStack();
  const gateway = stack.use(await startGateway({ COURIER_LIMITS: '{"gateway": {"connections": 1}}' }));
  await sitDown(gateway, stack, 'eve');
  const late = stack.use(new Peer({ port: gateway.port, target: '/trpc?connectionParams=1', headers: UPGRADE, read: () => ({}) }));
  await late.gone;
  expect(refusalIn(late)).toMatchObject({ problem: { status: 503 }, waits: '1' });
});
