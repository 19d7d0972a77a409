import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { authenticate, bearerToken, signToken, tokenVerifier } from '../../src/auth/tokens.ts';

const settings = { secret: 'a-secret-of-at-least-thirty-two-bytes', audience: 'courier', issuer: undefined };
const key = new TextEncoder().encode(settings.secret);
const checking = { secrets: [settings.secret], audience: settings.audience, issuer: settings.issuer };
const verify = tokenVerifier(checking);
const claims = (more: object = {}, alg = 'HS256') =>
  new SignJWT({ role: 'user', ...more }).setProtectedHeader({ alg }).setSubject('ada').setAudience('courier').setExpirationTime('1h');

test('a signed token tells who it is, until when, and what it grants', async () => {
  const token = await signToken(settings, { sub: 'ada', role: 'user', expiresInSeconds: 60, subscribe: ['strategy.s1'] });
  const principal = await verify(token);
  expect(principal).toMatchObject({ sub: 'ada', role: 'user', readable: { channels: new Set(['global', 'user.ada', 'strategy.s1']) } });
  expect(principal.expiresAt).toBeGreaterThan(Date.now() + 55_000);
});

test('without a role the token is of a user', async () => {
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('x')
    .setAudience('courier')
    .setExpirationTime('1h')
    .sign(key);
  expect((await verify(token)).role).toBe('user');
});

describe('refused, with the reason', () => {
  test.each<[string, () => Promise<string> | string, RegExp]>([
    ['nonsense', () => 'nonsense', /not a signed JWT/],
    ['another secret', () => claims().sign(new TextEncoder().encode('b'.repeat(40))), /signature does not match/],
    ['another algorithm', () => claims({}, 'HS512').sign(new Uint8Array(64)), /algorithm/],
    [
      'no signature',
      () => new UnsecuredJWT({ role: 'admin' }).setSubject('ada').setAudience('courier').setExpirationTime('1h').encode(),
      /not valid/,
    ],
    ['expired', () => claims().setExpirationTime(1_000_000).sign(key), /expired/],
    ['not yet valid', () => claims().setNotBefore('1h').sign(key), /claim nbf/],
    ['another audience', () => claims().setAudience('else').sign(key), /claim aud/],
    ['no expiry', () => new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject('a').setAudience('courier').sign(key), /claim exp/],
    [
      'no subject',
      () => new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setAudience('courier').setExpirationTime('1h').sign(key),
      /claim sub/,
    ],
    ['a subject of many lines', () => claims().setSubject('a\nb').sign(key), /claim sub/],
    ['an unknown role', () => claims({ role: 'emperor' }).sign(key), /claim role/],
    ['a grant that is no pattern', () => claims({ subscribe: ['nope'] }).sign(key), /claim subscribe or publish: "nope"/],
  ])('%s', async (_name, token, reason) => {
    await expect(verify(await token())).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringMatching(reason) });
  });

  test('another issuer, where one is configured', async () => {
    const pinned = tokenVerifier({ ...checking, issuer: 'us' });
    await expect(pinned(await claims().setIssuer('them').sign(key))).rejects.toMatchObject({ message: expect.stringMatching(/claim iss/) });
    expect(await pinned(await claims().setIssuer('us').sign(key))).toMatchObject({ sub: 'ada' });
  });

  test('no token, and a header of another form', async () => {
    await expect(authenticate(verify, {})).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: 'a token is required' });
    expect(bearerToken('bearer abc')).toBe('abc');
    expect(() => bearerToken('Basic abc')).toThrow(/Bearer <token>/);
  });
});
