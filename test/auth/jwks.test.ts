/** Tokens that are checked with public keys from an address: each algorithm, rotation, and what an outage means. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { tokenVerifier } from '../../src/auth/tokens.ts';
import { startGateway } from '../helpers/gateway.ts';
import { contract } from '../helpers/lumiere.ts';
import { openSocket } from '../helpers/raw-socket.ts';

const COOL_DOWN_MS = 30_000;
const checking = {
  contract,
  secrets: [],
  audience: 'courier',
  issuer: undefined,
  maxLifetimeMs: 24 * 60 * 60 * 1000,
};

afterEach(() => {
  vi.useRealTimers();
});

async function startKeyServer() {
  const state = { keys: [] as JWK[], status: 200, requests: 0 };
  const server = createServer((_req, res) => {
    state.requests += 1;
    res.writeHead(state.status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: state.keys }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  return {
    state,
    url,
    verify: tokenVerifier({ ...checking, jwksUrl: url }).verify,
    /** Publishes another key; its tokens say which it is where it has an id. */
    add: async (alg: string, kid?: string) => {
      const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
      state.keys.push({ ...(await exportJWK(publicKey)), alg, ...(kid !== undefined && { kid }) });
      const header = { alg, ...(kid !== undefined && { kid }) };
      return { publicKey, sign: (sub = 'ada') => sign(privateKey, header, sub) };
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function sign(key: CryptoKey | Uint8Array, header: JWTHeaderParameters, sub = 'ada') {
  return new SignJWT({}).setProtectedHeader(header).setSubject(sub).setAudience('courier').setExpirationTime('1h').sign(key);
}

test.each(['RS256', 'ES256', 'EdDSA'])('%s', async (alg) => {
  await using server = await startKeyServer();
  const key = await server.add(alg, 'one');
  expect(await server.verify(await key.sign())).toMatchObject({ sub: 'ada', role: 'user' });
});

test('another key beside the first is taken, and keys are asked for once', async () => {
  await using server = await startKeyServer();
  const old = await server.add('ES256', 'old');
  const fresh = await server.add('ES256', 'new');
  for (const { sign } of [old, fresh]) for (const sub of ['a', 'b']) expect(await server.verify(await sign(sub))).toMatchObject({ sub });
  expect(server.state.requests).toBe(1);
});

describe('refused', () => {
  test('a key that is not published', async () => {
    await using server = await startKeyServer();
    await server.add('ES256', 'known');
    const { privateKey } = await generateKeyPair('ES256');
    await expect(server.verify(await sign(privateKey, { alg: 'ES256', kid: 'unknown' }))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringContaining('no key of the issuer fits it'),
    });
  });

  test('the public key as the secret of HS256', async () => {
    await using server = await startKeyServer();
    const { publicKey } = await server.add('RS256', 'one');
    const forged = await sign(new TextEncoder().encode(await exportSPKI(publicKey)), { alg: 'HS256', kid: 'one' });
    await expect(server.verify(forged)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('a public key that signs with another algorithm of its kind', async () => {
    await using server = await startKeyServer();
    const { publicKey, privateKey } = await generateKeyPair('RS512', { extractable: true });
    server.state.keys.push({ ...(await exportJWK(publicKey)), kid: 'one' });
    await expect(server.verify(await sign(privateKey, { alg: 'RS512', kid: 'one' }))).rejects.toMatchObject({
      message: expect.stringContaining('its algorithm is not the one in use'),
    });
  });
});

test('a key of its own in the header, or a signature of nothing', async () => {
  await using server = await startKeyServer();
  await server.add('ES256', 'one');
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const own = await sign(privateKey, { alg: 'ES256', kid: 'one', jwk, jku: `${server.url}?own` });
  const zeros = `${own.slice(0, own.lastIndexOf('.'))}.${Buffer.alloc(64).toString('base64url')}`;
  for (const token of [own, zeros])
    await expect(server.verify(token)).rejects.toMatchObject({ message: expect.stringContaining('its signature does not match') });
  expect(server.state.requests).toBe(1);
});

describe('after a rotation', () => {
  /** A server whose first key is known, and another key that was published a moment later. */
  async function rotated() {
    const server = await startKeyServer();
    const old = await server.add('ES256', 'old');
    vi.useFakeTimers({ toFake: ['Date'] });
    await server.verify(await old.sign());
    return { server, old, fresh: await server.add('ES256', 'new'), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }
  const later = (ms: number) => vi.setSystemTime(Date.now() + ms);

  test('a token of the new key is told when to come back, and then taken', async () => {
    await using scene = await rotated();
    const { server, old, fresh } = scene;
    const token = await fresh.sign('bob');
    for (const left of [COOL_DOWN_MS, COOL_DOWN_MS - 20_000]) {
      await expect(server.verify(token)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs: left });
      later(20_000);
    }
    // What is known goes on meanwhile, and nobody was asked.
    expect(await server.verify(await old.sign('eve'))).toMatchObject({ sub: 'eve' });
    expect(server.state.requests).toBe(1);
    expect(await server.verify(token)).toMatchObject({ sub: 'bob' });
    expect(server.state.requests).toBe(2);
  });

  test('callers of a gateway are told to come back, and nobody is called for help', async () => {
    await using server = await startKeyServer();
    const old = await server.add('ES256', 'old');
    await using gateway = await startGateway({ COURIER_JWKS_URL: server.url, COURIER_JWT_SECRET: '' });
    const get = (token: string) => fetch(`${gateway.url}/events/global`, { headers: { authorization: `Bearer ${token}` } });
    expect((await get(await old.sign())).status).toBe(200);
    const token = await (await server.add('ES256', 'new')).sign();
    const answer = await get(token);
    expect([answer.status, Number(answer.headers.get('retry-after'))]).toEqual([503, expect.closeTo(COOL_DOWN_MS / 1000, -1)]);
    await expect(openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${token}`)).rejects.toThrow('503');
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('courier_auth_failures_total{reason="unknown_key"} 2\n');
    expect(metrics).not.toContain('reason="unavailable"');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + COOL_DOWN_MS });
    expect((await get(token)).status).toBe(200);
  });

  test('a token of no key is refused once the keys were asked for again, and many ask once', async () => {
    await using scene = await rotated();
    const { server } = scene;
    const { privateKey } = await generateKeyPair('ES256');
    const forged = await Promise.all(Array.from({ length: 20 }, (_, index) => sign(privateKey, { alg: 'ES256', kid: `made-up-${index}` })));
    const answers = async () => {
      const settled = await Promise.allSettled(forged.map((token) => server.verify(token)));
      return new Set(settled.map((one) => (one.status === 'rejected' ? one.reason.code : 'accepted')));
    };
    expect([await answers(), server.state.requests]).toEqual([new Set(['SERVICE_UNAVAILABLE']), 1]);
    later(COOL_DOWN_MS);
    expect([await answers(), server.state.requests]).toEqual([new Set(['UNAUTHORIZED']), 2]);
    expect([await answers(), server.state.requests]).toEqual([new Set(['SERVICE_UNAVAILABLE']), 2]);
  });
});

describe('a token that does not say which key signed it', () => {
  test.each(['RS256', 'ES256', 'EdDSA'])('is tried with each of %s', async (alg) => {
    await using server = await startKeyServer();
    const others = [await server.add('ES256'), await server.add('RS256'), await server.add('EdDSA')];
    const keys = [await server.add(alg), await server.add(alg)];
    for (const [index, key] of [...others, ...keys].entries())
      expect(await server.verify(await key.sign(`u${index}`))).toMatchObject({ sub: `u${index}` });
    expect(server.state.requests).toBe(1);
  });

  test('is refused when none of them did, or for what it says', async () => {
    await using server = await startKeyServer();
    const [first] = [await server.add('ES256'), await server.add('ES256')];
    const { privateKey } = await generateKeyPair('ES256');
    await expect(server.verify(await sign(privateKey, { alg: 'ES256' }))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringContaining('its signature does not match'),
    });
    await expect(server.verify(await first.sign('a b'))).rejects.toMatchObject({ message: expect.stringContaining('claim sub') });
  });
});

describe('an outage', () => {
  test.each([500, 404])('answered with %s is 503, not 401, and over when it is over', async (status) => {
    await using server = await startKeyServer();
    const key = await server.add('EdDSA', 'one');
    server.state.status = status;
    await expect(server.verify(await key.sign())).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1000 });
    server.state.status = 200;
    expect(await server.verify(await key.sign())).toMatchObject({ sub: 'ada' });
  });

  test('of the whole server is 503 while nothing is known, and does not matter once keys are', async () => {
    const server = await startKeyServer();
    const key = await server.add('EdDSA', 'one');
    await server.verify(await key.sign('first'));
    await server[Symbol.asyncDispose]();
    expect(await server.verify(await key.sign('second'))).toMatchObject({ sub: 'second' });
    using cold = tokenVerifier({ ...checking, jwksUrl: server.url });
    await expect(cold.verify(await key.sign())).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  });
});
