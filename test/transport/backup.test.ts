/** `GET /backup`: for admins, one at a time, as fast as the client reads it but not for ever, and nothing is left of it. */
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { describe, expect, inject, test } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import type { Timings } from '../../src/connections/timings.ts';
import { inspectLogFile } from '../../src/log/sqlite/schema.ts';
import { newEvents } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';

/** More than what sockets take when nobody reads. */
const EVENTS = 20_000;

interface Filled extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly folder: { readonly path: string; file(name: string): string };
}

async function filledGateway(timings: Partial<Timings> = {}): Promise<Filled> {
  const folder = temporaryFolder();
  const gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}` }, {}, { timings });
  await gateway.pipeline.log.append(newEvents(EVENTS, 'global', { size: 500 }));
  return {
    gateway,
    folder,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

async function ask(gateway: TestGateway, role: 'user' | 'service' | 'admin' = 'admin', method = 'GET'): Promise<Response> {
  const sub = role === 'service' ? 'forge' : 'someone';
  return fetch(`${gateway.url}/backup`, { method, headers: { authorization: `Bearer ${await gateway.token(sub, role)}` } });
}

/** A download that has begun, and of which nothing more is read. */
async function begun(gateway: TestGateway): Promise<IncomingMessage> {
  const request = get(`${gateway.url}/backup`, { headers: { authorization: `Bearer ${await gateway.token('slow', 'admin')}` } });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.on('error', () => undefined);
  return answer;
}

/** Waits until another can be had. */
async function isFree(gateway: TestGateway): Promise<void> {
  const status = async () => {
    const response = await ask(gateway);
    await response.body?.cancel();
    return response.status;
  };
  await expect.poll(status, { timeout: 10_000 }).toBe(200);
}

/** Reads what has come, and waits for the end, which must be before that of the file. */
async function wasCutOff(answer: IncomingMessage): Promise<void> {
  const closed = new Promise<void>((resolve) => answer.once('close', resolve));
  answer.resume();
  await closed;
  expect(answer.complete).toBe(false);
}

test('an admin gets the log as a file', async () => {
  await using filled = await filledGateway();
  const { gateway, folder } = filled;
  const files = readdirSync(folder.path).sort();
  const response = await ask(gateway);
  expect(response.status).toBe(200);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'application/vnd.sqlite3',
    'content-length': String(bytes.length),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  writeFileSync(folder.file('got.db'), bytes);
  expect(inspectLogFile(folder.file('got.db'))).toMatchObject({ events: EVENTS, last: gateway.pipeline.log.positions.at(EVENTS) });
  expect(readdirSync(folder.path).sort()).toEqual([...files, 'got.db'].sort());
});

test('nobody else does', async () => {
  await using filled = await filledGateway();
  const { gateway } = filled;
  for (const role of ['user', 'service'] as const) {
    const response = await ask(gateway, role);
    expect([response.status, await response.json()]).toMatchObject([403, { code: 'FORBIDDEN', detail: 'backups are for admins' }]);
  }
  expect((await fetch(`${gateway.url}/backup`)).status).toBe(401);
  const wrong = await ask(gateway, 'admin', 'POST');
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET']);
});

describe('there is one at a time', () => {
  test('and the next when the client has gone', async () => {
    await using filled = await filledGateway();
    const { gateway } = filled;
    const first = await begun(gateway);
    const second = await ask(gateway);
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await second.json()).toMatchObject({ code: 'SERVICE_UNAVAILABLE', detail: expect.stringContaining('another copy of it is') });
    first.destroy();
    await isFree(gateway);
  });

  test.each([
    ['has read nothing for too long', { stallMs: 200 }],
    ['takes too long', { backupMs: 2000 }],
  ])('and the next when the client %s', async (_name, timings) => {
    await using filled = await filledGateway(timings);
    const { gateway } = filled;
    const first = await begun(gateway);
    await isFree(gateway);
    await wasCutOff(first);
  });

  test('and a revoked token ends it', async () => {
    await using filled = await filledGateway();
    const { gateway } = filled;
    const first = await begun(gateway);
    const trpc = gateway.httpClient(await gateway.token('root', 'admin'));
    await trpc.admin.revoke.mutate({ sub: 'slow' });
    await isFree(gateway);
    await wasCutOff(first);
  });
});

test('a drain waits for it as long as it waits for anything, and then cuts it off', async () => {
  using folder = temporaryFolder();
  let answer: IncomingMessage;
  {
    await using gateway = await startGateway({ COURIER_LOG: `sqlite:${folder.file('courier.db')}`, COURIER_DRAIN_SECONDS: '1' });
    await gateway.pipeline.log.append(newEvents(EVENTS, 'global', { size: 500 }));
    answer = await begun(gateway);
  }
  await wasCutOff(answer);
  expect(readdirSync(folder.path)).toEqual(['courier.db']);
});

test.each([
  ['memory', async () => 'memory:', 'COURIER_LOG=sqlite:PATH'],
  ['PostgreSQL', () => createDatabase(inject('postgresUrl')), 'pg_dump'],
])('of a log in %s it is said what to do instead', async (_name, log, instead) => {
  await using gateway = await startGateway({ COURIER_LOG: await log() });
  const response = await ask(gateway);
  expect([response.status, await response.json()]).toMatchObject([400, { code: 'BAD_REQUEST', detail: expect.stringContaining(instead) }]);
});
