/** Tokens that are checked with public keys from an address: each algorithm, rotation, and what an outage means. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { tokenVerifier } from '../../src/auth/tokens.ts';

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
    verify: tokenVerifier({ secrets: [], jwksUrl: url, audience: 'courier', issuer: undefined }),
    add: async (alg: string, kid: string) => {
      const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
      state.keys.push({ ...(await exportJWK(publicKey)), alg, kid });
      return { publicKey, sign: (sub = 'ada') => sign(privateKey, alg, kid, sub) };
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function sign(key: CryptoKey | Uint8Array, alg: string, kid: string, sub: string) {
  return new SignJWT({}).setProtectedHeader({ alg, kid }).setSubject(sub).setAudience('courier').setExpirationTime('1h').sign(key);
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
    await expect(server.verify(await sign(privateKey, 'ES256', 'unknown', 'ada'))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringContaining('no key of the issuer fits it'),
    });
  });

  test('the public key as the secret of HS256', async () => {
    await using server = await startKeyServer();
    const { publicKey } = await server.add('RS256', 'one');
    const forged = await sign(new TextEncoder().encode(await exportSPKI(publicKey)), 'HS256', 'one', 'ada');
    await expect(server.verify(forged)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('a public key that signs with another algorithm of its kind', async () => {
    await using server = await startKeyServer();
    const { publicKey, privateKey } = await generateKeyPair('RS512', { extractable: true });
    server.state.keys.push({ ...(await exportJWK(publicKey)), kid: 'one' });
    await expect(server.verify(await sign(privateKey, 'RS512', 'one', 'ada'))).rejects.toMatchObject({
      message: expect.stringContaining('its algorithm is not the one in use'),
    });
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
    const cold = tokenVerifier({ secrets: [], jwksUrl: server.url, audience: 'courier', issuer: undefined });
    await expect(cold(await key.sign())).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  });
});
