/** The file of an open log that is deleted, moved, replaced, cut off or written to: nothing is acknowledged that would be lost. */
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { EventLog } from '../../../src/log/log.ts';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { newEvent } from '../../helpers/events.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { filledFile } from './filled-file.ts';

describe('a file that is no longer the one of its name', () => {
  const refusal = (words: string) => ({ code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining(words) });
  const refused = refusal('its file was deleted, moved or replaced');
  /** Appends until it is refused; resolves to how many were stored. */
  async function storedUntilRefused(log: EventLog, how = refused): Promise<number> {
    for (let stored = 0; ; stored += 1) {
      const error: unknown = await log.append([newEvent('global')]).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) continue;
      expect(error).toMatchObject(how);
      return stored;
    }
  }

  test.each<[string, (folder: string, path: string) => void]>([
    ['its folder was deleted', (folder) => rmSync(folder, { recursive: true })],
    ['it was deleted', (_folder, path) => rmSync(path)],
    ['its write-ahead log was deleted', (_folder, path) => rmSync(`${path}-wal`)],
    [
      'another is in its place',
      (_folder, path) => {
        writeFileSync(`${path}.other`, readFileSync(path));
        renameSync(`${path}.other`, path);
      },
    ],
  ])('%s: nothing more is acknowledged, and health hears of it', { timeout: 20_000 }, async (_name, breakIt) => {
    using folder = temporaryFolder();
    const inner = folder.file('inner');
    mkdirSync(inner);
    await using log = await openSqliteLog({ path: `${inner}/log.db` });
    await log.append([newEvent('global')]);
    breakIt(inner, `${inner}/log.db`);
    await storedUntilRefused(log);
    await expect(log.bounds()).rejects.toMatchObject(refused);
  });

  test.each<[string, (path: string) => void]>([
    ['it was cut off', (path) => truncateSync(path, statSync(path).size / 2)],
    ['another was written into it', (path) => copyFileSync(`${path}.other`, path)],
  ])('%s: nothing more is acknowledged, for good', { timeout: 20_000 }, async (_name, spoil) => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path, 100);
    await filledFile(`${path}.other`, 500);
    const whole = readFileSync(path);
    await using log = await openSqliteLog({ path });
    await log.append([newEvent('global')]);
    spoil(path);
    const spoilt = refusal('its file was overwritten or cut off: end the gateway and start it again first; restore a copy if');
    await storedUntilRefused(log, spoilt);
    writeFileSync(path, whole);
    await expect(log.bounds()).rejects.toMatchObject(spoilt);
    await expect(log.append([newEvent('global')])).rejects.toMatchObject(spoilt);
  });

  test('it was touched: nothing happens', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path, 1);
    await using log = await openSqliteLog({ path });
    for (let n = 1; n <= 20; n += 1) {
      utimesSync(path, n, n);
      expect(await log.append([newEvent('global')])).toMatchObject([{ event: { seq: n + 1 } }]);
    }
  });

  test('a folder that was moved, and moved back, has lost nothing', { timeout: 20_000 }, async () => {
    using folder = temporaryFolder();
    const [inner, away] = [folder.file('inner'), folder.file('away')];
    mkdirSync(inner);
    const path = `${inner}/log.db`;
    let stored = 1;
    {
      await using log = await openSqliteLog({ path });
      await log.append([newEvent('global')]);
      renameSync(inner, away);
      stored += await storedUntilRefused(log);
      renameSync(away, inner);
      await expect.poll(() => log.append([newEvent('global')]).catch(() => 'refused'), { timeout: 5000 }).not.toBe('refused');
      stored += 1;
      expect(await log.bounds()).toEqual({ first: 1, head: stored });
    }
    await using again = await openSqliteLog({ path });
    expect(await again.bounds()).toEqual({ first: 1, head: stored });
  });
});
