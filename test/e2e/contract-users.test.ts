/** Who used the contract, as admins are told: over every transport, after the clients have gone, after a restart, over instances. */
import { mkdirSync } from 'node:fs';
import { createTRPCClient, httpBatchLink } from '@trpc/client';
import superjson from 'superjson';
import { describe, expect, test } from 'vitest';
import { principalOf } from '../../src/auth/principal.ts';
import type { ContractUser, Role } from '../../src/contract/admin.ts';
import { publish } from '../../src/publish.ts';
import type { AppRouter } from '../../src/router/index.ts';
import { BOUNDS } from '../../src/usage/usage.ts';
import { sharedEnv } from '../helpers/cluster.ts';
import { execute, newDatabase } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { contract } from '../helpers/lumiere.ts';
import { copies, SAMPLES } from '../helpers/samples.ts';
import { TRANSPORTS, trpcWebSocket } from '../helpers/transports.ts';

const CLIENT = 'courier-client-python/0.1.0';
const HASH = '0123456789abcdef';
const SAID = { 'x-courier-client': CLIENT, 'x-courier-contract': HASH };
const DRAFT = SAMPLES['backtest.progress'];
const BACKTEST_TYPES = ['backtest.started', 'backtest.progress', 'backtest.completed', 'backtest.failed'];

const contractUsers = async (gateway: TestGateway) =>
  (await gateway.httpClient(await gateway.token('root', 'admin')).admin.contractUsers.query()).users;
const today = () => new Date().toISOString().slice(0, 10);

function userOf(sub: string, role: Role, rest: Partial<ContractUser>): ContractUser {
  const unused = { published: [], subscribed: [], channels: [], connections: 0 };
  return { sub, role, client: CLIENT, contract: HASH, ...unused, last_seen: today(), ...rest };
}

function trpcOf(gateway: TestGateway, token: string, headers: Record<string, string> = SAID) {
  const link = httpBatchLink({
    url: `${gateway.url}/trpc`,
    transformer: superjson,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  return createTRPCClient<AppRouter>({ links: [link] });
}

function post(gateway: TestGateway, token: string, headers: Record<string, string> = SAID, draft: object = DRAFT): Promise<Response> {
  const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
  return fetch(`${gateway.url}/publish`, { method: 'POST', headers: all, body: JSON.stringify(draft) });
}

describe.each(TRANSPORTS)('subscribers over $name', (driver) => {
  test.each([
    ['of a family', 'backtest.*', undefined, { subscribed: BACKTEST_TYPES, channels: ['backtest.*'] }],
    [
      'of types',
      'backtest.b1,forge.job.j',
      'backtest.failed',
      { subscribed: ['backtest.failed'], channels: ['backtest.*', 'forge.job.*'] },
    ],
  ])('%s are named while they are connected, and after they have gone', async (_what, channels, types, uses) => {
    await using gateway = await startGateway();
    const token = await gateway.token('forge', 'service');
    const peer = driver.subscribe(gateway.port, { token, channels, headers: SAID, ...(types && { types }) });
    await peer.live();
    expect(await contractUsers(gateway)).toEqual([userOf('forge', 'service', { ...uses, connections: 1 })]);
    peer.socket.destroy();
    await peer.gone;
    await expect.poll(() => contractUsers(gateway)).toEqual([userOf('forge', 'service', uses)]);
  });

  test('whom the gateway refuses is not named', async () => {
    await using gateway = await startGateway();
    const peer = driver.subscribe(gateway.port, { token: await gateway.token('ada'), channels: 'backtest.*', headers: SAID });
    await peer.until(({ isGone, texts }) => isGone || texts.some((text) => text.includes('FORBIDDEN') || text.includes('may not')));
    peer.socket.destroy();
    await peer.gone;
    expect(await contractUsers(gateway)).toEqual([]);
  });
});

const PUBLISHERS: Readonly<Record<string, (gateway: TestGateway, token: string) => Promise<unknown>>> = {
  'plain HTTP': (gateway, token) => post(gateway, token),
  'tRPC over HTTP': (gateway, token) => trpcOf(gateway, token).cartographe.publish.mutate(DRAFT),
  'tRPC over HTTP, many at once': (gateway, token) => trpcOf(gateway, token).events.publishBatch.mutate(copies(2, DRAFT)),
  'tRPC over HTTP, each of many': (gateway, token) => trpcOf(gateway, token).events.publishEach.mutate(copies(2, DRAFT)),
};
const READERS: Readonly<Record<string, (gateway: TestGateway, token: string) => Promise<unknown>>> = {
  'plain HTTP': (gateway, token) =>
    fetch(`${gateway.url}/events/backtest.b1?types=backtest.failed`, { headers: { authorization: `Bearer ${token}`, ...SAID } }),
  'tRPC over HTTP': (gateway, token) =>
    trpcOf(gateway, token).events.history.query({ channels: ['backtest.b1'], types: ['backtest.failed'] }),
};

test.each(Object.entries(PUBLISHERS))('publishers over %s are named', async (_name, publishOver) => {
  await using gateway = await startGateway();
  await publishOver(gateway, await gateway.token('cartographe', 'service'));
  const uses = { published: ['backtest.progress'], channels: ['backtest.*'] };
  expect(await contractUsers(gateway)).toEqual([userOf('cartographe', 'service', uses)]);
});

test('a publisher over a WebSocket is named, with what it says in its connection parameters', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('cartographe', 'service'));
  await client.trpc.events.publish.mutate(DRAFT);
  const uses = { published: ['backtest.progress'], channels: ['backtest.*'], connections: 1 };
  expect(await contractUsers(gateway)).toEqual([userOf('cartographe', 'service', { ...uses, client: null, contract: null })]);
});

test.each(Object.entries(READERS))('readers of history over %s are named', async (_name, read) => {
  await using gateway = await startGateway();
  await read(gateway, await gateway.token('forge', 'service'));
  expect(await contractUsers(gateway)).toEqual([userOf('forge', 'service', { subscribed: ['backtest.failed'], channels: ['backtest.*'] })]);
});

test("a caller within the gateway's process is named by its sub", async () => {
  await using gateway = await startGateway();
  const principal = principalOf(contract, 'cartographe', 'service', { subscribe: [], publish: [] }, Date.now() + 60_000);
  const call = { connection: { principal, assertOpen: () => undefined }, requestId: 'r', traceparent: undefined };
  await publish(gateway.pipeline, call, [contract.draft.parse(DRAFT)]);
  const uses = { published: ['backtest.progress'], channels: ['backtest.*'], client: null, contract: null };
  expect(await contractUsers(gateway)).toEqual([userOf('cartographe', 'service', uses)]);
});

test('what is refused is no use, and only admins are told of any', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('cartographe', 'service');
  expect((await post(gateway, token, SAID, { ...DRAFT, data: {} })).status).toBe(400);
  expect((await post(gateway, token, SAID, SAMPLES['forge.job.started'])).status).toBe(403);
  expect(await contractUsers(gateway)).toEqual([]);
  for (const role of ['user', 'service'] as const) {
    const { admin } = gateway.httpClient(await gateway.token('someone', role));
    await expect(admin.contractUsers.query()).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
  }
});

test('a flood of client names leaves those of others alone', async () => {
  await using gateway = await startGateway();
  await post(gateway, await gateway.token('cartographe', 'service'));
  const token = await gateway.token('eve', 'user', { publish: ['**'] });
  for (let n = 0; n < 60; n += 1) expect((await post(gateway, token, { 'x-courier-client': `eve/${n}` })).status).toBe(201);
  const users = await contractUsers(gateway);
  expect(users.map(({ sub }) => sub)).toEqual(['cartographe', ...Array.from({ length: BOUNDS.ofPrincipal }, () => 'eve')]);
  expect(users.map(({ client }) => client)).toContain('eve/59');
});

describe('a restart', () => {
  test.each([
    ['SQLite', async (folder: string) => `sqlite:${folder}/courier.db`],
    ['PostgreSQL', newDatabase],
  ])('leaves everyone named with a log in %s', async (_name, logIn) => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: await logIn(folder.path) };
    {
      await using gateway = await startGateway(env);
      expect((await post(gateway, await gateway.token('cartographe', 'service'))).status).toBe(201);
    }
    await using gateway = await startGateway(env);
    const uses = { published: ['backtest.progress'], channels: ['backtest.*'] };
    expect(await contractUsers(gateway)).toEqual([userOf('cartographe', 'service', uses)]);
  });
});

test('each of two instances names who used the other, and counts the connections to both', async () => {
  const env = await sharedEnv();
  await using other = await startGateway(env);
  const uses = { subscribed: BACKTEST_TYPES, channels: ['backtest.*'] };
  const publisher = userOf('cartographe', 'service', { published: ['backtest.progress'], channels: ['backtest.*'] });
  {
    await using one = await startGateway({ ...env, COURIER_DRAIN_SECONDS: '2' });
    const token = await one.token('forge', 'service');
    const peers = [one, other, other].map(({ port }) => trpcWebSocket.subscribe(port, { token, channels: 'backtest.*', headers: SAID }));
    await Promise.all(peers.map((peer) => peer.live()));
    await post(one, await one.token('cartographe', 'service'));
    // An instance sees another within two seconds.
    for (const gateway of [other, one])
      await expect
        .poll(() => contractUsers(gateway), { timeout: 10_000 })
        .toEqual([publisher, userOf('forge', 'service', { ...uses, connections: 3 })]);
    for (const peer of peers) peer.socket.destroy();
    await post(one, await one.token('prophet', 'service'), {}, SAMPLES['strategy.generation.started']);
  }
  await expect
    .poll(async () => (await contractUsers(other)).map(({ sub, connections }) => [sub, connections]), { timeout: 10_000 })
    .toEqual([
      ['cartographe', 0],
      ['forge', 0],
      ['prophet', 0],
    ]);
});

describe('where uses cannot be stored', () => {
  test('in a file, publishes go on, it is reported once, and what is known is told', async () => {
    using folder = temporaryFolder();
    mkdirSync(folder.file('contract-users.json.new'));
    const errors: unknown[] = [];
    await using gateway = await startGateway(
      { COURIER_LOG: `sqlite:${folder.file('courier.db')}` },
      {},
      { onError: (error) => errors.push(error) },
    );
    const token = await gateway.token('cartographe', 'service');
    for (let time = 0; time < 2; time += 1) {
      expect((await post(gateway, token)).status).toBe(201);
      expect(await contractUsers(gateway)).toHaveLength(1);
    }
    expect(errors).toEqual([expect.objectContaining({ code: 'EISDIR' })]);
  });

  test('in PostgreSQL, publishes go on, and admins are told to come back until it can be read again', async () => {
    const url = await newDatabase();
    const errors: unknown[] = [];
    await using gateway = await startGateway({ COURIER_LOG: url }, {}, { onError: (error) => errors.push(error) });
    await execute(url, 'ALTER TABLE courier_contract_client RENAME TO elsewhere');
    const token = await gateway.token('cartographe', 'service');
    for (let time = 0; time < 2; time += 1) {
      expect((await post(gateway, token)).status).toBe(201);
      await expect(contractUsers(gateway)).rejects.toMatchObject({ data: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1000 } });
    }
    expect(errors).toEqual([expect.objectContaining({ code: '42P01' })]);
    await execute(url, 'ALTER TABLE elsewhere RENAME TO courier_contract_client');
    expect(await contractUsers(gateway)).toHaveLength(1);
  });
});
