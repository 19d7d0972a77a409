/** Live rights: a connection lives no longer than its token, and changes with it at once. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { signToken } from '../../src/auth/tokens.ts';
import { collect } from '../helpers/collect.ts';
import { TOKENS } from '../helpers/gateway.ts';
import { processToken } from '../helpers/process.ts';
import { openSocket, signIn } from '../helpers/raw-socket.ts';
import { BAD_TOKENS } from '../helpers/tokens.ts';
import { startGateway, startProcess, stranger, type TestGateway, worker } from '../helpers/trade.ts';

type Item = { id: string; data: { type: string } };

const wsUrl = (gateway: TestGateway, path: string) => gateway.url.replace('http', 'ws') + path;
const brief = (sub: string, seconds = 1) => signToken(TOKENS, { sub, role: 'service', expiresInSeconds: seconds });

describe('a token that is not valid', () => {
  test.each(BAD_TOKENS)('(%s) is 401 over HTTP and 1008 over WebSocket', async (_name, tokenOf) => {
    await using gateway = await startGateway();
    const token = await tokenOf();
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    for (const path of ['/events/global', '/stats', '/trpc/auth.whoami']) {
      const answer = await fetch(`${gateway.url}${path}`, { headers });
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.text()).toContain('UNAUTHORIZED');
    }
    await using trpc = await openSocket(wsUrl(gateway, '/trpc?connectionParams=1'));
    trpc.send({ method: 'connectionParams', data: token === undefined ? {} : { token } });
    expect((await trpc.closed).code).toBe(1008);
    expect(trpc.messages.join()).toContain('UNAUTHORIZED');
    await using plain = await openSocket(wsUrl(gateway, `/ws/global${token === undefined ? '' : `?token=${token}`}`));
    expect((await plain.closed).code).toBe(1008);
  });

  test('is never logged, nor is a valid one, nor what is published', async () => {
    await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_LOG_LEVEL: 'trace' });
    let logged = '';
    gateway.child.stdout?.on('data', (chunk) => {
      logged += String(chunk);
    });
    const valid = await processToken(worker.service, 'service');
    const canary = 'canary-7261';
    for (const token of [valid, `${valid}x`, canary]) {
      await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}&types=nope${canary}`);
      await socket.closed;
      const { type, data } = worker.failure(canary, canary);
      const body = JSON.stringify({ type, channel: 'global', data: { ...data, more: 1 } });
      for (const path of [`/publish?token=${token}`, `/trpc/events.publish?token=${token}`]) {
        await fetch(gateway.url + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body,
        });
      }
    }
    expect(await gateway.end('SIGTERM')).toBe(0);
    expect(logged).toContain('stopped');
    expect(logged).not.toContain(canary);
    expect(logged).not.toContain(valid);
  });
});

describe('when the token expires', () => {
  test.each(['/trpc', '/ws'])('the connection to %s is closed with 1008', async (path) => {
    await using gateway = await startGateway();
    const startedAt = Date.now();
    const token = await brief(worker.service);
    await using socket = path === '/ws' ? await openSocket(wsUrl(gateway, `/ws/**?token=${token}`)) : await signIn(gateway.url, token);
    expect(await socket.closed).toEqual({ code: 1008, reason: 'the token has expired' });
    // Times of expiry are whole seconds.
    expect(Date.now() - startedAt).toBeGreaterThan(0);
    expect(Math.floor(startedAt / 1000) * 1000 + 1000).toBeLessThanOrEqual(Date.now());
  });

  test('a stream of server-sent events ends', async () => {
    await using gateway = await startGateway();
    const client = gateway.httpClient(await brief(worker.service));
    using events = collect<Item>((observer) => client.events.subscribe.subscribe({ channels: ['**'] }, observer));
    await expect(events.until(() => false)).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
    expect(events.items.map(({ data }) => data.type)).toEqual(['courier.live']);
  });

  test('unless it was refreshed before', async () => {
    await using gateway = await startGateway();
    await using reader = gateway.webSocketClient(await brief(worker.service));
    using received = collect<Item>((observer) => reader.trpc.events.subscribe.subscribe({ channels: ['**'] }, observer));
    await received.count(1);
    const expiry = Date.now() + 1100;
    const answer = await reader.trpc.auth.refresh.mutate({ token: await gateway.token(worker.service, 'service') });
    expect(answer).toMatchObject({ sub: worker.service, role: 'service' });
    expect(answer.expires_at.getTime()).toBeGreaterThan(expiry);
    await expect.poll(() => Date.now(), { timeout: 5000 }).toBeGreaterThan(expiry);
    await worker.over(reader.trpc).publish.mutate(worker.note('later'));
    await received.count(2);
    // On the same connection: it was announced once.
    expect(received.items.map(({ data }) => data.type)).toEqual(['courier.live', worker.noted.type]);
  });
});

describe('a refresh', () => {
  test('acts at once on what is open, and on what is asked for', async () => {
    await using gateway = await startGateway();
    await using client = gateway.webSocketClient(await gateway.token('ada', 'user', { subscribe: [worker.everything] }));
    using granted = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: [worker.channel('j')] }, observer));
    using own = collect<Item>((observer) => client.trpc.user.onEvent.subscribe(undefined, observer as never));
    await Promise.all([granted.count(1), own.count(1)]);
    await client.trpc.auth.refresh.mutate({ token: await gateway.token('ada', 'user', { subscribe: [stranger.all] }) });
    await expect(granted.until(() => false)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
    expect(own.items).toHaveLength(1);
    using strategies = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: [stranger.channel('s')] }, observer));
    await strategies.count(1);
    using again = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: [worker.channel('j')] }, observer));
    await expect(again.count(1)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
  });

  test.each<[string, (gateway: TestGateway) => Promise<string> | string]>([
    ["with another's token", (gateway) => gateway.token('eve')],
    ['with a token of another role', (gateway) => gateway.token('ada', 'admin')],
    ['with nonsense', () => 'nonsense'],
    ['with an expired token', () => signToken(TOKENS, { sub: 'ada', role: 'user', expiresInSeconds: -60 })],
  ])('%s is refused, and the connection goes on as it was', async (_name, tokenFor) => {
    await using gateway = await startGateway();
    await using client = gateway.webSocketClient(await gateway.token('ada'));
    await expect(client.trpc.auth.refresh.mutate({ token: await tokenFor(gateway) })).rejects.toMatchObject({
      data: { code: 'UNAUTHORIZED' },
    });
    expect(await client.trpc.auth.whoami.query()).toMatchObject({ sub: 'ada' });
  });

  test('over HTTP has nothing to renew', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('ada');
    await expect(gateway.httpClient(token).auth.refresh.mutate({ token })).rejects.toMatchObject({ data: { code: 'BAD_REQUEST' } });
  });
});

test('no timer is left when the gateway is gone', async () => {
  using started = vi.spyOn(globalThis, 'setInterval');
  using cleared = vi.spyOn(globalThis, 'clearInterval');
  {
    await using gateway = await startGateway();
    expect(await gateway.httpClient(await gateway.token('ada')).auth.whoami.query()).toMatchObject({ sub: 'ada' });
  }
  const running = new Set(started.mock.results.map(({ value }) => value));
  expect(running.size).toBeGreaterThan(0);
  for (const [timer] of cleared.mock.calls) running.delete(timer as NodeJS.Timeout);
  expect([...running]).toEqual([]);
});

test('several secrets: any of them has signed, the first signs', async () => {
  await using gateway = await startGateway({ COURIER_JWT_SECRET: `${'n'.repeat(40)},${TOKENS.secret}` });
  expect(gateway.tokens?.secret).toBe('n'.repeat(40));
  for (const secret of ['n'.repeat(40), TOKENS.secret]) {
    const token = await signToken({ ...TOKENS, secret }, { sub: 'ada', role: 'user', expiresInSeconds: 60 });
    expect(await gateway.httpClient(token).auth.whoami.query()).toMatchObject({ sub: 'ada' });
  }
  const token = await signToken({ ...TOKENS, secret: 'x'.repeat(40) }, { sub: 'ada', role: 'user', expiresInSeconds: 60 });
  await expect(gateway.httpClient(token).auth.whoami.query()).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
});

describe('browsers', () => {
  const attempt = async (gateway: TestGateway, origin: string | undefined, path = '/trpc', host = new URL(gateway.url).host) => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connectTcp(Number(port), hostname);
    await once(socket, 'connect');
    const headers = [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    if (origin !== undefined) headers.push(`Origin: ${origin.replace('{host}', host)}`);
    socket.write(`${[...headers, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='].join('\r\n')}\r\n\r\n`);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return Number(chunk.toString().slice(9, 12));
  };

  test('connect from allowed origins and the own host only; what is no browser may always', async () => {
    await using gateway = await startGateway({ COURIER_ALLOWED_ORIGINS: 'https://app.example.org' });
    for (const [origin, status] of [
      [undefined, 101],
      ['https://app.example.org', 101],
      ['http://{host}', 101],
      ['https://evil.example', 403],
      ['null', 403],
      ['https://app.example.org.evil.example', 403],
      ['https://evil-app.example.org', 403],
      ['http://app.example.org', 403],
      ['https://app.example.org:8443', 403],
      ['https://APP.example.org', 403],
      ['not a url', 403],
    ] as const) {
      for (const path of ['/trpc', '/ws/global']) expect([origin, await attempt(gateway, origin, path)]).toEqual([origin, status]);
    }
  });

  test('are not taken for pages of the gateway where neither they nor the request have a host', async () => {
    await using gateway = await startGateway();
    for (const origin of ['file://', 'data:x']) expect([origin, await attempt(gateway, origin, '/trpc', '')]).toEqual([origin, 403]);
  });

  test('read answers over HTTP from allowed origins only', async () => {
    await using gateway = await startGateway({ COURIER_ALLOWED_ORIGINS: 'https://app.example.org' });
    const ask = (origin: string, init: RequestInit = {}) =>
      fetch(`${gateway.url}/livez`, { ...init, headers: { ...init.headers, origin } });
    const allowed = await ask('https://app.example.org');
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.org');
    expect(allowed.headers.get('vary')).toBe('origin');
    expect((await ask('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
    const preflight = { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST' } };
    const answer = await ask('https://app.example.org', preflight);
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-headers')).toContain('authorization');
    expect((await ask('https://evil.example', preflight)).status).toBe(403);
  });

  test('are told that answers are data', async () => {
    await using gateway = await startGateway();
    const { headers } = await fetch(`${gateway.url}/livez`);
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    });
  });
});
