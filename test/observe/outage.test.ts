/** An outage of the event log: a line at its beginning, one at its end, and between them one for each publish that was refused. */
import { renameSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import type { EventLog } from '../../src/log/log.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { Failures } from '../../src/observe/failures.ts';
import { LogOutage } from '../../src/observe/log-outage.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { Outage } from '../../src/observe/outage.ts';
import { startProxy } from '../faults/proxy.ts';
import { newEvent } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { jobStarted } from '../helpers/samples.ts';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly request_id?: string;
  readonly context: Readonly<Record<string, unknown>>;
}

function capture() {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += String(chunk);
  });
  const lines = (level?: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => level === undefined || line.level === level);
  return { logger: createLogger({ logLevel: 'info', logFormat: 'json' }, { destination: stream }), lines };
}

interface Breakable extends AsyncDisposable {
  readonly address: string;
  break(): void;
  mend(): void;
}

async function movedFile(): Promise<Breakable> {
  const folder = temporaryFolder();
  const path = folder.file('courier.db');
  return {
    address: `sqlite:${path}`,
    break: () => renameSync(path, `${path}.away`),
    mend: () => renameSync(`${path}.away`, path),
    [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
  };
}

async function cutServer(): Promise<Breakable> {
  const database = new URL(await createDatabase(inject('postgresUrl')));
  const proxy = await startProxy(Number(database.port));
  database.port = String(proxy.port);
  return { address: database.href, break: proxy.cut, mend: proxy.heal, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
}

test.each([
  ['a file that was moved', movedFile, /^look at the log's file/],
  ['a server that does not answer', cutServer, /^look at PostgreSQL/],
])(
  '%s: one line when it begins, one when it ends, and the health notices without a publish',
  { timeout: 120_000 },
  async (_name, open, action) => {
    const log = capture();
    await using storage = await open();
    await using gateway = await startGateway({ COURIER_LOG: storage.address }, {}, { logger: log.logger });
    const token = await gateway.token('forge', 'service');
    const publish = (id: string) =>
      fetch(`${gateway.url}/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-request-id': id },
        body: JSON.stringify(jobStarted()),
      });
    const health = async () =>
      ((await (await fetch(`${gateway.url}/health`)).json()) as { components: { event_log: { status: string } } }).components.event_log
        .status;
    expect((await publish('before')).status).toBe(201);
    // Revocations are of the same server, and told apart: once too.
    const errors = () => log.lines('ERROR').filter(({ message }) => message !== 'revocations cannot be read');
    storage.break();
    const refused = ['r-1', 'r-2', 'r-3'];
    for (const id of refused) expect((await publish(id)).status).toBe(503);
    await expect.poll(health, { timeout: 20_000 }).not.toBe('healthy');
    await expect.poll(() => errors().length, { timeout: 20_000 }).toBe(1);
    storage.mend();
    await expect.poll(health, { timeout: 30_000 }).toBe('healthy');
    await expect
      .poll(() => log.lines().filter(({ message }) => message === 'the event log can be used again').length, { timeout: 20_000 })
      .toBe(1);
    expect((await publish('after')).status).toBe(201);
    expect(errors().map(({ message, context }) => [message, context['action']])).toEqual([
      ['the event log cannot be used', expect.stringMatching(action)],
    ]);
    const ofRevocations = log.lines('ERROR').filter(({ message }) => message === 'revocations cannot be read');
    expect(ofRevocations.length).toBeLessThanOrEqual(1);
    for (const { context } of ofRevocations) expect(context['action']).toMatch(/^look at PostgreSQL/);
    const warned = log.lines('WARN').filter(({ message }) => message.startsWith('refused'));
    expect(warned.map(({ request_id }) => request_id)).toEqual(refused);
    const end = log.lines().find(({ message }) => message === 'the event log can be used again');
    expect(end?.context).toEqual({ seconds: expect.any(Number), failed: expect.any(Number) });
    expect(end?.context['failed']).toBeGreaterThanOrEqual(refused.length);
  },
);

test('an outage that goes on is told again and again, with how often it was met', async () => {
  const log = capture();
  const failures = new Failures({ meter: noMeter, logger: log.logger });
  let isAway = true;
  const probe = async () => {
    if (isAway) throw new Error('away');
  };
  using outage = new LogOutage({ failures, logger: log.logger, probe, action: 'look', remindMs: 20 });
  for (let n = 0; n < 5; n += 1) outage.onError(new Error(`failed ${n}`), 'append');
  await expect.poll(() => log.lines('WARN').length).toBeGreaterThan(1);
  expect(log.lines('WARN')[0]).toMatchObject({ message: 'the event log still cannot be used', context: { failed: 5 } });
  expect(log.lines('ERROR')).toMatchObject([{ context: { operation: 'append', error: { message: 'failed 0' } } }]);
  isAway = false;
  await expect.poll(() => log.lines().at(-1)?.message, { timeout: 5000 }).toBe('the event log can be used again');
  // What fails of a log that works is told one by one.
  for (let n = 0; n < 2; n += 1) outage.onError(new Error(`failed ${n}`), 'read');
  await expect.poll(() => log.lines('ERROR').length, { timeout: 5000 }).toBe(3);
  expect(log.lines('ERROR').slice(1)).toMatchObject([
    { message: 'the event log failed', context: { operation: 'read', error: { message: 'failed 0' } } },
    { message: 'the event log failed', context: { operation: 'read', error: { message: 'failed 1' } } },
  ]);
});

test('what fails of a log that works is told one by one and then counted, and the log is tried once a second', async () => {
  const log = capture();
  const failures = new Failures({ meter: noMeter, logger: log.logger });
  const triedAt: number[] = [];
  const probe = async () => {
    triedAt.push(performance.now());
  };
  using outage = new LogOutage({ failures, logger: log.logger, probe, action: 'look' });
  for (let n = 0; n < 25; n += 1) outage.onError(new Error(`failed ${n}`), 'read');
  await expect.poll(() => log.lines('ERROR').length).toBe(21);
  expect(log.lines('ERROR').at(-1)).toMatchObject({ message: 'the event log failed more often', context: { failed: 5 } });
  for (let round = 0; round < 2; round += 1) {
    const tried = triedAt.length;
    while (triedAt.length === tried) {
      outage.onError(new Error('again'), 'read');
      await wait(10);
    }
  }
  expect(triedAt).toHaveLength(3);
  // A timer may be a millisecond early.
  for (const [index, at] of triedAt.slice(1).entries()) expect(at - (triedAt[index] as number)).toBeGreaterThan(990);
});

test('an outage lasts since its first failure, however late it is known to be one', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const log = capture();
  const failures = new Failures({ meter: noMeter, logger: log.logger });
  const tried = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let isAway = true;
  const probe = async () => {
    asked.resolve();
    await tried.promise;
    if (isAway) throw new Error('away');
  };
  using outage = new LogOutage({ failures, logger: log.logger, probe, action: 'look' });
  outage.onError(new Error('failed'), 'append');
  await asked.promise;
  vi.advanceTimersByTime(30_000);
  tried.resolve();
  await expect.poll(() => log.lines('ERROR').length).toBe(1);
  isAway = false;
  await expect
    .poll(() => log.lines().at(-1), { timeout: 5000 })
    .toMatchObject({
      message: 'the event log can be used again',
      context: { seconds: 30, failed: 1 },
    });
});

test('what fails before and after the end is told, though nobody knows any more what it was', () => {
  const log = capture();
  const failures = new Failures({ meter: noMeter, logger: log.logger });
  const outage = new LogOutage({ failures, logger: log.logger, probe: () => new Promise(() => undefined), action: 'look' });
  for (let n = 0; n < 22; n += 1) outage.onError(new Error(`failed ${n}`), 'append');
  outage[Symbol.dispose]();
  outage.onError(new Error('at the end'), 'append');
  log.logger.flush();
  expect(log.lines('ERROR').map(({ message, context }) => [message, context['failed']])).toEqual([
    ...Array(20).fill(['the event log failed', undefined]),
    ['the event log failed more often', 2],
    ['the event log failed', undefined],
  ]);
});

test('an outage that is not over at the end is told with all that it met, and does not begin again', async () => {
  const log = capture();
  const outage = new Outage({ logger: log.logger, goesOn: 'goes on', over: 'over', remindMs: 1 });
  expect([outage.meet(), outage.meet(2)]).toEqual([true, false]);
  outage[Symbol.dispose]();
  const told = log.lines();
  expect(told.at(-1)).toMatchObject({ level: 'WARN', message: 'goes on', context: { failed: 3 } });
  expect([outage.meet(), outage.meet(), outage.isOn]).toEqual([true, true, false]);
  outage.end();
  await wait(20);
  expect(log.lines()).toEqual(told);
});

test('a full file is no problem any more once there is room, though nobody has published', async () => {
  using folder = temporaryFolder();
  await using log: EventLog = await openSqliteLog({ path: folder.file('courier.db'), maxBytes: 1024 * 1024 });
  const fill = () => log.append([newEvent('global', { size: 20_000 })]);
  while (await fill().then(Boolean, () => false));
  expect(log.problem).toBe('the disk is full');
  await expect(log.probe()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  const { head } = await log.bounds();
  while (await log.trim(Number.NEGATIVE_INFINITY, 20)) await wait(0);
  await log.probe();
  expect([log.problem, (await log.bounds()).head]).toEqual([undefined, head]);
  await fill();
});
