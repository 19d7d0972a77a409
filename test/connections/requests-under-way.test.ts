/** What requests may take: places in the line of their socket, memory for bodies, and answers that nobody reads. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { publish } from '../contracts/transport/publishing.ts';
import { startProxy } from '../faults/proxy.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { jobStarted } from '../helpers/samples.ts';

const JOB = JSON.stringify(jobStarted());
const MIB = 1024 * 1024;
/** Bytes of a body that is a byte short of what its head says: as many as a call may have, and sixteen are what a principal may have under way. */
const NEARLY = MIB - 1;

const head = (lines: readonly string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const health = head(['GET /livez HTTP/1.1', 'Host: courier']);

/** Sends a publish whose append a proxy delays, and these requests behind it. Resolves to what came when the log went on. */
async function behindOne(behind: number): Promise<{ readonly answers: string[]; readonly wasCutOff: boolean }> {
  const database = new URL(await createDatabase(inject('postgresUrl')));
  await using proxy = await startProxy(Number(database.port));
  database.port = String(proxy.port);
  await using gateway = await startGateway({ COURIER_LOG: database.href });
  const token = await gateway.token('forge', 'service');
  const append = proxy.hold('forge.job.started');
  const socket = connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const gone = new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
  const first = head([
    'POST /publish HTTP/1.1',
    'Host: courier',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${JOB.length}`,
  ]);
  socket.write(first + JOB + health.repeat(behind));
  await Promise.race([append.heard, gone]);
  const answers = () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? '');
  const wasCutOff = await Promise.race([gone.then(() => true), fetch(`${gateway.url}/livez`).then(() => false)]);
  append.release();
  if (!wasCutOff) await expect.poll(answers).toHaveLength(behind + 1);
  socket.destroy();
  await gone;
  return { answers: answers(), wasCutOff };
}

test('a socket may send sixteen requests before their answers', async () => {
  const { answers, wasCutOff } = await behindOne(15);
  expect({ answers, wasCutOff }).toEqual({ answers: ['201', ...Array<string>(15).fill('200')], wasCutOff: false });
});

test('a socket with more is cut off, and nothing of its requests stays', async () => {
  expect(await behindOne(16)).toEqual({ answers: [], wasCutOff: true });
});

interface Sent {
  readonly req: ClientRequest;
  readonly answer: Promise<{ status: number | undefined; text: string; retryAfter: string | undefined }>;
}

/** A request whose body is a byte short. */
function nearlyWhole(gateway: TestGateway, token: string): Sent {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': NEARLY + 1 };
  const req = request(`${gateway.url}/trpc/events.publish`, { method: 'POST', headers, agent: false });
  req.on('error', () => undefined);
  req.write(Buffer.alloc(NEARLY, ' '));
  const answer = once(req, 'response').then(async ([res]: IncomingMessage[]) => {
    const text = res === undefined ? '' : (await res.setEncoding('utf8').toArray()).join('');
    return { status: res?.statusCode, text, retryAfter: res?.headers['retry-after'] };
  });
  answer.catch(() => undefined);
  return { req, answer };
}

test('bodies that are under way may take 16 MiB for each principal, and 64 MiB in all', async () => {
  await using gateway = await startGateway();
  const fill = async (count: number, sub: string) => {
    const before = gateway.census.reservedBytes;
    const token = await gateway.token(sub, 'service');
    const sent = Array.from({ length: count }, () => nearlyWhole(gateway, token));
    await expect.poll(() => gateway.census.reservedBytes, { timeout: 10_000 }).toBe(before + count * NEARLY);
    return sent;
  };
  const sent = await fill(16, 'forge');
  const tooMuch = await nearlyWhole(gateway, await gateway.token('forge', 'service')).answer;
  expect(tooMuch).toEqual({ status: 429, text: expect.stringContaining('wait for their answers'), retryAfter: '1' });
  for (const sub of ['prophet', 'chevalier', 'cartographe']) sent.push(...(await fill(16, sub)));
  const full = await nearlyWhole(gateway, await gateway.token('desk', 'service')).answer;
  expect(full).toEqual({ status: 503, text: expect.stringContaining('the gateway is full'), retryAfter: '1' });
  // What was let in is answered.
  const [first] = sent;
  first?.req.end(' ');
  expect(await first?.answer).toMatchObject({ status: 400 });
  for (const { req } of sent) req.destroy();
  await expect.poll(() => gateway.census.reservedBytes).toBe(0);
  // There is room again.
  expect(await publish(gateway, 1, 10)).toHaveLength(1);
});

test('an answer that nobody reads ends its connection', async () => {
  await using gateway = await startGateway({}, {}, { timings: { stallMs: 300 } });
  await publish(gateway, 1000, 8000);
  const socket = connect(gateway.port, '127.0.0.1');
  const gone = new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
  const page = head([
    'GET /events/**?limit=1000 HTTP/1.1',
    'Host: courier',
    `Authorization: Bearer ${await gateway.token('reader', 'service')}`,
  ]);
  socket.write(page.repeat(16));
  socket.pause();
  await expect.poll(() => gateway.census.reservedBytes).toBeGreaterThan(0);
  await expect.poll(() => gateway.census.requests, { timeout: 10_000 }).toBe(0);
  socket.resume();
  await gone;
});

const ANSWERS: [what: string, path: string, init: RequestInit, status: number][] = [
  ['a health check', '/livez', {}, 200],
  ['metrics', '/metrics', {}, 200],
  ['a path that there is not', '/nowhere', {}, 404],
  ['the dashboard', '/admin/', {}, 200],
  ['a publish that is refused', '/publish', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JOB }, 401],
  ['a stream that is refused', '/sse/global', {}, 401],
  ['a call that is refused', '/trpc/auth.whoami', {}, 401],
  ['a subscription that is refused', '/trpc/events.subscribe?input=%7B%22json%22%3A%7B%22channels%22%3A%5B%22global%22%5D%7D%7D', {}, 401],
];

test.each(ANSWERS)('%s has the id of its request', async (_what, path, init, status) => {
  await using gateway = await startGateway();
  const headers = { ...(init.headers as Record<string, string>), 'x-request-id': 'mine-1' };
  const answer = await fetch(`${gateway.url}${path}`, { ...init, headers });
  expect([answer.status, answer.headers.get('x-request-id')]).toEqual([status, 'mine-1']);
  await answer.body?.cancel();
});

test('a stream has the id of its request', async () => {
  await using gateway = await startGateway();
  const headers = { authorization: `Bearer ${await gateway.token('reader', 'service')}`, 'x-request-id': 'mine-2' };
  const ended = new AbortController();
  const answer = await fetch(`${gateway.url}/sse/global`, { headers, signal: ended.signal });
  expect([answer.status, answer.headers.get('x-request-id')]).toEqual([200, 'mine-2']);
  ended.abort();
});
