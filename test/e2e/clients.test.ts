/** What clients say that they are, over every transport, and what the gateway tells them of its contract. */
import { once } from 'node:events';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { AppRouter } from '../../src/router/index.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { startGateway, type TestGateway, worker } from '../helpers/trade.ts';

const TYPESCRIPT = 'courier-client-typescript/0.1.0';
const PYTHON = 'courier-client-python/0.1.0';
const HASH = '0123456789abcdef';

interface Said {
  readonly client?: string;
  readonly contract?: string;
}

/** How a client says what it is, and is connected when that resolves. */
const WAYS = {
  'tRPC connection parameters': async (gateway: TestGateway, said: Said): Promise<AsyncDisposable> => {
    const connectionParams = { token: await gateway.token('ada'), ...said };
    const ws = createWSClient({ url: webSocketUrl(gateway, '/trpc'), connectionParams });
    const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });
    await trpc.auth.whoami.query();
    return { [Symbol.asyncDispose]: () => ws.close() };
  },
  'headers of a tRPC upgrade': async (gateway: TestGateway, said: Said): Promise<AsyncDisposable> => {
    const authorization = `Bearer ${await gateway.token('ada')}`;
    const socket = await openSocket(webSocketUrl(gateway, '/trpc'), { headers: { authorization, ...headersOf(said) } });
    socket.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
    await socket.count(1);
    return socket;
  },
  'headers of a plain WebSocket': (gateway: TestGateway, said: Said): Promise<AsyncDisposable> => plainSocket(gateway, said),
} as const;

async function plainSocket(gateway: TestGateway, said: Said) {
  const token = await gateway.token('ada');
  const socket = await openSocket(webSocketUrl(gateway, `/ws/global?token=${token}`), { headers: headersOf(said) });
  await socket.count(1);
  return socket;
}

function headersOf({ client, contract }: Said): Record<string, string> {
  return {
    ...(client !== undefined && { 'x-courier-client': client }),
    ...(contract !== undefined && { 'x-courier-contract': contract }),
  };
}

const webSocketUrl = (gateway: TestGateway, path: string) => gateway.url.replace('http', 'ws') + path;
const adminOf = async (gateway: TestGateway) => gateway.httpClient(await gateway.token('root', 'admin')).admin;
/** The contract of the gateway, as it tells any caller. */
const contractOf = async (gateway: TestGateway) => (await gateway.httpClient(await gateway.token('ada')).auth.whoami.query()).contract;

describe.each(Object.entries(WAYS))('%s', (_name, connect) => {
  test.each<[string, Said, Said]>([
    ['nothing', {}, {}],
    ['both', { client: TYPESCRIPT, contract: HASH }, { client: TYPESCRIPT, contract: HASH }],
    ['every character', { client: 'aZ09._/+-' }, { client: 'aZ09._/+-' }],
    ['64 characters', { client: 'x'.repeat(64) }, { client: 'x'.repeat(64) }],
    ['65 characters', { client: 'x'.repeat(65), contract: HASH }, { contract: HASH }],
    ['an empty name', { client: '' }, {}],
    ['a space', { client: 'my client', contract: HASH }, { contract: HASH }],
    ['markup', { client: '<script>' }, {}],
    ['another alphabet', { client: 'caf\u00e9' }, {}],
    ['15 digits', { client: PYTHON, contract: HASH.slice(1) }, { client: PYTHON }],
    ['17 digits', { contract: `${HASH}0` }, {}],
    ['a digit that is none', { contract: `${HASH.slice(1)}g` }, {}],
    ['an empty contract', { contract: '' }, {}],
  ])('%s', async (_what, said, { client = null, contract = null }) => {
    await using gateway = await startGateway();
    await using _connection = await connect(gateway, said);
    const admin = await adminOf(gateway);
    expect((await admin.connections.query()).connections).toMatchObject([{ sub: 'ada', client, contract }]);
    expect((await admin.stats.query()).clients).toEqual([{ client, contract, connections: 1 }]);
  });
});

test('a line break does not end what is looked at', async () => {
  await using gateway = await startGateway();
  await using _connection = await WAYS['tRPC connection parameters'](gateway, { client: `${PYTHON}\n`, contract: `${HASH}\n` });
  expect((await (await adminOf(gateway)).stats.query()).clients).toEqual([{ client: null, contract: null, connections: 1 }]);
});

test('connection parameters come before headers', async () => {
  await using gateway = await startGateway();
  const headers = headersOf({ client: PYTHON, contract: 'f'.repeat(16) });
  await using socket = await openSocket(webSocketUrl(gateway, '/trpc?connectionParams=1'), { headers });
  socket.send({ method: 'connectionParams', data: { token: await gateway.token('ada'), client: TYPESCRIPT } });
  socket.send({ id: 1, method: 'query', params: { path: 'auth.whoami' } });
  await socket.count(1);
  const { connections } = await (await adminOf(gateway)).connections.query();
  expect(connections).toMatchObject([{ client: TYPESCRIPT, contract: 'f'.repeat(16) }]);
});

describe('statistics', () => {
  test('count connections by client and contract, the most first, and no longer than they last', async () => {
    await using gateway = await startGateway();
    const own = await contractOf(gateway);
    await using _stock = await plainSocket(gateway, {});
    await using _older = await plainSocket(gateway, { client: TYPESCRIPT, contract: HASH });
    await using _trpc = await WAYS['tRPC connection parameters'](gateway, { client: TYPESCRIPT, contract: own });
    const plain = await plainSocket(gateway, { client: TYPESCRIPT, contract: own });
    const token = await gateway.token(worker.service, 'service');
    const stats = async () => {
      const response = await fetch(`${gateway.url}/stats`, { headers: { authorization: `Bearer ${token}` } });
      return (await response.json()) as { contract: string; clients: object[] };
    };
    const ones = [
      { client: null, contract: null, connections: 1 },
      { client: TYPESCRIPT, contract: HASH, connections: 1 },
    ];
    const { contract, clients } = await stats();
    expect([contract, clients]).toEqual([own, [{ client: TYPESCRIPT, contract: own, connections: 2 }, ...ones]]);
    expect(await (await adminOf(gateway)).stats.query()).toMatchObject({ contract, clients });
    await plain[Symbol.asyncDispose]();
    await expect.poll(async () => (await stats()).clients).toContainEqual({ client: TYPESCRIPT, contract: own, connections: 1 });
  });

  test('list the fifty clients with the most connections', async () => {
    await using gateway = await startGateway();
    await using stack = new AsyncDisposableStack();
    const names = Array.from({ length: 60 }, (_, index) => `client/${index}`);
    for (const client of [...names, 'client/59', 'client/58', 'client/59']) stack.use(await plainSocket(gateway, { client }));
    const { clients, connections } = await (await adminOf(gateway)).stats.query();
    expect(connections.total).toBe(63);
    expect(clients).toHaveLength(50);
    expect(clients.slice(0, 3)).toEqual([
      { client: 'client/59', contract: null, connections: 3 },
      { client: 'client/58', contract: null, connections: 2 },
      { client: 'client/0', contract: null, connections: 1 },
    ]);
  });
});

describe('the contract of the gateway', () => {
  test('is in a header of every answer, refusals too', async () => {
    await using gateway = await startGateway();
    const contract = await contractOf(gateway);
    expect(contract).toMatch(/^[0-9a-f]{16}$/);
    const headers = { authorization: `Bearer ${await gateway.token(worker.service, 'service')}`, 'content-type': 'application/json' };
    const draft = worker.note();
    const post = (body: object) => fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(body) });
    const get = (path: string) => fetch(gateway.url + path, { headers });
    const answers = await Promise.all([
      post(draft),
      post({ ...draft, data: {} }),
      get('/events/global'),
      get('/events/a..b'),
      get('/contract.json'),
      get('/asyncapi.json'),
      get('/trpc/auth.whoami'),
      fetch(`${gateway.url}/events/global`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([201, 400, 200, 400, 200, 200, 200, 401]);
    for (const answer of answers) expect([answer.url, answer.headers.get('x-courier-contract')]).toEqual([answer.url, contract]);
  });

  test.each(['/trpc', '/ws/global'])('is in the answer to the upgrade of %s', async (path) => {
    await using gateway = await startGateway();
    const ws = new WebSocket(webSocketUrl(gateway, path));
    const closed = once(ws, 'close');
    const [response] = await once(ws, 'upgrade');
    expect(response.headers['x-courier-contract']).toBe(await contractOf(gateway));
    await closed;
  });

  test('may be asked for and read by pages', async () => {
    await using gateway = await startGateway({ COURIER_ALLOWED_ORIGINS: 'https://app.example.org' });
    const ask = (init: RequestInit = {}) =>
      fetch(`${gateway.url}/contract.json`, { ...init, headers: { ...init.headers, origin: 'https://app.example.org' } });
    const preflight = await ask({ method: 'OPTIONS', headers: { 'access-control-request-method': 'POST' } });
    const list = (value: string | null) => value?.split(', ') ?? [];
    expect(list(preflight.headers.get('access-control-allow-headers'))).toEqual(
      expect.arrayContaining([
        'x-courier-client',
        'x-courier-contract',
        'authorization',
        'traceparent',
        'x-correlation-id',
        'x-causation-id',
      ]),
    );
    const exposed = list((await ask()).headers.get('access-control-expose-headers'));
    expect(exposed.sort()).toEqual(['ratelimit', 'ratelimit-policy', 'retry-after', 'x-courier-contract', 'x-request-id']);
  });

  test('comes with whoami and refresh, as does the time that is left', async () => {
    await using gateway = await startGateway();
    const token = (expiresInSeconds: number) => gateway.token('ada', 'user', { expiresInSeconds });
    await using client = gateway.webSocketClient(await token(60));
    const [later, soon, over] = await Promise.all([token(600), token(60), token(-1)]);
    const asked = [
      () => client.trpc.auth.whoami.query(),
      () => client.trpc.auth.refresh.mutate({ token: later }),
      () => gateway.httpClient(soon).auth.whoami.query(),
    ];
    const contract = await contractOf(gateway);
    for (const ask of asked) {
      const before = Date.now();
      const answer = await ask();
      expect(answer.contract).toBe(contract);
      expect(answer.expires_in_ms).toBeLessThanOrEqual(answer.expires_at.getTime() - before);
      expect(answer.expires_in_ms).toBeGreaterThanOrEqual(answer.expires_at.getTime() - Date.now());
    }
    // Clocks may differ by some seconds: it is taken, and has no time left.
    expect(await gateway.httpClient(over).auth.whoami.query()).toMatchObject({ expires_in_ms: 0 });
  });
});
