/** The SQLite log: the guarantees of every log, and what is its own: the file. */
import {
  closeSync,
  copyFileSync,
  createWriteStream,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChannelSet } from '../../src/contract/channels.ts';
import type { LogStart } from '../../src/log/log.ts';
import { readStatement } from '../../src/log/sqlite/store.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { filled } from '../contracts/event-log/logs.ts';
import { describeEventLog } from '../contracts/event-log.ts';
import { newEvent, newEvents } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { channelSetOf, EVERYTHING } from '../helpers/lumiere.ts';
import { filledFile } from './sqlite/filled-file.ts';

describeEventLog('SQLite log', {
  durable: true,
  runs: 40,
  factory: () => {
    const folder = temporaryFolder();
    return {
      open: (options) => openSqliteLog({ path: folder.file('log.db'), ...options }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  },
  failing: async () => {
    const folder = temporaryFolder();
    const failing = await filled(await openSqliteLog({ path: folder.file('log.db'), maxBytes: 1024 * 1024 }));
    return {
      ...failing,
      [Symbol.asyncDispose]: async () => {
        await failing[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    };
  },
});

/** All that a file says of its events, however they are asked for. */
async function everything(path: string): Promise<{ first: string; bounds: object; events: readonly unknown[] }> {
  await using log = await openSqliteLog({ path });
  const read = (start: LogStart, channels: ChannelSet) => log.read({ ...start, channels, limit: 1000 }, new AbortController().signal);
  const both = (channels: ChannelSet) => [read({ afterSeq: 0 }, channels), read({ beforeSeq: 1000 }, channels)];
  const pages = await Promise.all([EVERYTHING, channelSetOf(['backtest.*']), channelSetOf(['backtest.b1'])].flatMap(both));
  return { first: log.positions.at(1), bounds: await log.bounds(), events: pages.map(({ events }) => events) };
}

describe('the file', () => {
  test('is refused while it is in use', async () => {
    using folder = temporaryFolder();
    await using _first = await openSqliteLog({ path: folder.file('log.db') });
    await expect(openSqliteLog({ path: folder.file('log.db') })).rejects.toThrow(
      /log\.db cannot be opened: another process is using it, most likely a gateway that runs already: end that, or name another file$/,
    );
  });

  test('is made with its folder when there is none', async () => {
    using folder = temporaryFolder();
    await using log = await openSqliteLog({ path: folder.file('a/b/log.db') });
    expect(await log.bounds()).toEqual({ first: 1, head: 0 });
  });

  test('is refused when it is no SQLite file', async () => {
    using folder = temporaryFolder();
    writeFileSync(folder.file('log.db'), 'This is not a database, whatever its name says. '.repeat(100));
    await expect(openSqliteLog({ path: folder.file('log.db') })).rejects.toThrow(/it is not an SQLite file/);
  });

  test('is refused when it belongs to something else', async () => {
    using folder = temporaryFolder();
    const db = new DatabaseSync(folder.file('log.db'));
    db.exec('CREATE TABLE other (x)');
    db.close();
    await expect(openSqliteLog({ path: folder.file('log.db') })).rejects.toThrow(/not an event log of Courier/);
  });

  test('is refused when a newer Courier made it', async () => {
    using folder = temporaryFolder();
    await filledFile(folder.file('log.db'), 1);
    const db = new DatabaseSync(folder.file('log.db'));
    db.exec('PRAGMA user_version = 99');
    db.close();
    await expect(openSqliteLog({ path: folder.file('log.db') })).rejects.toThrow(/version 99.*use a newer Courier/);
  });

  test('is refused when it was cut off', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path);
    truncateSync(path, Math.floor(readFileSync(path).length / 2 / 4096) * 4096);
    await expect(openSqliteLog({ path })).rejects.toThrow(/it is damaged/);
  });

  test('is refused when its pages are damaged', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path);
    const file = openSync(path, 'r+');
    // The head of a page in the middle: a page's first byte tells what kind of page it is.
    writeSync(file, Buffer.alloc(64, 0xff), 0, 64, 20 * 4096);
    closeSync(file);
    await expect(openSqliteLog({ path })).rejects.toThrow(/it is damaged/);
  });

  test('with any one bit changed is refused, or the change is reported, or every event is as it was', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path, 40);
    const intact = readFileSync(path);
    const expected = await everything(path);
    const outcomes = new Set<string>();
    const attempt = async (byte: number, bit: number): Promise<void> => {
      const bytes = Buffer.from(intact);
      bytes[byte] = (bytes[byte] as number) ^ (1 << bit);
      writeFileSync(path, bytes);
      rmSync(`${path}-wal`, { force: true });
      const outcome = await everything(path).catch((error: Error) => error.message);
      if (typeof outcome !== 'string') expect(outcome.events).toEqual(expected.events);
      else expect(outcome).toMatch(/cannot be opened|is damaged/);
      outcomes.add(typeof outcome === 'string' ? 'seen' : 'harmless');
    };
    const anyByte = fc.nat(intact.length - 1);
    // Half of them in the text of an event, which SQLite itself does not check.
    const inBody = fc.integer({ min: 1, max: 200 }).map((offset) => intact.lastIndexOf('"data":{"text":"') + offset);
    await fc.assert(fc.asyncProperty(fc.oneof(anyByte, inBody), fc.nat(7), attempt), { numRuns: 60 });
    expect(outcomes).toContain('seen');
  });

  test('of an earlier version is brought to this one, with its events', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path, 20);
    const expected = await everything(path);
    const db = new DatabaseSync(path);
    db.exec(`DROP TABLE state;
      DROP TABLE state_build;
      DROP TABLE state_removal;
      DROP INDEX event_by_work;
      DROP INDEX event_by_cause;
      ALTER TABLE event DROP COLUMN work;
      ALTER TABLE event DROP COLUMN cause_seq;
      ALTER TABLE event DROP COLUMN version;
      DROP TABLE family;
      ALTER TABLE event DROP COLUMN checksum;
      ALTER TABLE log ADD COLUMN epoch TEXT NOT NULL DEFAULT '';
      UPDATE log SET epoch = (SELECT name FROM epoch WHERE first = 1 ORDER BY rowid DESC LIMIT 1);
      DROP TABLE epoch;
      ALTER TABLE log DROP COLUMN believed_ms;
      PRAGMA user_version = 1`);
    db.close();
    expect(await everything(path)).toEqual(expected);
  });

  test('when it is full, appends are refused, earlier ones stay, and it goes on when there is room', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    let acknowledged = 0;
    {
      await using log = await openSqliteLog({ path, maxBytes: 320 * 1024 });
      const fill = async () => {
        for (;;) acknowledged += (await log.append([newEvent('global', { size: 5000 })])).length;
      };
      await expect(fill()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('full') });
      expect(acknowledged).toBeGreaterThan(10);
      expect(await log.bounds()).toEqual({ first: 1, head: acknowledged });
      // The first of these would still fit: all or none, and no number is lost with them.
      const tooMany = newEvents(20, 'global', { size: 1000 });
      await expect(log.append(tooMany)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
      expect(await log.bounds()).toEqual({ first: 1, head: acknowledged });
      await log.trim(-1000, 20);
      expect(await log.append([newEvent('global', { size: 5000 })])).toMatchObject([{ event: { seq: acknowledged + 1 } }]);
    }
    await using log = await openSqliteLog({ path });
    const page = await log.read({ afterSeq: 0, channels: EVERYTHING, limit: 1000 }, new AbortController().signal);
    expect(page).toMatchObject({ first: 21, head: acknowledged + 1 });
  });

  test('too much in flight is refused, and what was in flight is stored', async () => {
    using folder = temporaryFolder();
    await using log = await openSqliteLog({ path: folder.file('log.db'), maxInFlightBytes: 10_000 });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => log.append([newEvent('global', { size: 1000 })])));
    const stored = results.filter(({ status }) => status === 'fulfilled').length;
    expect(stored).toBeGreaterThan(0);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'SERVICE_UNAVAILABLE' } });
    expect(await log.bounds()).toEqual({ first: 1, head: stored });
  });
});

test.each([{ afterSeq: 0 }, { beforeSeq: 2 }])(
  'a read of families and channels walks index ranges and sorts nothing: %o',
  async (start) => {
    using folder = temporaryFolder();
    await filledFile(folder.file('log.db'), 1);
    const db = new DatabaseSync(folder.file('log.db'));
    const { sql } = readStatement(
      { start, channels: channelSetOf(['user.*', 'strategy.*', 'global', 'backtest.b1', 'forge.job.j1']) },
      (family) => ['user', 'strategy'].indexOf(family),
    );
    const plan = db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map((row) => String(row['detail']));
    db.close();
    expect(plan.filter((step) => step.startsWith('SEARCH event USING INDEX event_by_family'))).toHaveLength(2);
    expect(plan.filter((step) => step.startsWith('SEARCH event USING INDEX event_by_channel'))).toHaveLength(3);
    expect(plan.filter((step) => /SCAN|TEMP B-TREE/.test(step))).toEqual([]);
  },
);

test('what retention has removed is given back to the disk, but for a part that events to come will need', {
  timeout: 30_000,
}, async () => {
  using folder = temporaryFolder();
  const path = folder.file('log.db');
  let now = 0;
  await using log = await openSqliteLog({ path, now: () => now });
  const body = JSON.stringify({ channel: 'global', type: 'a', data: 'x'.repeat(100_000) });
  for (let n = 0; n < 40; n += 1) await log.append(Array.from({ length: 25 }, () => ({ ...newEvent('global'), body })));
  now = 1000;
  await log.append([newEvent('global')]);
  expect(await log.bytes()).toBeGreaterThan(90e6);
  while (await log.trim(500, 500));
  await log[Symbol.asyncDispose]();
  expect(statSync(path).size).toBeLessThan(70e6);
  await using again = await openSqliteLog({ path, now: () => now });
  const page = await again.read({ afterSeq: 0, channels: EVERYTHING, limit: 10 }, new AbortController().signal);
  expect(page.events.map(({ seq }) => seq)).toEqual([1001]);
});

describe("another log's write-ahead log beside it", () => {
  test.each<[string, (path: string, copy: string) => void]>([
    ['a backup that was put in place', (path, copy) => copyFileSync(copy, path)],
    ['an empty file', (path) => writeFileSync(path, '')],
    ['no file', (path) => rmSync(path)],
  ])('%s is refused, and left as it is', async (_name, put) => {
    using folder = temporaryFolder();
    const [path, copy] = [folder.file('log.db'), folder.file('copy.db')];
    {
      await using log = await openSqliteLog({ path });
      await log.append([newEvent('global')]);
      await using made = await log.copy(new AbortController().signal);
      await pipeline(made.read(), createWriteStream(copy));
      await log.append(newEvents(100, 'global', { size: 1000 }));
      copyFileSync(`${path}-wal`, folder.file('wal'));
    }
    put(path, copy);
    copyFileSync(folder.file('wal'), `${path}-wal`);
    const before = existsSync(path) ? readFileSync(path) : undefined;
    await expect(openSqliteLog({ path })).rejects.toThrow(
      /cannot be opened: beside it lies a write-ahead log \(-wal\) of another file.*: where this one was restored, remove the other$/,
    );
    expect(existsSync(path) ? readFileSync(path) : undefined).toEqual(before);
    expect(readFileSync(`${path}-wal`)).toEqual(readFileSync(folder.file('wal')));
    rmSync(`${path}-wal`);
    await using log = await openSqliteLog({ path });
    expect((await log.bounds()).head).toBe(before === undefined || before.length === 0 ? 0 : 1);
  });
});
