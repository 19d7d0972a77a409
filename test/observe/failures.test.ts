/** What becomes of failures and forged ids: counted, logged, passed on, and told safely, with the id of the request. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { Failures } from '../../src/observe/failures.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';

interface Line {
  readonly message: string;
  readonly level: string;
  readonly request_id?: string;
  readonly context?: Record<string, unknown>;
}

function linesOf(gateway: GatewayProcess): Line[] {
  const lines: Line[] = [];
  createInterface({ input: gateway.child.stdout as Readable }).on('line', (line) => lines.push(JSON.parse(line) as Line));
  return lines;
}

/** What two surfaces say of the same failing read. */
async function answersOf(url: string, token: string) {
  const http = await fetch(`${url}/trpc/events.history?input=${encodeURIComponent('{"json":{"channels":["global"]}}')}`, {
    headers: { authorization: `Bearer ${token}`, 'x-request-id': 'req-http' },
  });
  const plain = await fetch(`${url}/events/global`, { headers: { authorization: `Bearer ${token}`, 'x-request-id': 'req-plain' } });
  return { http: [http.status, await http.text()], plain: [plain.status, await plain.text()] };
}

test('an error is reported once, however many notice it', () => {
  const counted: string[] = [];
  const passed: unknown[] = [];
  const failures = new Failures({
    meter: { ...noMeter, failed: (kind) => counted.push(kind), invalid: (surface) => counted.push(`invalid ${surface}`) },
    logger: createLogger({ logLevel: 'silent', logFormat: 'json' }),
    hook: (error, kind, context) => passed.push([error, kind, context]),
  });
  const defect = new Error('secret detail');
  const somebody = { address: '192.0.2.1' };
  expect(failures.answer('trpc', defect, { request_id: 'r' }, somebody)).toMatchObject({
    code: 'INTERNAL_SERVER_ERROR',
    message: 'internal error',
  });
  failures.answer('http', defect, {}, somebody);
  failures.report('log', 'again', defect);
  failures.report('log', 'a string', 'thrown');
  expect(counted).toEqual(['call', 'log']);
  expect(passed).toEqual([
    [defect, 'call', { request_id: 'r' }],
    ['thrown', 'log', {}],
  ]);
});

test('a defect is told on no surface, and found in the log by its request id', async () => {
  await using gateway = await startProcess({
    COURIER_LOG: 'memory:',
    NODE_OPTIONS: `--import=${new URL('./defect.ts', import.meta.url)}`,
  });
  const lines = linesOf(gateway);
  const token = await processToken('forge', 'service');
  const { http, plain } = await answersOf(gateway.url, token);
  expect(http[0]).toBe(500);
  expect(JSON.parse(http[1] as string)).toMatchObject({
    error: { json: { message: 'internal error', data: { code: 'INTERNAL_SERVER_ERROR', requestId: 'req-http' } } },
  });
  expect(plain).toEqual([
    500,
    JSON.stringify({
      type: 'about:blank',
      title: 'Internal error',
      status: 500,
      code: 'INTERNAL_SERVER_ERROR',
      detail: 'internal error',
      request_id: 'req-plain',
    }),
  ]);
  await using trpc = await openSocket(`${gateway.url.replace('http', 'ws')}/trpc`, {
    headers: { authorization: `Bearer ${token}`, 'x-request-id': 'req-ws' },
  });
  for (const id of [1, 'a-2', 'b\u001b[31m\r\n'])
    trpc.send({ id, method: 'query', params: { path: 'events.history', input: { json: { channels: ['global'] } } } });
  const replies = (await trpc.count(3)).map(
    (text) => JSON.parse(text) as { id: unknown; error: { json: { data: { requestId: string } } } },
  );
  expect(replies.map(({ error }) => error.json.data.requestId)).toEqual(['req-ws/1', 'req-ws/a-2', 'req-ws/call']);
  for (const reply of replies) expect(JSON.stringify(reply)).not.toMatch(/secret|stack|\.ts/);
  await expect.poll(() => lines.filter(({ level }) => level === 'ERROR').length).toBe(5);
  const failed = lines.filter(({ level }) => level === 'ERROR');
  expect(failed.map(({ request_id }) => request_id)).toEqual(['req-http', 'req-plain', 'req-ws/1', 'req-ws/a-2', 'req-ws/call']);
  expect(failed[0]?.context).toMatchObject({ kind: 'call', procedure: 'events.history' });
  expect(failed[1]?.context).toMatchObject({ kind: 'request', method: 'GET', path: '/events/global' });
  expect(failed[2]?.context).toMatchObject({ connection_id: expect.any(String), error: { cause: { message: 'secret detail' } } });
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toContain('courier_errors_total{kind="call"} 4\n');
  expect(metrics).toContain('courier_errors_total{kind="request"} 1\n');
  for (let n = 0; n < 3; n += 1) await answersOf(gateway.url, token);
  expect(await (await fetch(`${gateway.url}/health`)).json()).toMatchObject({
    status: 'degraded',
    components: { errors: { status: 'degraded', last_minute: 11, action: expect.stringContaining('the log has each') } },
  });
});

test.each([
  ['a short plain one is kept', 'abc-1.2:3', 'abc-1.2:3'],
  ['a huge one is replaced', 'x'.repeat(129), undefined],
  ['one with quotes and spaces is replaced', '" onload="x y', undefined],
  ['an empty one is replaced', '', undefined],
])('request ids: %s', async (_name, given, kept) => {
  await using gateway = await startGateway();
  for (const path of ['/livez', '/nowhere', '/trpc/auth.whoami', '/publish/global']) {
    const response = await fetch(gateway.url + path, { headers: { 'x-request-id': given } });
    expect(response.headers.get('x-request-id')).toMatch(kept === undefined ? /^[0-9a-f-]{36}$/ : new RegExp(`^${kept}$`));
  }
});

test('neither tokens nor event data are in the log, at any level', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}`, COURIER_LOG_LEVEL: 'trace' });
  let logged = '';
  gateway.child.stdout?.on('data', (chunk) => {
    logged += String(chunk);
  });
  const token = await processToken('forge', 'service');
  const wrong = `${token.slice(0, -4)}XXXX`;
  const ws = gateway.url.replace('http', 'ws');
  const secret = 'canary8842';
  const draft = (data: object) => JSON.stringify({ type: 'forge.job.started', channel: 'forge.job.j', data });
  const publish = (body: string, bearer = token) =>
    fetch(`${gateway.url}/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body,
    });
  await using plain = await openSocket(`${ws}/ws/**?token=${token}`);
  await using trpc = await openSocket(`${ws}/trpc?connectionParams=1`);
  trpc.send({ method: 'connectionParams', data: { token } });
  trpc.send({ id: 1, method: 'subscription', params: { path: 'events.subscribe', input: { json: { channels: ['**'] } } } });
  await Promise.all([plain.count(1), trpc.count(2)]);
  expect((await publish(draft({ job_id: 'j', kind: secret }))).status).toBe(201);
  expect((await publish(draft({ job_id: secret, kind: { nested: secret } }))).status).toBe(400);
  expect((await publish(`{"${secret}`)).status).toBe(400);
  expect((await publish(draft({ job_id: 'j', kind: secret }), wrong)).status).toBe(401);
  trpc.send({ id: 2, method: 'mutation', params: { path: 'auth.refresh', input: { json: { token: wrong } } } });
  trpc.send({ id: 3, method: 'mutation', params: { path: 'forge.publish', input: { json: { invented: secret } } } });
  await Promise.all([plain.count(2), trpc.count(5)]);
  await using refused = await openSocket(`${ws}/ws/global?token=${wrong}`);
  await refused.closed;
  expect(await gateway.end('SIGTERM')).toBe(0);
  expect(logged).toContain('"published"');
  expect(logged).toContain('"disconnected"');
  for (const canary of [secret, token, wrong, token.split('.')[2] as string]) expect(logged).not.toContain(canary);
});

test('failures are passed on to an error tracker', { timeout: 60_000 }, async () => {
  const envelopes: string[] = [];
  const tracker = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += String(chunk);
    });
    req.on('end', () => {
      envelopes.push(`${req.url} ${body}`);
      res.end('{}');
    });
  });
  await new Promise<void>((resolve) => tracker.listen(0, '127.0.0.1', resolve));
  const { port } = tracker.address() as AddressInfo;
  await using gateway = await startProcess({
    COURIER_LOG: 'memory:',
    COURIER_SENTRY_DSN: `http://key@127.0.0.1:${port}/42`,
    NODE_OPTIONS: `--import=${new URL('./defect.ts', import.meta.url)}`,
  });
  const token = await processToken('forge', 'service');
  await answersOf(gateway.url, token);
  expect(await gateway.end('SIGTERM')).toBe(0);
  tracker.closeAllConnections();
  tracker.close();
  const events = envelopes.filter((text) => text.includes('"type":"event"'));
  expect(events).toHaveLength(2);
  const [first = ''] = events;
  expect(first).toContain('/api/42/envelope/');
  const event = JSON.parse(first.split('\n')[2] as string) as Record<string, unknown>;
  expect(event).toMatchObject({
    release: 'courier@0.1.0',
    environment: 'development',
    tags: { kind: 'call', request_id: 'req-http' },
    contexts: { courier: { procedure: 'events.history' } },
  });
  expect(JSON.stringify(event)).toContain('secret detail');
  for (const text of envelopes) expect(text).not.toContain(token);
});

test.each([
  ['https://sentry.example.org/1', 'COURIER_SENTRY_DSN must be a DSN such as https://key@host/1', ''],
  ['nonsense', 'COURIER_SENTRY_DSN must be an http or https URL', ''],
  [
    'https://key@sentry.example.org/1',
    'COURIER_SENTRY_DSN needs the package @sentry/node: npm install @sentry/node',
    `--import=${new URL('./without-sentry.ts', import.meta.url)}`,
  ],
])('a tracker that cannot be had is one line: %s %s', async (dsn, line, options) => {
  await expect(startProcess({ COURIER_LOG: 'memory:', COURIER_SENTRY_DSN: dsn, NODE_OPTIONS: options })).rejects.toThrow(
    `the gateway ended with 2: courier: ${line}`,
  );
});
