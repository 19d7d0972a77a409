/** What Node's HTTP parser refuses: answered with a problem document, and told in the log once. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { CONTRACT_HASH } from '../../client/src/contract.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { exchange as exchangeBytes } from '../helpers/raw-http.ts';

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly request_id: string;
}

/** Sends bytes, and others once something was answered. Resolves to all that comes back before the gateway ends the connection. */
async function exchange(gateway: TestGateway, bytes: string, later?: string): Promise<{ head: string; body: string }> {
  const answer = await exchangeBytes(gateway, bytes, later);
  const end = answer.indexOf('\r\n\r\n');
  return { head: answer.slice(0, end), body: answer.slice(end + 4) };
}

async function startLogged() {
  const stream = new PassThrough();
  let logged = '';
  stream.on('data', (chunk) => {
    logged += String(chunk);
  });
  const gateway = await startGateway(
    {},
    {},
    { logger: createLogger({ logLevel: 'warn', logFormat: 'json' }, { destination: stream }), timings: { headMs: 500 } },
  );
  const lines = () =>
    logged
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { message: string; request_id: string; context: object });
  return { gateway, lines };
}

const CHUNKED = 'POST /publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n';

test.each([
  ['headers of 100 KB', 431, 'PAYLOAD_TOO_LARGE', `GET /health HTTP/1.1\r\nHost: x\r\nCookie: ${'c'.repeat(100_000)}\r\n\r\n`],
  ['an address of 100 KB', 431, 'PAYLOAD_TOO_LARGE', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
  ['no HTTP', 400, 'PARSE_ERROR', '\u0016\u0003\u0001 hello\r\n\r\n'],
  ['a malformed header', 400, 'PARSE_ERROR', 'GET /health HTTP/1.1\r\nHost x\r\n\r\n'],
  ['two lengths', 400, 'PARSE_ERROR', 'POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['extensions of chunks of 20 KB', 413, 'PAYLOAD_TOO_LARGE', `${CHUNKED}1;${'e'.repeat(20_000)}\r\n`],
])('%s: %i %s', async (_name, status, code, bytes) => {
  const { gateway, lines } = await startLogged();
  await using _ = gateway;
  const { head, body } = await exchange(gateway, bytes.replace('TOKEN', await gateway.token('forge', 'service')));
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(head.toLowerCase()).toContain('content-type: application/problem+json');
  expect(head.toLowerCase()).toContain('connection: close');
  const problem = JSON.parse(body) as Problem;
  expect(problem).toEqual({
    type: 'about:blank',
    title: expect.any(String),
    status,
    code,
    detail: expect.any(String),
    request_id: expect.any(String),
  });
  // The parser's own words are told where there are none that say more.
  expect(/: [A-Z]/.test(problem.detail)).toBe(code === 'PARSE_ERROR');
  expect(head.toLowerCase()).toContain(`x-courier-contract: ${CONTRACT_HASH}`);
  expect(head.toLowerCase()).toContain(`x-request-id: ${problem.request_id}`);
  await expect.poll(() => lines().length).toBe(1);
  expect(lines()).toMatchObject([
    { message: `refused: ${code}`, request_id: problem.request_id, context: { code, status, address: '127.0.0.1' } },
  ]);
});

test.each([
  ['no host', '', 'the header Host is missing'],
  ['two hosts', 'Host: one.example\r\nhost: other.example\r\n', 'the header Host is there twice'],
])('a request that names %s is told so', async (_name, hosts, detail) => {
  await using gateway = await startGateway();
  const { head, body } = await exchange(gateway, `GET /health HTTP/1.1\r\n${hosts}Connection: close\r\n\r\n`);
  expect(head).toMatch(/^HTTP\/1\.1 400 /);
  expect(JSON.parse(/\{.*\}/.exec(body)?.[0] ?? '')).toMatchObject({ code: 'BAD_REQUEST', detail });
});

test('an expectation that nobody knows is passed over', async () => {
  await using gateway = await startGateway();
  const { head } = await exchange(gateway, 'GET /livez HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\nConnection: close\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
});

test('a request is refused once, though its rest is no HTTP', async () => {
  const { gateway, lines } = await startLogged();
  await using _ = gateway;
  await exchange(gateway, 'POST /publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
  // Behind what the first one may have left.
  await fetch(`${gateway.url}/nowhere`);
  await expect.poll(() => lines().map(({ message }) => message)).toEqual(['refused: PARSE_ERROR', 'refused: NOT_FOUND']);
});

test('headers that do not come in time: 408; of a connection on which nothing came nothing is said', async () => {
  const { gateway, lines } = await startLogged();
  await using _ = gateway;
  const [unused, { head, body }] = await Promise.all([
    exchange(gateway, ''),
    exchange(gateway, 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow:'),
  ]);
  expect(unused).toEqual({ head: '', body: '' });
  expect(head).toMatch(/^HTTP\/1\.1 408 /);
  const problem = JSON.parse(body) as Problem;
  expect(problem).toMatchObject({
    status: 408,
    code: 'SERVICE_UNAVAILABLE',
    detail: expect.stringMatching(/^the request did not come in time/),
  });
  expect(lines()).toMatchObject([{ request_id: problem.request_id }]);
  const token = await gateway.token('root', 'admin');
  const metrics = await (await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text();
  expect(metrics).not.toContain('courier_validation_failures_total{surface="http"}');
});

test('nothing is written into an answer that has begun', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('reader', 'service');
  const { body } = await exchange(gateway, `GET /sse/global?token=${token} HTTP/1.1\r\nHost: x\r\n\r\n`, 'no HTTP\r\n\r\n');
  expect(body).not.toContain('HTTP/1.1');
  expect(body).not.toContain('PARSE_ERROR');
});
