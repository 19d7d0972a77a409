/** Copies of a log in SQLite: of one moment, whole, and gone when they have been read. */
import { closeSync, createWriteStream, existsSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import type { EventLog, LogCopy, StoredEvent } from '../../../src/log/log.ts';
import { openMemoryLog } from '../../../src/log/memory.ts';
import { copyDatabase } from '../../../src/log/sqlite/copy.ts';
import { inspectLogFile } from '../../../src/log/sqlite/schema.ts';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { newEvent, newEvents } from '../../helpers/events.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { EVERYTHING } from '../../helpers/lumiere.ts';

const never = new AbortController().signal;
/** Enough that a copy takes many steps. */
const EVENTS = 4000;

async function filledLog(path: string): Promise<EventLog> {
  const log = await openSqliteLog({ path });
  await log.append(Array.from({ length: EVENTS }, (_, n) => newEvent(`backtest.b${n % 7}`, { size: 500, key: `k${n}` })));
  return log;
}

const save = (copy: LogCopy, path: string) => pipeline(copy.read(), createWriteStream(path));

async function everything(log: EventLog): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (;;) {
    const page = await log.read(
      { afterSeq: events.at(-1)?.seq ?? (await log.bounds()).first - 1, channels: EVERYTHING, limit: 1000 },
      never,
    );
    events.push(...page.events);
    if (page.endSeq === page.head) return events;
  }
}

test('what is acknowledged before it is in it, and of what comes meanwhile a beginning, with its keys', async () => {
  using folder = temporaryFolder();
  await using log = await filledLog(folder.file('log.db'));
  let copied = false;
  let during = 0;
  const publishing = Promise.all(
    Array.from({ length: 8 }, async (_, publisher) => {
      for (let n = 0; !copied; n += 1) {
        await log.append([newEvent('global', { size: 200, key: `during${publisher}.${n}` })]);
        if (!copied) during += 1;
      }
    }),
  );
  {
    await using copy = await log.copy(never);
    copied = true;
    await save(copy, folder.file('copy.db'));
    expect(copy.bytes).toBe(statSync(folder.file('copy.db')).size);
  }
  await publishing;
  expect(during).toBeGreaterThan(8);
  const found = inspectLogFile(folder.file('copy.db'));
  expect(found).toMatchObject({ first: log.positions.at(1), last: log.positions.at(found.events) });
  expect(found.events).toBeGreaterThan(EVENTS);
  await using restored = await openSqliteLog({ path: folder.file('copy.db') });
  const events = await everything(restored);
  expect(events).toEqual((await everything(log)).slice(0, events.length));
  expect(events).toHaveLength(found.events);
  // Keys belong to the same moment: what is in the copy is known there, and what came after it is not.
  const keyed = (key: string) => restored.append([newEvent('global', { key })]);
  expect(await keyed('k17')).toMatchObject([{ duplicate: true, event: { seq: 18 } }]);
  const own = new Set((await everything(log)).slice(events.length).map(({ seq }) => seq));
  expect(own.size).toBeGreaterThan(0);
  expect(await restored.append([newEvent('global')])).toMatchObject([{ event: { seq: events.length + 1 } }]);
});

test('it ends, however fast the log grows meanwhile', async () => {
  using folder = temporaryFolder();
  await using log = await filledLog(folder.file('log.db'));
  let copied = false;
  const batch = newEvents(500, 'global', { size: 1000 });
  const publishing = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!copied) await log.append(batch);
    }),
  );
  await using copy = await log.copy(never).finally(() => {
    copied = true;
  });
  await publishing;
  await save(copy, folder.file('copy.db'));
  expect(inspectLogFile(folder.file('copy.db')).events).toBeGreaterThanOrEqual(EVENTS);
});

test('events may be removed meanwhile', async () => {
  using folder = temporaryFolder();
  await using log = await filledLog(folder.file('log.db'));
  const copying = log.copy(never);
  let trims = 0;
  while (await log.trim(-60_000, 100)) trims += 1;
  expect(trims).toBeGreaterThan(10);
  await using copy = await copying;
  await save(copy, folder.file('copy.db'));
  const { events, first, last } = inspectLogFile(folder.file('copy.db'));
  if (events > 0) expect([first, last]).toEqual([log.positions.at(EVENTS - events + 1), log.positions.at(EVENTS)]);
  await using restored = await openSqliteLog({ path: folder.file('copy.db') });
  expect(await restored.bounds()).toEqual({ first: EVENTS - events + 1, head: EVENTS });
});

describe('nothing is left', () => {
  test('once it has been disposed of; until then there is no other', async () => {
    using folder = temporaryFolder();
    await using log = await filledLog(folder.file('log.db'));
    const files = () => readdirSync(folder.path).sort();
    const before = files();
    const refused = { code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('another copy of it is being made or read') };
    {
      const making = log.copy(never);
      await expect(log.copy(never)).rejects.toMatchObject(refused);
      await using _copy = await making;
      // The system has it, and nobody else.
      expect(files()).toEqual(before);
      await expect(log.copy(never)).rejects.toMatchObject(refused);
    }
    await using _next = await log.copy(never);
  });

  test('of one that was given up, and another can be made', async () => {
    using folder = temporaryFolder();
    await using log = await filledLog(folder.file('log.db'));
    const before = readdirSync(folder.path).sort();
    const givenUp = new AbortController();
    const copying = log.copy(givenUp.signal);
    givenUp.abort(new Error('given up'));
    await expect(copying).rejects.toThrow('given up');
    await expect(log.copy(givenUp.signal)).rejects.toThrow('given up');
    expect(readdirSync(folder.path).sort()).toEqual(before);
    await using _copy = await log.copy(never);
    expect(await log.append([newEvent('global')])).toMatchObject([{ event: { seq: EVENTS + 1 } }]);
  });

  test('when the log is closed meanwhile', async () => {
    using folder = temporaryFolder();
    const log = await filledLog(folder.file('log.db'));
    for (let n = 0; n < 5; n += 1) await log.append(newEvents(EVENTS, 'global', { size: 500 }));
    let ended: unknown;
    const copying = log.copy(never).then(
      () => {
        ended = 'made';
      },
      (error: unknown) => {
        ended = error;
      },
    );
    while (ended === undefined && !existsSync(folder.file('log.db-copying'))) await log.bounds();
    await log[Symbol.asyncDispose]();
    await copying;
    expect(ended).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(readdirSync(folder.path)).toEqual(['log.db']);
  });

  test('of a process that was killed, once the log is opened again', async () => {
    using folder = temporaryFolder();
    await (await filledLog(folder.file('log.db')))[Symbol.asyncDispose]();
    for (const name of ['log.db-copying', 'log.db-copying-journal']) writeFileSync(folder.file(name), 'half');
    await using _log = await openSqliteLog({ path: folder.file('log.db') });
    expect(readdirSync(folder.path).sort()).toEqual(['log.db', 'log.db-wal']);
  });

  test('where no file can be made', async () => {
    using folder = temporaryFolder();
    const failures: string[] = [];
    await using log = await openSqliteLog({ path: folder.file('inner/log.db'), onError: (_error, operation) => failures.push(operation) });
    rmSync(folder.file('inner'), { recursive: true });
    await expect(log.copy(never)).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
      message: expect.stringContaining('the folder of its file is gone'),
    });
    expect(failures).toEqual([]);
  });
});

test('a log whose file was deleted under it can be saved', async () => {
  using folder = temporaryFolder();
  await using log = await filledLog(folder.file('log.db'));
  rmSync(folder.file('log.db'));
  await using copy = await log.copy(never);
  await save(copy, folder.file('saved.db'));
  expect(inspectLogFile(folder.file('saved.db'))).toMatchObject({ events: EVENTS });
});

test('only its owner may read it while it is made, whatever the umask', async () => {
  using folder = temporaryFolder();
  await (await filledLog(folder.file('log.db')))[Symbol.asyncDispose]();
  const db = new DatabaseSync(folder.file('log.db'));
  const seen = new Set<number>();
  const before = process.umask(0);
  try {
    const onStep = () => seen.add(statSync(folder.file('copy.db')).mode & 0o777);
    await copyDatabase(db, folder.file('copy.db'), { signal: never, onStep });
  } finally {
    process.umask(before);
    db.close();
  }
  expect([...seen]).toEqual([0o600]);
});

test('logs that are no file say what to do instead', async () => {
  await using memory = openMemoryLog();
  await expect(memory.copy(never)).rejects.toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining('sqlite:PATH') });
});

describe('a file is looked through to each event', () => {
  const damage = async (how: (db: DatabaseSync) => void) => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await (await filledLog(path))[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    how(db);
    db.close();
    return inspectLogFile(path);
  };

  test.each<[RegExp, string]>([
    [/event 17 is missing/, 'DELETE FROM event WHERE seq = 17'],
    [/event 17 is not what was stored/, "UPDATE event SET body = replace(body, 'é', 'e') WHERE seq = 17"],
    [/version 99/, 'PRAGMA user_version = 99'],
    [/version 1: use the Courier that wrote it/, 'PRAGMA user_version = 1'],
    [/not an event log of Courier/, 'PRAGMA application_id = 1'],
  ])('%s', async (message, statement) => {
    await expect(damage((db) => db.exec(statement))).rejects.toThrow(message);
  });

  test('and to each page', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await (await filledLog(path))[Symbol.asyncDispose]();
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(64, 0xff), 0, 64, 20 * 4096);
    closeSync(file);
    expect(() => inspectLogFile(path)).toThrow(/it is damaged: /);
  });

  test('and stays as it is, with nothing beside it', async () => {
    using folder = temporaryFolder();
    const path = folder.file('a log?.db');
    await (await filledLog(path))[Symbol.asyncDispose]();
    const { mtimeMs } = statSync(path);
    expect(inspectLogFile(path)).toMatchObject({ events: EVENTS, schemaVersion: 6 });
    expect(readdirSync(folder.path)).toEqual(['a log?.db']);
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
  });
});
