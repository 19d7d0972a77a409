/** Revocations over the wire: who is sent out, who is let in again, and who may revoke. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { signToken } from '../../src/auth/tokens.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { TOKENS } from '../helpers/gateway.ts';
import { openSocket, signIn } from '../helpers/raw-socket.ts';
import { startGateway, stranger, type TestGateway, worker } from '../helpers/trade.ts';

const wsUrl = (gateway: TestGateway, path: string) => gateway.url.replace('http', 'ws') + path;

afterEach(() => {
  vi.useRealTimers();
});

test('of a principal closes its connections, refuses its tokens, and lets later ones in', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token(worker.service, 'service');
  await using admin = gateway.webSocketClient(await gateway.token('root', 'admin'));
  await using live = await signIn(gateway.url, token);
  await using plain = await openSocket(wsUrl(gateway, `/ws/**?token=${token}`));
  await using other = await openSocket(wsUrl(gateway, `/ws/**?token=${await gateway.token(stranger.service, 'service')}`));
  await Promise.all([plain.count(1), other.count(1)]);
  const revokedAt = Date.now();
  expect(await admin.trpc.admin.revoke.mutate({ sub: worker.service })).toEqual({ ended: 2 });
  for (const socket of [live, plain]) expect(await socket.closed).toEqual({ code: 1008, reason: 'the token was revoked' });
  await admin.trpc.events.publish.mutate(worker.note('after'));
  await other.count(2);
  expect(plain.messages).toHaveLength(1);
  await using back = await signIn(gateway.url, token);
  expect(await back.closed).toMatchObject({ code: 1008 });
  await expect(gateway.httpClient(token).auth.whoami.query()).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
  // The gateway's clock, and that of whoever issues tokens.
  vi.useFakeTimers({ toFake: ['Date'], now: revokedAt + 5000 });
  const whoami = async () => gateway.httpClient(await gateway.token(worker.service, 'service')).auth.whoami.query();
  await expect(whoami()).rejects.toMatchObject({ message: 'the token was revoked', data: { code: 'UNAUTHORIZED' } });
  // A second for the revocation to be done, and one as tokens say in whole seconds when they were issued.
  vi.setSystemTime(revokedAt + 7000);
  expect(await whoami()).toMatchObject({ sub: worker.service });
});

test('of one role of a sub leaves the others', async () => {
  await using gateway = await startGateway();
  const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
  const [user, service] = await Promise.all([gateway.token('ada', 'user'), gateway.token('ada', 'service')]);
  await using asUser = await openSocket(wsUrl(gateway, `/ws/global?token=${user}`));
  await using asService = await openSocket(wsUrl(gateway, `/ws/global?token=${service}`));
  await Promise.all([asUser.count(1), asService.count(1)]);
  expect(await admin.revoke.mutate({ sub: 'ada', role: 'user' })).toEqual({ ended: 1 });
  expect(await asUser.closed).toEqual({ code: 1008, reason: 'the token was revoked' });
  await expect(gateway.httpClient(user).auth.whoami.query()).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
  expect(await gateway.httpClient(service).auth.whoami.query()).toMatchObject({ sub: 'ada', role: 'service' });
  expect(await admin.revoke.mutate({ sub: 'ada' })).toEqual({ ended: 1 });
  expect((await asService.closed).code).toBe(1008);
});

test('of one token leaves the others, and outlives a restart', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const [lost, kept] = await Promise.all(
    ['lost', 'kept'].map((jti) => signToken(TOKENS, { sub: 'ada', role: 'user', expiresInSeconds: 300, jti })),
  );
  const whoami = (gateway: TestGateway, token = '') => gateway.httpClient(token).auth.whoami.query();
  {
    await using gateway = await startGateway(env);
    const admin = gateway.httpClient(await gateway.token('root', 'admin'));
    expect(await admin.admin.revoke.mutate({ jti: 'lost' })).toEqual({ ended: 0 });
    expect(await whoami(gateway, kept)).toMatchObject({ sub: 'ada' });
  }
  await using gateway = await startGateway(env);
  await expect(whoami(gateway, lost)).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
  expect(await whoami(gateway, kept)).toMatchObject({ sub: 'ada' });
});

test('outlives restarts of gateways whose logs lie in one directory, and those of an earlier version count for each', async () => {
  using folder = temporaryFolder();
  const start = (log: string) => startGateway({ COURIER_LOG: `sqlite:${folder.file(log)}` });
  const revoke = async (gateway: TestGateway, sub: string) =>
    gateway.httpClient(await gateway.token('root', 'admin')).admin.revoke.mutate({ sub });
  const tokens = await Promise.all(['ada', 'eve', 'mal'].map((sub) => signToken(TOKENS, { sub, role: 'user', expiresInSeconds: 300 })));
  const admitted = async (gateway: TestGateway) =>
    Promise.all(
      tokens.map(async (token) => (await fetch(`${gateway.url}/events/global`, { headers: { authorization: `Bearer ${token}` } })).status),
    );
  {
    await using first = await start('courier.db');
    await revoke(first, 'ada');
    await using second = await start('weather.db');
    expect(await admitted(second)).toEqual([401, 200, 200]);
    await revoke(second, 'eve');
    await revoke(first, 'mal');
  }
  await using first = await start('courier.db');
  expect(await admitted(first)).toEqual([401, 200, 401]);
  await using second = await start('weather.db');
  expect(await admitted(second)).toEqual([401, 401, 200]);
});

test('that cannot be stored acts here, and says so', async () => {
  using folder = temporaryFolder();
  await using gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
  const { admin } = gateway.httpClient(await gateway.token('root', 'admin'));
  await using plain = await openSocket(wsUrl(gateway, `/ws/global?token=${await gateway.token('ada')}`));
  await plain.count(1);
  const inTheWay = folder.file('revocations.json.new');
  mkdirSync(inTheWay);
  await expect(admin.revoke.mutate({ sub: 'ada' })).rejects.toMatchObject({
    message: 'refused here from now on, but that could not be stored: revoke again',
    data: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1000 },
  });
  expect(await plain.closed).toEqual({ code: 1008, reason: 'the token was revoked' });
  rmdirSync(inTheWay);
  expect(await admin.revoke.mutate({ sub: 'ada' })).toEqual({ ended: 0 });
});

test('is for admins', async () => {
  await using gateway = await startGateway();
  const revoke = { sub: 'root' };
  for (const role of ['user', 'service'] as const) {
    const client = gateway.httpClient(await gateway.token('ada', role));
    await expect(client.admin.revoke.mutate(revoke)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
  }
});
