/** Several requests on one socket: what the gateway says about one of them comes behind the answers to those before it, and whole. */
import { Server } from 'node:http';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/observe/logger.ts';
import { startGateway, UNLIMITED } from '../helpers/gateway.ts';
import { answersIn, exchange } from '../helpers/raw-http.ts';
import { jobStarted } from '../helpers/samples.ts';

const UPGRADE = [
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const upgradeOf = (path: string, more: readonly string[] = []) => `${[`GET ${path} HTTP/1.1`, ...UPGRADE, ...more].join('\r\n')}\r\n\r\n`;
const METRICS = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
const GARBAGE = 'no HTTP\r\n\r\n';

/** A gateway that answers METRICS once what is no further request has come: an upgrade, or no HTTP. */
async function startHolding() {
  const emit = vi.spyOn(Server.prototype, 'emit');
  const gateway = await startGateway();
  const hasCome = () => emit.mock.calls.some(([event]) => event === 'upgrade' || event === 'clientError');
  vi.spyOn(gateway.pipeline.log, 'bytes').mockImplementation(async () => {
    await expect.poll(hasCome, { timeout: 10_000 }).toBe(true);
    return 0;
  });
  return gateway;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('behind a request whose answer is being made', () => {
  test.each([
    ['what is no HTTP', GARBAGE, 400],
    ['headers that are too large', `GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: ${'c'.repeat(50_000)}\r\n\r\n`, 431],
    ['an upgrade where there is none', upgradeOf('/nowhere'), 404],
    ['an upgrade with a wrong key', upgradeOf('/ws/global').replace('dGhl', ''), 400],
  ])('%s is refused in its turn', async (_name, later, status) => {
    await using gateway = await startHolding();
    const answers = answersIn(await exchange(gateway, METRICS + METRICS + later));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, status]);
    for (const { body } of answers.slice(0, 2)) expect(body).toContain('courier_log_size_bytes 0');
  });

  test('a WebSocket begins in its turn', async () => {
    await using gateway = await startHolding();
    const later = upgradeOf('/ws/nothing', [`Authorization: Bearer ${await gateway.token('reader')}`]);
    const answers = await exchange(gateway, METRICS + later);
    expect(answers).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 101 /);
    expect(answersIn(answers.slice(0, answers.indexOf('HTTP/1.1 101')))).toMatchObject([
      { body: expect.stringContaining('courier_log_size_bytes') },
    ]);
  });

  test('a publish is told what it did, though its body was longer than it said', async () => {
    await using gateway = await startGateway();
    const body = JSON.stringify(jobStarted());
    const head = ['POST /publish HTTP/1.1', 'Host: x', `Authorization: Bearer ${await gateway.token('forge', 'service')}`];
    const answers = answersIn(
      await exchange(gateway, `${[...head, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}${GARBAGE}`),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 400]);
  });
});

describe.each([
  ['what is no HTTP', () => GARBAGE],
  ['an upgrade that is refused', () => upgradeOf('/nowhere')],
  ['a WebSocket', (token: string) => upgradeOf('/ws/global', [`Authorization: Bearer ${token}`])],
])('behind a stream of server-sent events %s', (_name, laterOf) => {
  const streamOf = (token: string) => `GET /sse/global?token=${token} HTTP/1.1\r\nHost: x\r\n\r\n`;

  test('ends the socket, and nothing is written into the stream', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader');
    const stream = await exchange(gateway, streamOf(token), laterOf(token));
    expect(stream).toMatch(/^HTTP\/1\.1 200 /);
    expect(stream.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test('ends the socket also before the stream has begun', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader');
    expect(await exchange(gateway, streamOf(token) + laterOf(token))).toBe('');
    await expect.poll(() => gateway.census.connections).toEqual({ trpc: 0, plain: 0, sse: 0 });
  });
});

describe('behind answers that nobody reads', () => {
  test.each([
    ['an upgrade', (token: string) => upgradeOf('/ws/global', [`Authorization: Bearer ${token}`])],
    ['a CONNECT', () => 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['what is no HTTP', () => GARBAGE],
    ['nothing', () => ''],
  ])('%s keeps no socket open', async (_name, laterOf) => {
    await using gateway = await startGateway({ COURIER_LIMITS: UNLIMITED }, {}, { timings: { stallMs: 300 } });
    const token = await gateway.token('root', 'admin');
    const trpc = gateway.httpClient(token);
    // Four of them are a page, and fifteen pages are more than a kernel takes.
    const large = { type: 'forge.job.completed', channel: 'global', data: { job_id: 'j', result: { text: 'x'.repeat(86_000) } } } as const;
    for (let n = 0; n < 4; n += 1) await trpc.events.publish.mutate(large);
    const page = `GET /events/global HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const socket = connect({ port: gateway.port, host: '127.0.0.1' }).pause();
    socket.on('error', () => undefined);
    socket.write(page.repeat(15) + laterOf(token));
    await expect.poll(() => gateway.census.requests).toBeGreaterThan(0);
    await expect.poll(() => gateway.census.requests, { timeout: 10_000 }).toBe(0);
    expect(gateway.census.reservedBytes).toBe(0);
    socket.destroy();
  });
});

describe('a body that never comes', () => {
  async function startLogged() {
    const stream = new PassThrough();
    let logged = '';
    stream.on('data', (chunk) => {
      logged += String(chunk);
    });
    const logger = createLogger({ logLevel: 'warn', logFormat: 'json' }, { destination: stream });
    const timings = { headMs: 500, requestMs: 500, stallMs: 400 };
    const limits = JSON.stringify({ gateway: { failedAuthenticationsPerMinute: 1 } });
    const gateway = await startGateway({ COURIER_LIMITS: limits }, {}, { logger, timings });
    const lines = () =>
      logged
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { message: string; request_id: string; context: object });
    return { gateway, lines };
  }

  const post = (path: string, token: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 10\r\nX-Request-Id: late\r\n\r\n`;

  test.each([
    ['/publish', (body: unknown) => body],
    ['/trpc/events.publish', (body: unknown) => (body as { error: { json: { data: object } } }).error.json.data],
  ])('is refused with 408, and told in the log: %s', async (path, refusalIn) => {
    const { gateway, lines } = await startLogged();
    await using _ = gateway;
    const [answer, ...more] = answersIn(await exchange(gateway, post(path, await gateway.token('forge', 'service'))));
    expect([answer?.status, more]).toEqual([408, []]);
    expect(refusalIn(JSON.parse(answer?.body ?? ''))).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(answer?.body).toContain('the request did not come in time');
    await expect.poll(() => lines().length).toBe(1);
    expect(lines()).toMatchObject([
      { message: 'refused: SERVICE_UNAVAILABLE', request_id: 'late', context: { status: 408, user_id: 'forge', address: '127.0.0.1' } },
    ]);
  });

  test('is waited for without a word once its request was refused', async () => {
    const { gateway, lines } = await startLogged();
    await using _ = gateway;
    await fetch(`${gateway.url}/stats`, { headers: { authorization: 'Bearer wrong' } });
    const answers = answersIn(await exchange(gateway, post('/publish', 'wrong')));
    expect(answers.map(({ status }) => status)).toEqual([429]);
    expect(lines().map(({ message }) => message)).toEqual(['refused: UNAUTHORIZED', 'refused: TOO_MANY_REQUESTS']);
  });
});
