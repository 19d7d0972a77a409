/** Addresses as they are sent: one route each, for every program that reads them. */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { requestTarget } from '../../src/transport/request-target.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

describe('an address is taken as it was sent', () => {
  test.each<[sent: string, basePath: string, path: string, search: string]>([
    ['/health', '', '/health', ''],
    ['/', '', '/', ''],
    ['/%68ealth', '', '/%68ealth', ''],
    ['/events/a%2Fb%20c?after=x&types=a,b', '', '/events/a%2Fb%20c', '?after=x&types=a,b'],
    ['/ws/**?from=a//b/../c\\d?e', '', '/ws/**', '?from=a//b/../c\\d?e'],
    ['/.well-known/...', '', '/.well-known/...', ''],
    ['http://example.org:80/health?x=1', '', '/health', '?x=1'],
    ['HTTPS://user@example.org', '', '', ''],
    ['/courier/health', '/courier', '/health', ''],
    ['/courier', '/courier', '', ''],
    ['/courier/courier/x', '/courier', '/courier/x', ''],
    ['http://example.org/a/b/trpc/x?y', '/a/b', '/trpc/x', '?y'],
  ])('%s below "%s"', (sent, basePath, path, search) => expect(requestTarget(sent, basePath)).toEqual({ path, search }));
});

const AMBIGUOUS: readonly (readonly [sent: string, reason: RegExp])[] = [
  ['//health', /\/\//],
  ['/admin//assets/x', /\/\//],
  ['http://example.org//health', /\/\//],
  ['/x/../health', /segment/],
  ['/x/..', /segment/],
  ['/./health', /segment/],
  ['/x/%2e%2E/health', /segment/],
  ['/x/.%2e/health', /segment/],
  ['/%2e/health', /segment/],
  ['/x\\health', /backslash/],
  ['http://example.org\\health', /backslash|slash/],
  ['/health#x', /#/],
  ['*', /slash/],
  ['health', /slash/],
  ['ftp://example.org/health', /slash/],
];

test.each([...AMBIGUOUS, ...['/h\u00e9alth', '/he\talth', '/health\u0001', '/a b'].map((sent) => [sent, /ASCII/] as const)])(
  '%j is refused, with the reason',
  (sent, reason) => {
    const refused = expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringMatching(reason) });
    expect(() => requestTarget(sent, '')).toThrow(refused);
  },
);

/** The answer to a request whose first line is exactly this. */
async function ask({ port }: TestGateway, line: string, ...headers: string[]): Promise<{ status: number; body: string }> {
  const socket = connect(port, '127.0.0.1');
  socket.write([line, 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n'), 'latin1');
  const answer = await text(socket);
  return { status: Number(answer.split(' ')[1]), body: answer.slice(answer.indexOf('\r\n\r\n') + 4) };
}

describe('over a socket', () => {
  test('what is ambiguous is 400 with the reason, for requests and upgrades alike', async () => {
    await using gateway = await startGateway();
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${'A'.repeat(22)}==`];
    for (const [sent, reason] of AMBIGUOUS) {
      const { status, body } = await ask(gateway, `GET ${sent} HTTP/1.1`);
      // Some of them the parser of Node.js refuses.
      if (!body.includes('"code":"PARSE_ERROR"'))
        expect(body).toMatch(new RegExp(`"code":"BAD_REQUEST".*"detail":"[^"]*(?:${reason.source})`));
      expect([sent, status]).toEqual([sent, 400]);
    }
    for (const sent of ['//ws/global', '/x/../ws/global', '/ws/%2e%2e/trpc', '/trpc/.']) {
      expect([sent, (await ask(gateway, `GET ${sent} HTTP/1.1`, ...upgrade)).status]).toEqual([sent, 400]);
    }
    expect((await ask(gateway, 'GET /x\u00e9 HTTP/1.1')).status).toBe(400);
  });

  test('the absolute form is taken for its path', async () => {
    await using gateway = await startGateway();
    expect(await ask(gateway, 'GET http://example.org/livez HTTP/1.1')).toMatchObject({ status: 200 });
    expect(await ask(gateway, 'GET http://example.org/trpc/auth.whoami HTTP/1.1')).toMatchObject({ status: 401 });
  });

  test('neither encoding nor a slash makes a route of another one', async () => {
    await using gateway = await startGateway();
    for (const path of ['/%6civez', '/livez%2f', '/livez/', '/metrics/x', '/x%2f..%2flivez', '/trpc%2fauth.whoami', '/LIVEZ']) {
      expect([path, (await ask(gateway, `GET ${path} HTTP/1.1`)).status]).toEqual([path, 404]);
    }
  });

  test('connections are kept longer than proxies keep them', async () => {
    await using gateway = await startGateway();
    const response = await fetch(`${gateway.url}/livez`);
    const [, seconds] = /timeout=(\d+)/.exec(response.headers.get('keep-alive') ?? '') ?? [];
    expect(Number(seconds)).toBeGreaterThan(60);
  });
});

describe('with a base path', () => {
  test('everything is below it, on every surface, and nothing elsewhere', async () => {
    await using gateway = await startGateway({ COURIER_BASE_PATH: '/courier' });
    expect(gateway.url).toBe(`http://127.0.0.1:${gateway.port}/courier`);
    const statuses = async (prefix: string) => {
      const paths = ['/livez', '/health', '/metrics', '/contract.json', '/asyncapi.json', '/stats', '/events/global', '/trpc/auth.whoami'];
      return await Promise.all(paths.map(async (path) => (await ask(gateway, `GET ${prefix}${path} HTTP/1.1`)).status));
    };
    expect(await statuses('/courier')).toEqual([200, 200, 200, 200, 200, 401, 401, 401]);
    for (const prefix of ['', '/courierx', '/x/courier', '/Courier', '/courier/courier', '/%63ourier']) {
      expect([prefix, ...new Set(await statuses(prefix))]).toEqual([prefix, 404]);
    }
    for (const path of ['/', '/courier', '/courier/']) expect((await ask(gateway, `GET ${path} HTTP/1.1`)).status).toBe(404);
    expect((await ask(gateway, 'GET /courier/../livez HTTP/1.1')).status).toBe(400);
  });

  test('WebSockets and publishing too', async () => {
    await using gateway = await startGateway({ COURIER_BASE_PATH: '/a/courier' });
    const token = await gateway.token('root', 'admin');
    await using plain = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/global?token=${token}`);
    await plain.count(1);
    await expect(openSocket(`ws://127.0.0.1:${gateway.port}/ws/global?token=${token}`)).rejects.toThrow('404');
    await using client = gateway.webSocketClient(token);
    expect(await client.trpc.auth.whoami.query()).toMatchObject({ sub: 'root' });
    expect(await gateway.httpClient(token).auth.whoami.query()).toMatchObject({ sub: 'root' });
    const response = await fetch(`${gateway.url}/publish/forge.job.j`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"type":"forge.job.started","data":{"job_id":"j","kind":"k"}}',
    });
    expect(response.status).toBe(201);
  });
});
