/** The dashboard's files over HTTP, from a small build in a temporary folder. */
import { once } from 'node:events';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { signToken } from '../../src/auth/tokens.ts';
import { parseConfig } from '../../src/config.ts';
import { createGateway, type Gateway } from '../../src/gateway.ts';
import { isStale, problemOfBuild } from '../../src/transport/dashboard-build.ts';
import { collect } from '../helpers/collect.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET, TOKENS, webSocketClient } from '../helpers/gateway.ts';
import { contract } from '../helpers/lumiere.ts';

const PAGE = pageAt('./');
const SCRIPT = 'console.log("the dashboard");'.repeat(100);
/** More than a build may have. */
const LARGE_BYTES = 16 * 1024 * 1024 + 1;
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'";
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SECRET_TEXT = 'not for the public';

/** The page, seen from an address from which `toPage` leads to `/admin/`. */
function pageAt(toPage: string): string {
  return `<!doctype html><script type="module" src="${toPage}assets/index-abc123.js"></script>`;
}

interface Built extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly folder: string;
}

interface DashboardOptions {
  readonly built?: boolean;
  /** Changes the build before the gateway starts. */
  readonly spoil?: (folder: string) => void;
}

/** A gateway with a build of the dashboard, beside which lies a file that is none of it. */
async function startWithDashboard({ built = true, spoil = () => undefined }: DashboardOptions = {}): Promise<Built> {
  const root = temporaryFolder();
  const folder = root.file('dist');
  writeFileSync(root.file('secret.txt'), SECRET_TEXT);
  if (built) {
    mkdirSync(`${folder}/assets`, { recursive: true });
    mkdirSync(`${folder}/.vite`);
    writeFileSync(`${folder}/.vite/manifest.json`, SECRET_TEXT);
    for (const name of ['index.html', 'assets/index-abc123.js']) {
      const content = name === 'index.html' ? PAGE : SCRIPT;
      writeFileSync(`${folder}/${name}`, content);
      writeFileSync(`${folder}/${name}.br`, brotliCompressSync(content));
      writeFileSync(`${folder}/${name}.gz`, gzipSync(content));
    }
    writeFileSync(`${folder}/assets/small-abc123.css`, 'body{}');
    spoil(folder);
  }
  const env = { COURIER_PORT: '0', COURIER_LOG: 'memory:', COURIER_JWT_SECRET: SECRET, COURIER_LOG_LEVEL: 'silent' };
  const gateway = await createGateway(parseConfig(env), { contract, dashboardFolder: folder });
  return {
    gateway,
    folder,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      root[Symbol.dispose]();
    },
  };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Asks for a path exactly as it is written. */
async function ask({ port }: Gateway, path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  const req = request({ host: '127.0.0.1', port, path, agent: false, ...options }).end();
  const [res] = await once(req, 'response');
  return { status: res.statusCode, headers: res.headers, body: await buffer(res) };
}

function problem({ status, headers, body }: Answer): { code: string; detail: string; status: number } {
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(headers).toMatchObject({ 'content-security-policy': DATA_POLICY, 'cache-control': 'no-store' });
  const { code, detail } = JSON.parse(body.toString());
  return { code, detail, status: status ?? 0 };
}

describe('the page', () => {
  test.each([
    ['/admin/', ''],
    ['/admin/connections', ''],
    ['/admin/index.html?x=/y/z', ''],
    ['/admin/channels/backtest.b1', '../'],
    ['/admin/events/a%2Fb?from=1', '../'],
    ['/admin/stream/', '../'],
    ['/admin/a/b/c', '../../'],
  ])('is what %s gets, fresh each time, with a policy of its own, and finds its assets from there', async (path, toPage) => {
    await using built = await startWithDashboard();
    const { status, headers, body } = await ask(built.gateway, path, { headers: { 'x-request-id': 'req-1' } });
    expect({ status, body: body.toString() }).toEqual({ status: 200, body: pageAt(toPage) });
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'content-security-policy': PAGE_POLICY,
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'req-1',
    });
  });

  test('/admin leads to it wherever a proxy puts it', async () => {
    await using built = await startWithDashboard();
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await ask(built.gateway, '/admin?theme=dark', { method });
      expect({ status, location: headers.location }).toEqual({ status: 308, location: 'admin/?theme=dark' });
    }
  });

  test('is not sent again to who has it, and keeps its policy', async () => {
    await using built = await startWithDashboard();
    const { headers } = await ask(built.gateway, '/admin/');
    const known = { 'if-none-match': String(headers.etag) };
    expect((await ask(built.gateway, '/admin/trace/x', { headers: known })).status).toBe(200);
    const again = await ask(built.gateway, '/admin/connections', { headers: known });
    expect(again).toMatchObject({ status: 304, body: Buffer.alloc(0) });
    expect(again.headers).toMatchObject({ 'content-security-policy': PAGE_POLICY, 'cache-control': 'no-cache' });
    expect((await ask(built.gateway, '/admin/', { headers: { 'if-none-match': 'W/"1-1"' } })).status).toBe(200);
  });

  test('is not at addresses deeper than any of its own', async () => {
    await using built = await startWithDashboard();
    expect(problem(await ask(built.gateway, `/admin${'/a'.repeat(10)}`))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });

  test('HEAD gets the headers alone', async () => {
    await using built = await startWithDashboard();
    const { status, headers, body } = await ask(built.gateway, '/admin/', { method: 'HEAD' });
    expect({ status, length: headers['content-length'], body: body.length }).toEqual({
      status: 200,
      length: String(pageAt('').length),
      body: 0,
    });
  });
});

describe('assets', () => {
  const path = '/admin/assets/index-abc123.js';

  test('are kept for a year', async () => {
    await using built = await startWithDashboard();
    const { status, headers, body } = await ask(built.gateway, path);
    expect({ status, body: body.toString() }).toEqual({ status: 200, body: SCRIPT });
    expect(headers).toMatchObject({
      'content-type': 'text/javascript',
      'cache-control': 'public, max-age=31536000, immutable',
      'content-security-policy': DATA_POLICY,
      'x-content-type-options': 'nosniff',
    });
  });

  test.each<[accepted: string, encoding: string | undefined, decode: (body: Buffer) => Buffer]>([
    ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
    ['gzip', 'gzip', gunzipSync],
    ['deflate', undefined, (body) => body],
  ])('who accepts %s gets %s', async (accepted, encoding, decode) => {
    await using built = await startWithDashboard();
    const { headers, body } = await ask(built.gateway, path, { headers: { 'accept-encoding': accepted } });
    expect(headers['content-encoding']).toBe(encoding);
    expect(headers).toMatchObject({ vary: 'Accept-Encoding', 'content-type': 'text/javascript' });
    expect(decode(body).toString()).toBe(SCRIPT);
  });

  test('come as they are when there is no compressed one', async () => {
    await using built = await startWithDashboard();
    const { headers, body } = await ask(built.gateway, '/admin/assets/small-abc123.css', { headers: { 'accept-encoding': 'br, gzip' } });
    expect(headers['content-encoding']).toBeUndefined();
    expect(body.toString()).toBe('body{}');
  });

  test('of another build are missing, and never the page', async () => {
    await using built = await startWithDashboard();
    for (const missing of ['/admin/assets/index-def456.js', '/admin/assets/', '/admin/assets/index-abc123']) {
      const answer = problem(await ask(built.gateway, missing));
      expect(answer).toMatchObject({ status: 404, code: 'NOT_FOUND', detail: expect.stringContaining('load the page again') });
    }
  });

  test('are sent whole, whatever range is asked for', async () => {
    await using built = await startWithDashboard();
    for (const range of ['bytes=0-9', 'bytes=9-1', 'bytes=-5', 'nonsense']) {
      const { status, body } = await ask(built.gateway, path, { headers: { range } });
      expect({ status, length: body.length }).toEqual({ status: 200, length: SCRIPT.length });
    }
  });

  test('come in no encoding that is refused', async () => {
    await using built = await startWithDashboard();
    const { headers } = await ask(built.gateway, path, { headers: { 'accept-encoding': 'br;q=0, gzip;q=0.5' } });
    expect(headers['content-encoding']).toBe('gzip');
  });

  test('are not sent again to who has them', async () => {
    await using built = await startWithDashboard();
    const { headers } = await ask(built.gateway, path, { headers: { 'accept-encoding': 'br' } });
    const known = { 'accept-encoding': 'br', 'if-none-match': String(headers.etag) };
    expect(await ask(built.gateway, path, { headers: known })).toMatchObject({ status: 304, body: Buffer.alloc(0) });
    expect((await ask(built.gateway, path, { headers: { 'if-none-match': String(headers.etag) } })).status).toBe(200);
  });

  test('and the page are those of the start, whatever another build does to the folder meanwhile', async () => {
    await using built = await startWithDashboard();
    writeFileSync(`${built.folder}/assets/index-abc123.js`, 'console.log("another build")');
    expect((await ask(built.gateway, path)).body.toString()).toBe(SCRIPT);
    rmSync(built.folder, { recursive: true });
    expect((await ask(built.gateway, path)).body.toString()).toBe(SCRIPT);
    expect((await ask(built.gateway, '/admin/')).body.toString()).toBe(pageAt(''));
  });
});

test('a build that is not whole, or too large, is not served, and it says so', async () => {
  const spoilt = async (spoil: (folder: string) => void) => {
    await using built = await startWithDashboard({ spoil });
    return problem(await ask(built.gateway, '/admin/'));
  };
  expect(await spoilt((folder) => rmSync(`${folder}/assets/index-abc123.js`))).toMatchObject({
    status: 404,
    detail: 'the dashboard was being built when the gateway started: start it again',
  });
  expect(await spoilt((folder) => writeFileSync(`${folder}/assets/large.js`, Buffer.alloc(LARGE_BYTES)))).toMatchObject({
    status: 404,
    detail: "the dashboard's files have more than 16 MiB",
  });
});

test('a build is stale once something that it is made of was changed after it', () => {
  using root = temporaryFolder();
  expect(isStale(root.path)).toBe(false);
  mkdirSync(root.file('client/dashboard/dist'), { recursive: true });
  mkdirSync(root.file('client/dashboard/src/pages'), { recursive: true });
  writeFileSync(root.file('client/dashboard/dist/index.html'), PAGE);
  const source = root.file('client/dashboard/src/pages/x.tsx');
  writeFileSync(source, '');
  const later = Date.now() / 1000 + 1000;
  utimesSync(root.file('client/dashboard/dist/index.html'), later, later);
  expect(isStale(root.path)).toBe(false);
  utimesSync(source, later + 1, later + 1);
  expect(isStale(root.path)).toBe(true);
});

test('what is wrong with the build is told with the command that makes it', () => {
  using folder = temporaryFolder();
  expect(problemOfBuild(folder.path)).toMatch(/^the dashboard is not built: run `npm run build:dashboard`/);
  writeFileSync(folder.file('index.html'), '<title>built</title>');
  mkdirSync(folder.file('assets'));
  expect(problemOfBuild(folder.path)).toBeUndefined();
});

test.each([
  '/admin/..%2f..%2fsecret.txt',
  '/admin/..%2fsecret.txt',
  '/admin/assets/..%5c..%5c..%5csecret.txt',
  '/admin/assets/..%2f..%2fsecret.txt',
  '/admin/assets/%252e%252e/%252e%252e/secret.txt',
  '/admin/secret.txt%00',
  '/admin/assets/index-abc123.js%00.txt',
  '/admin/assets/%E0%A4%A',
  '/admin/.vite/manifest.json',
  '/admin/assets/__proto__',
  '/admin/constructor',
])('%s leads nowhere else', async (path) => {
  await using built = await startWithDashboard();
  const { status, body } = await ask(built.gateway, path);
  const isPage = status === 200 && body.toString().startsWith('<!doctype html><script');
  expect(isPage || status === 404).toBe(true);
  if (path.startsWith('/admin/assets/')) expect(status).toBe(404);
});

test.each(['/admin/../secret.txt', '/admin/%2e%2e/secret.txt', '/admin/assets/../../secret.txt', '/admin//secret.txt'])(
  '%s is refused',
  async (path) => {
    await using built = await startWithDashboard();
    expect(problem(await ask(built.gateway, path))).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
  },
);

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is refused', async (method) => {
  await using built = await startWithDashboard();
  for (const path of ['/admin', '/admin/', '/admin/assets/index-abc123.js']) {
    const answer = await ask(built.gateway, path, { method });
    expect(answer.headers['allow']).toBe('GET, HEAD');
    expect(problem(answer)).toMatchObject({ status: 405, code: 'METHOD_NOT_SUPPORTED' });
  }
});

test('pages of other origins cannot read it, even where they may use the gateway', async () => {
  await using built = await startWithDashboard();
  const headers = { origin: built.gateway.url };
  expect((await ask(built.gateway, '/livez', { headers })).headers['access-control-allow-origin']).toBe(built.gateway.url);
  expect((await ask(built.gateway, '/admin/', { headers })).headers['access-control-allow-origin']).toBeUndefined();
});

test('everything else is data, which may load nothing', async () => {
  await using built = await startWithDashboard();
  for (const path of ['/health', '/contract.json', '/metrics', '/administrator', '/', '/trpc/auth.whoami']) {
    const { headers } = await ask(built.gateway, path);
    expect(headers['content-security-policy']).toBe(DATA_POLICY);
    expect(headers['cross-origin-opener-policy']).toBeUndefined();
  }
});

test('while the gateway drains it is refused as everything else is', async () => {
  await using built = await startWithDashboard();
  const { gateway } = built;
  const token = await signToken(TOKENS, { sub: 'reader', role: 'service', expiresInSeconds: 300 });
  // A client that has nowhere else to go keeps the gateway draining.
  await using client = webSocketClient(gateway.url, token);
  using received = collect<{ id: string }>((observer) => client.trpc.global.onEvent.subscribe(undefined, observer));
  await received.count(1);
  const ended = gateway[Symbol.asyncDispose]();
  const answer = await ask(gateway, '/admin/');
  expect(answer.headers['retry-after']).toBe('1');
  expect(problem(answer)).toMatchObject({ status: 503, code: 'SERVICE_UNAVAILABLE' });
  await ended;
});

test('without a build it says how to make one', async () => {
  await using built = await startWithDashboard({ built: false });
  for (const path of ['/admin', '/admin/', '/admin/assets/index-abc123.js']) {
    const answer = problem(await ask(built.gateway, path));
    expect(answer).toMatchObject({ status: 404, code: 'NOT_FOUND', detail: expect.stringContaining('npm run build:dashboard') });
  }
});
