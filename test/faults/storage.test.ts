/** What the log stands on gives way: the disk, the file, the clock. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { copyDatabase } from '../../src/log/sqlite/copy.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { EXACT, type Item, Ledger, LONG, report, seqOf } from './ledger.ts';
import { startLoad, storedEvents, watch } from './load.ts';

const HOUR_MS = 3_600_000;
const DAY_SECONDS = 86_400;

/** A file system of its own, of `megabytes`; undefined where mounting is not allowed. */
function smallDisk(megabytes: number): (Disposable & { readonly path: string }) | undefined {
  const folder = temporaryFolder();
  const path = folder.file('disk');
  mkdirSync(path);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]).status === 0;
  if (!mounted) {
    folder[Symbol.dispose]();
    return undefined;
  }
  return {
    path,
    [Symbol.dispose]: () => {
      spawnSync('umount', [path]);
      folder[Symbol.dispose]();
    },
  };
}

const publishPlainly = (url: string, token: string, text: string, characters: number) =>
  fetch(`${url}/publish/forge.job.j`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': text },
    body: JSON.stringify({ type: 'forge.job.progress', data: { job_id: 'j', progress: 0.5, step: text, message: 'x'.repeat(characters) } }),
  });

const canMount = ((disk) => {
  disk?.[Symbol.dispose]();
  return disk !== undefined;
})(smallDisk(1));

// Needs the right to mount; a log that may not grow is tested with the SQLite log itself, everywhere.
if (canMount) {
  test('the disk is full, and has room again', { timeout: 120_000 }, async ({ task }) => {
    using disk = smallDisk(8);
    const ballast = `${disk?.path}/ballast`;
    writeFileSync(ballast, Buffer.alloc(4e6));
    await using gateway = await startProcess({ COURIER_LOG: `sqlite:${disk?.path}/courier.db` });
    const token = await processToken('forge', 'service');
    const ledger = new Ledger();
    await using subscriber = watch(gateway.url, token);
    const publish = async (text: string) => {
      const response = await publishPlainly(gateway.url, token, text, 1000);
      const answer = (await response.json()) as { id: string; code?: string; detail?: string };
      if (response.status === 201) ledger.acknowledge(answer.id, text);
      return { status: response.status, retryAfter: response.headers.get('retry-after'), code: answer.code, detail: answer.detail };
    };
    let refusal = await publish('0');
    for (let n = 1; refusal.status === 201; n += 1) refusal = await publish(String(n));
    expect(refusal).toEqual({ status: 503, code: 'SERVICE_UNAVAILABLE', retryAfter: '1', detail: expect.stringContaining('full') });
    const before = ledger.size;
    // Reading goes on meanwhile.
    expect(await storedEvents(gateway.url, token)).toHaveLength(before);
    rmSync(ballast);
    for (let n = 0; n < 100; n += 1) expect(await publish(`after.${n}`)).toMatchObject({ status: 201 });
    const stored = await storedEvents(gateway.url, token);
    await subscriber.reaches(stored.at(-1)?.id ?? '');
    const figures = ledger.compare(stored, subscriber.items);
    report(task, 13, 'the disk is full, and has room again', { ...figures, 'before it was full': before });
    expect(figures).toMatchObject({ ...EXACT, unknown: 0, stored: before + 100 });
  });
}

if (canMount) {
  test('the disk is nearly full: the health says so, with what is left', { timeout: 60_000 }, async () => {
    using disk = smallDisk(20);
    await using gateway = await startProcess({ COURIER_LOG: `sqlite:${disk?.path}/courier.db` });
    const eventLog = async () =>
      ((await (await fetch(`${gateway.url}/health`)).json()) as { components: { event_log: object } }).components.event_log;
    expect(await eventLog()).toMatchObject({ status: 'healthy', free_bytes: expect.any(Number) });
    const { free_bytes: free } = (await eventLog()) as { free_bytes: number };
    writeFileSync(`${disk?.path}/ballast`, Buffer.alloc(free - 500_000));
    await expect.poll(eventLog).toMatchObject({
      status: 'degraded',
      action: expect.stringMatching(/^its disk has 0 MiB left, and publishes are refused when it is full: make room/),
    });
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).toMatch(/^courier_log_free_bytes \d{6}$/m);
    rmSync(`${disk?.path}/ballast`);
    await expect.poll(eventLog).toMatchObject({ status: 'healthy' });
  });

  test('a file system that is read-only is called that', { timeout: 60_000 }, async () => {
    using disk = smallDisk(8);
    const env = { COURIER_LOG: `sqlite:${disk?.path}/courier.db` };
    await (await startProcess(env)).end('SIGTERM');
    expect(spawnSync('mount', ['-o', 'remount,ro', disk?.path ?? '']).status).toBe(0);
    await expect(startProcess(env)).rejects.toThrow(
      /ended with 1: courier: cannot start: COURIER_LOG: the event log .* cannot be opened: the file system is read-only/,
    );
  });

  test('there is no room for a backup, on either side', { timeout: 120_000 }, async ({ task }) => {
    using folder = temporaryFolder();
    using disk = smallDisk(40);
    using other = smallDisk(2);
    const [log, target] = [`${disk?.path}/courier.db`, `${other?.path}/backup.db`];
    await using gateway = await startProcess({ COURIER_LOG: `sqlite:${log}` });
    const token = await processToken('forge', 'service');
    const ledger = new Ledger();
    await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 4, batch: 20, padding: 500 });
    await load.more(4000);
    const env = { COURIER_URL: gateway.url, COURIER_TOKEN: await processToken('root', 'admin') };
    const refusal = async (path: string) => {
      await using cli = runCli(['backup', path], env);
      expect([await cli.exit, cli.stdout]).toEqual([1, []]);
      return cli.stderr.join();
    };
    // What is published meanwhile needs room too, so a copy leaves 64 MiB.
    const noRoom = /^courier: the event log cannot serve this now: a copy needs \d+ MiB beside its file, and the disk has \d+ MiB left$/;
    expect(await refusal(folder.file('backup.db'))).toMatch(noRoom);
    expect(spawnSync('mount', ['-o', 'remount,size=400m', disk?.path ?? '']).status).toBe(0);
    expect(await refusal(target)).toBe(`courier: ${target} cannot be made: the disk is full`);
    expect(spawnSync('mount', ['-o', 'remount,ro', other?.path ?? '']).status).toBe(0);
    expect(await refusal(target)).toMatch(/cannot be made: the folder \/.*\/disk may only be read$/);
    expect([folder.path, other?.path ?? ''].flatMap((path) => readdirSync(path))).toEqual([]);
    await load.more(100);
    await load.stop();
    expect(load.retries).toBe(0);
    await expect.poll(() => readdirSync(disk?.path ?? '').sort(), { timeout: 5000 }).toEqual(['courier.db', 'courier.db-wal']);
    const stored = await storedEvents(gateway.url, token);
    const figures = ledger.compare(stored, stored);
    report(task, 29, 'no room for a backup at the gateway, nor where it is to go', { stored: figures.stored, lost: figures.lost });
    expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
  });

  test('the disk is full when a copy is half-way', async () => {
    using folder = temporaryFolder();
    using disk = smallDisk(4);
    const db = new DatabaseSync(folder.file('source.db'));
    db.exec(
      'PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT randomblob(8000) FROM n',
    );
    const target = `${disk?.path}/copy.db`;
    let steps = 0;
    const onStep = () => {
      steps += 1;
      db.exec('INSERT INTO t VALUES (randomblob(8000))');
    };
    await expect(copyDatabase(db, target, { signal: new AbortController().signal, onStep })).rejects.toMatchObject({ errcode: 13 });
    expect(steps).toBeGreaterThan(1);
    expect(readdirSync(disk?.path ?? '')).toEqual([]);
    expect(db.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 2000 + steps });
    db.close();
  });
}

test('the log file is cut off, or a bit of it flips', { timeout: 120_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  const path = folder.file('courier.db');
  const env = { COURIER_LOG: `sqlite:${path}` };
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  {
    await using gateway = await startProcess(env);
    await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 4, batch: 20, padding: 500 });
    await load.more(1000);
    await load.stop();
    expect(await gateway.end('SIGTERM')).toBe(0);
  }
  const intact = readFileSync(path);
  const refusals: string[] = [];
  const refuse = async (bytes: Buffer) => {
    writeFileSync(path, bytes);
    const message = await startProcess(env).then(
      async (gateway) => {
        await gateway[Symbol.asyncDispose]();
        return 'started';
      },
      (error: Error) => error.message,
    );
    expect(message).toMatch(/ended with 1: .*damaged/);
    refusals.push(message);
  };
  for (const share of [0.9, 0.5, 0.1]) await refuse(intact.subarray(0, Math.floor((intact.length * share) / 4096) * 4096));
  const texts = [...intact.toString('latin1').matchAll(/"message":"x/g)].map(({ index }) => index + 12);
  for (const offset of [texts[10], texts[texts.length >> 1], texts.at(-10)] as number[]) {
    const flipped = Buffer.from(intact);
    flipped[offset] = (flipped[offset] as number) ^ 1;
    await refuse(flipped);
  }
  report(task, 14, 'the log file cut off three times, a bit flipped three times', { refused: `${refusals.length} of 6` });

  writeFileSync(path, intact);
  await using gateway = await startProcess(env);
  expect(await storedEvents(gateway.url, token)).toHaveLength(ledger.size);
});

test('the clock jumps an hour back and forth', { timeout: 120_000 }, async ({ task }) => {
  using folder = temporaryFolder();
  const clock = folder.file('clock');
  const setClock = (ms: number) => writeFileSync(clock, String(ms));
  setClock(0);
  const env = {
    COURIER_LOG: `sqlite:${folder.file('courier.db')}`,
    COURIER_TEST_CLOCK: clock,
    NODE_OPTIONS: `--import=${new URL('./clock.ts', import.meta.url)}`,
  };
  // Issued an hour ago: the gateway will think that it is then.
  vi.setSystemTime(Date.now() - HOUR_MS);
  const token = await processToken('forge', 'service', 30 * DAY_SECONDS);
  vi.useRealTimers();
  const ledger = new Ledger();
  const rounds = LONG ? 20 : 4;
  let jumps = 0;
  const received: Item[] = [];
  {
    await using gateway = await startProcess(env);
    await using subscriber = watch(gateway.url, token);
    await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 8 });
    for (let round = 0; round < rounds; round += 1) {
      for (const ms of [0, HOUR_MS, -HOUR_MS]) {
        setClock(ms);
        jumps += 1;
        await load.more(100);
      }
    }
    await load.stop();
    const stored = await storedEvents(gateway.url, token);
    await subscriber.reaches(stored.at(-1)?.id ?? '');
    const figures = ledger.compare(stored, subscriber.items);
    report(task, 18, `the clock jumps, ${jumps} times`, figures);
    expect(figures).toMatchObject({ ...EXACT, unknown: 0 });
    expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
    expect(subscriber.notices).toEqual(['courier.live']);
    received.push(...stored);
    expect(await gateway.end('SIGTERM')).toBe(0);
  }
  const startedAt = async (ms: number) => {
    setClock(ms);
    await using gateway = await startProcess(env);
    return await storedEvents(gateway.url, token);
  };
  // Seven days are kept by default. A clock that was set while nobody looked may be wrong: nothing is removed by it at once.
  for (const days of [7, 8, 20]) expect(await startedAt(days * 24 * HOUR_MS)).toEqual(received);
});
