/** What a token must be and say; and how an attacker's are refused: at once, with a reason. */
import { createHmac } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { principalKey } from '../../src/auth/principal.ts';
import { authenticate, bearerToken, signToken, tokenVerifier } from '../../src/auth/tokens.ts';
import { contract, SERVICE_NAMES } from '../helpers/lumiere.ts';

const DAY_SECONDS = 24 * 60 * 60;
const MAX_TOKEN_BYTES = 8192;
const settings = { secret: 'a-secret-of-at-least-thirty-two-bytes', audience: 'courier', issuer: undefined };
const key = new TextEncoder().encode(settings.secret);
const checking = {
  contract,
  secrets: [settings.secret],
  audience: settings.audience,
  issuer: settings.issuer,
  maxLifetimeMs: 90 * DAY_SECONDS * 1000,
};
const { verify } = tokenVerifier(checking);
const now = () => Math.floor(Date.now() / 1000);
const claims = (more: object = {}, alg = 'HS256') =>
  new SignJWT({ role: 'user', ...more }).setProtectedHeader({ alg }).setSubject('ada').setAudience('courier').setExpirationTime('1h');

/** Signs whatever text stands for the header and the claims: also what no library would make. */
function signText(header: string, payload: string): string {
  const input = [header, payload].map((text) => Buffer.from(text).toString('base64url')).join('.');
  return `${input}.${createHmac('sha256', settings.secret).update(input).digest('base64url')}`;
}
const HEADER = '{"alg":"HS256"}';
/** Claims of a valid token, as the inside of a JSON object. */
const valid = () => `"sub":"ada","aud":"courier","exp":${now() + 60}`;
const signClaims = (text: string) => signText(HEADER, `{"aud":"courier",${text}}`);

afterEach(() => {
  vi.useRealTimers();
});

test('a signed token tells who it is, until when, and what it grants', async () => {
  const token = await signToken(settings, { sub: 'ada', role: 'user', expiresInSeconds: 60, subscribe: ['strategy.s1'] });
  const principal = await verify(token);
  expect(principal).toMatchObject({ sub: 'ada', role: 'user', readable: { singles: new Set(['global', 'user.ada', 'strategy.s1']) } });
  expect(principal.expiresAt).toBeGreaterThan(Date.now() + 55_000);
});

test('without a role the token is of a user', async () => {
  expect((await verify(signText(HEADER, `{${valid()}}`))).role).toBe('user');
});

describe('refused, with the reason', () => {
  test.each<[string, () => Promise<string> | string, RegExp]>([
    ['nonsense', () => 'nonsense', /not a signed JWT/],
    ['another secret', () => claims().sign(new TextEncoder().encode('b'.repeat(40))), /signature does not match/],
    ['another algorithm', () => claims({}, 'HS512').sign(new Uint8Array(64)), /algorithm/],
    [
      'no signature',
      () => new UnsecuredJWT({ role: 'admin' }).setSubject('ada').setAudience('courier').setExpirationTime('1h').encode(),
      /not a signed JWT/,
    ],
    ['expired', () => claims().setExpirationTime(1_000_000).sign(key), /expired/],
    ['not yet valid', () => claims().setNotBefore('1h').sign(key), /claim nbf/],
    ['another audience', () => claims().setAudience('else').sign(key), /claim aud/],
    ['no expiry', () => signClaims('"sub":"ada"'), /claim exp/],
    ['no subject', () => signClaims(`"exp":${now() + 60}`), /claim sub/],
    ['a subject of many lines', () => claims().setSubject('a\nb').sign(key), /claim sub: must be 1 to 128 printable ASCII characters/],
    ['a subject with a space', () => claims().setSubject('user ada').sign(key), /claim sub/],
    ['a subject that only looks like another', () => claims().setSubject('\u0430da').sign(key), /claim sub/],
    ['a subject that is turned around', () => claims().setSubject('\u202eada').sign(key), /claim sub/],
    ['a long subject', () => claims().setSubject('a'.repeat(129)).sign(key), /claim sub/],
    ['an id with a NUL', () => claims({ jti: 'a\0' }).sign(key), /claim jti: must be 1 to 128 printable ASCII characters/],
    ['an empty id', () => claims({ jti: '' }).sign(key), /claim jti/],
    ['an unknown role', () => claims({ role: 'emperor' }).sign(key), /claim role/],
    ['a grant that is no pattern', () => claims({ subscribe: ['nope'] }).sign(key), /claim subscribe or publish: "nope"/],
    ['grants within grants', () => claims({ subscribe: [['**']] }).sign(key), /claim subscribe\.0: /],
    ['a grant that is no list', () => claims({ publish: '**' }).sign(key), /claim publish: /],
    ['too many grants', () => claims({ publish: Array(101).fill('**') }).sign(key), /claim publish: /],
    ['a huge grant', () => claims({ subscribe: [`strategy.${'x'.repeat(5000)}`] }).sign(key), /claim subscribe or publish: .{200,400}$/],
  ])('%s', async (_name, token, reason) => {
    await expect(verify(await token())).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringMatching(reason) });
  });

  test('another issuer, where one is configured', async () => {
    using pinned = tokenVerifier({ ...checking, issuer: 'us' });
    const refused = pinned.verify(await claims().setIssuer('them').sign(key));
    await expect(refused).rejects.toMatchObject({ message: expect.stringMatching(/claim iss/) });
    expect(await pinned.verify(await claims().setIssuer('us').sign(key))).toMatchObject({ sub: 'ada' });
  });

  test('no token, and a header of another form', async () => {
    await expect(authenticate(verify, {})).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: 'a token is required' });
    const token = signText(HEADER, `{${valid()}}`);
    expect(bearerToken(`bearer  ${token}`)).toBe(token);
    for (const header of ['Basic abc', 'Bearer', `Bearer ${token} ${token}`, `Bearer\t${token}`])
      expect(() => bearerToken(header)).toThrow(/^the Authorization header must be: Bearer <token>$/);
    expect(() => bearerToken('Bearer abc')).toThrow(/^the token is not valid: it is not a signed JWT$/);
  });
});

describe('a token has one form', () => {
  const token = signText(HEADER, `{${valid()}}`);
  const [header = '', payload = '', signature = ''] = token.split('.');
  // The last character of 32 bytes in base64 has two bits that stand for nothing.
  const respelled = `${token.slice(0, -1)}${String.fromCharCode(token.charCodeAt(token.length - 1) + 1)}`;

  test.each([
    ['followed by spaces', `${token}  `],
    ['preceded by a line', `\n${token}`],
    ['followed by a line', `${token}\n`],
    ['with a space in a part', `${header}.${payload}.${signature.slice(0, 9)} ${signature.slice(9)}`],
    ['padded', `${token}=`],
    ['in the alphabet of plain base64', `${token.slice(0, -3)}+/${token.slice(-1)}`],
    ['with another spelling of its last bits', respelled],
    ['with four parts', `${token}.${signature}`],
    ['with five parts', `${token}.${signature}.${signature}`],
    ['with two parts', `${header}.${payload}`],
    ['without a signature', `${header}.${payload}.`],
    ['of dots', '.'.repeat(MAX_TOKEN_BYTES)],
    ['of something else than ASCII', `${header}.${payload}.${signature.slice(0, -1)}é`],
    ['empty', ''],
  ])('not one %s', async (_name, text) => {
    await expect(verify(text)).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: 'the token is not valid: it is not a signed JWT' });
    expect(() => bearerToken(`Bearer ${text}`)).toThrow(/^the (token is not valid|Authorization header must be)/);
  });

  test('and 8 KiB at most', async () => {
    // The signature, its dot and that of the header take 45 characters beside the header; base64 makes 4 of 3.
    const fill = (bytes: number) => {
      const start = `{${valid()},"fill":"`;
      const room = Math.floor(((bytes - header.length - 45) * 3) / 4);
      return signText(HEADER, `${start}${'x'.repeat(room - start.length - 2)}"}`);
    };
    const [longest, longer] = [fill(MAX_TOKEN_BYTES), fill(MAX_TOKEN_BYTES + 1)];
    expect([longest.length, longer.length]).toEqual([MAX_TOKEN_BYTES, MAX_TOKEN_BYTES + 1]);
    expect(await verify(longest)).toMatchObject({ sub: 'ada' });
    const refused = { code: 'UNAUTHORIZED', message: 'the token is not valid: it is longer than 8192 bytes' };
    for (const text of [longer, 'x'.repeat(50_000_000)]) await expect(verify(text)).rejects.toMatchObject(refused);
    expect(() => bearerToken(`Bearer ${longer}`)).toThrow(refused.message);
  });
});

test('the name of a service is for services', async () => {
  for (const sub of SERVICE_NAMES) {
    for (const role of ['user', 'admin'] as const) {
      const token = await signToken(settings, { sub, role, expiresInSeconds: 60 });
      await expect(verify(token)).rejects.toMatchObject({
        code: 'UNAUTHORIZED',
        message: `the token is not valid: claim role: must be service, as ${sub} is the name of one`,
      });
    }
    await expect(verify(signClaims(`"sub":"${sub}","exp":${now() + 60}`))).rejects.toMatchObject({
      message: expect.stringContaining('claim role'),
    });
    expect(await verify(await signToken(settings, { sub, role: 'service', expiresInSeconds: 60 }))).toMatchObject({ sub, role: 'service' });
  }
  // The names are exact, and other services may read.
  for (const [sub, role] of [
    ['Forge', 'user'],
    ['forge-1', 'user'],
    ['reader', 'service'],
  ] as const)
    expect(await verify(await signToken(settings, { sub, role, expiresInSeconds: 60 }))).toMatchObject({ sub });
});

test('what is kept of principals is kept apart', () => {
  const roles = ['user', 'service', 'admin'] as const;
  const keys = ['ada', 'user', 'admin', 'forge'].flatMap((sub) => roles.map((role) => principalKey({ role, sub })));
  expect(new Set(keys).size).toBe(keys.length);
  // What services had stored under their bare names stays theirs.
  expect(principalKey({ role: 'service', sub: 'forge' })).toBe('forge');
});

describe('times', () => {
  test.each<[string, () => string, RegExp]>([
    ['an expiry with a fraction', () => `"exp":${now() + 60}.5`, /claim exp: must be a whole number of seconds since 1970$/],
    ['an expiry beyond what is exact', () => '"exp":9007199254740993', /claim exp: must be a whole number/],
    ['an expiry that is huge', () => '"exp":1e308', /claim exp: must be a whole number/],
    ['an expiry that is no number any more', () => '"exp":1e999', /claim exp: must be a whole number/],
    ['an expiry past all dates', () => '"exp":8640000000001', /claim exp: is later than any date that can be told$/],
    ['an expiry below zero', () => '"exp":-1e999', /expired/],
    ['an expiry in words', () => '"exp":"never"', /claim exp/],
    ['an expiry in a list', () => `"exp":[${now() + 60}]`, /claim exp/],
    ['the last date of all', () => '"exp":8640000000000', /claim exp: is later than 90 days after now/],
    ['an issue in words', () => `"exp":${now() + 60},"iat":"now"`, /claim iat/],
    ['an issue of null', () => `"exp":${now() + 60},"iat":null`, /claim iat/],
    ['an issue without end', () => `"exp":${now() + 60},"iat":1e999`, /claim iat: must be a number of seconds since 1970$/],
    ['an issue far ahead', () => `"exp":${now() + 60},"iat":1e308`, /claim iat: is later than now$/],
    ['an issue far back', () => `"exp":${now() + 60},"iat":-1e308`, /claim exp: is later than 90 days after iat/],
    ['a beginning without end', () => `"exp":${now() + 60},"nbf":1e999`, /claim nbf/],
  ])('%s', async (_name, text, reason) => {
    await expect(verify(signClaims(`"sub":"ada",${text()}`))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringMatching(reason),
    });
  });

  test('a token may have been issued 5 s from now, by a clock that is ahead', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const at = (seconds: number) => signClaims(`"sub":"ada","exp":${now() + 60},"iat":${now() + seconds}`);
    vi.setSystemTime(Math.ceil(Date.now() / 1000) * 1000);
    expect(await verify(at(5))).toMatchObject({ issuedAt: (now() + 5) * 1000 });
    await expect(verify(at(5.001))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: 'the token is not valid: claim iat: is later than now',
    });
    const early = at(6);
    await expect(verify(early)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    vi.setSystemTime(Date.now() + 1000);
    expect(await verify(early)).toMatchObject({ sub: 'ada' });
  });

  test('a token may be used 5 s after its end and 5 s before its beginning, as the clock of its issuer may be wrong', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Math.ceil(Date.now() / 1000) * 1000);
    const ended = (seconds: number) => signClaims(`"sub":"ada","exp":${now() - seconds}`);
    const begins = (seconds: number) => signClaims(`"sub":"ada","exp":${now() + 60},"nbf":${now() + seconds}`);
    expect(await verify(ended(4))).toMatchObject({ sub: 'ada' });
    await expect(verify(ended(5))).rejects.toMatchObject({ message: 'the token is not valid: it has expired' });
    expect(await verify(begins(5))).toMatchObject({ sub: 'ada' });
    await expect(verify(begins(6))).rejects.toMatchObject({ message: expect.stringContaining('claim nbf') });
  });

  test('a token lives as long as it may, counted from its issue or from now', async () => {
    using strict = tokenVerifier({ ...checking, maxLifetimeMs: 2 * DAY_SECONDS * 1000 });
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Math.ceil(Date.now() / 1000) * 1000);
    const issued = (days: number) => signClaims(`"sub":"ada","iat":${now() - DAY_SECONDS},"exp":${now() + (days - 1) * DAY_SECONDS}`);
    const unissued = (seconds: number) => signClaims(`"sub":"ada","exp":${now() + seconds}`);
    expect(await strict.verify(issued(2))).toMatchObject({ sub: 'ada' });
    expect(await strict.verify(unissued(2 * DAY_SECONDS))).toMatchObject({ sub: 'ada' });
    const allows = 'which is the most that COURIER_JWT_MAX_DAYS allows';
    await expect(strict.verify(issued(2.5))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: `the token is not valid: claim exp: is later than 2 days after iat, ${allows}`,
    });
    await expect(strict.verify(unissued(2 * DAY_SECONDS + 1))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: `the token is not valid: claim exp: is later than 2 days after now, ${allows}`,
    });
  });
});

describe('what an attacker would try', () => {
  test.each<[string, () => string, RegExp]>([
    ['an extension that must be understood', () => `{"alg":"HS256","crit":["exp"],"exp":1}`, /its header asks for what is not supported$/],
    ['an extension of many names', () => `{"alg":"HS256","crit":${JSON.stringify(Array(500).fill('x'))},"x":1}`, /header|not a signed JWT/],
    ['a payload that is not encoded', () => '{"alg":"HS256","b64":false,"crit":["b64"]}', /not a signed JWT|signature does not match/],
    ['no algorithm', () => '{"alg":"none"}', /its algorithm is not the one in use$/],
    ['an algorithm in a list', () => '{"alg":["HS256"]}', /not a signed JWT$/],
    ['the algorithm of a public key', () => '{"alg":"RS256"}', /its algorithm is not the one in use$/],
    ['a header that is no object', () => '["HS256"]', /not a signed JWT$/],
    ['a header of brackets', () => '['.repeat(5000), /not a signed JWT$/],
  ])('%s', async (_name, header, reason) => {
    await expect(verify(signText(header(), `{${valid()}}`))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringMatching(reason),
    });
  });

  test('an id of its key of 8 KB', async () => {
    const header = JSON.stringify({ alg: 'HS256', kid: 'k'.repeat(8192) });
    await expect(verify(signText(header, `{${valid()}}`))).rejects.toMatchObject({ message: expect.stringContaining('is longer than') });
  });

  test('claims that are no object', async () => {
    for (const text of ['[]', '"ada"', 'null', '1', '', '['.repeat(5000), '\ufffe'])
      await expect(verify(signText(HEADER, text))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('a claim that is said twice counts as it is said last (RFC 7519, section 4)', async () => {
    const exp = `"exp":${now() + 60}`;
    expect(await verify(signClaims(`"sub":"eve","role":"admin",${exp},"sub":"ada","role":"user"`))).toMatchObject({
      sub: 'ada',
      role: 'user',
    });
    await expect(verify(signClaims(`"sub":"ada","role":"user",${exp},"role":"emperor"`))).rejects.toMatchObject({
      message: expect.stringContaining('claim role'),
    });
  });

  test('claims that would reach beyond their object', async () => {
    const principal = await verify(
      signClaims(`"sub":"ada","exp":${now() + 60},"__proto__":{"role":"admin"},"constructor":{"role":"admin"}`),
    );
    expect(principal).toMatchObject({ sub: 'ada', role: 'user' });
  });

  test('a hundred grants of much text', async () => {
    const grants = Array.from({ length: 100 }, (_, index) => `strategy.${String(index).padStart(64, 's')}`);
    await expect(verify(await claims({ subscribe: grants, publish: grants }).sign(key))).rejects.toMatchObject({
      message: expect.stringContaining('is longer than'),
    });
    const channels = new Set(['global', 'user.ada', ...grants.slice(0, 70)]);
    expect(await verify(await claims({ subscribe: grants.slice(0, 70) }).sign(key))).toMatchObject({ readable: { singles: channels } });
  });
});
