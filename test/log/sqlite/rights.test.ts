/** The rights on the files of a log. */
import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { openSqliteLog } from '../../../src/log/sqlite.ts';
import { newEvent } from '../../helpers/events.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { filledFile } from './filled-file.ts';

describe('the rights on the file', () => {
  const rights = (path: string) => (statSync(path).mode & 0o777).toString(8);
  const SUFFIXES = ['', '-wal', '-shm'];

  /** The rights on every file of an open log that has been written to. */
  async function rightsWhileOpen(path: string): Promise<Record<string, string>> {
    await using log = await openSqliteLog({ path });
    await log.append([newEvent('global')]);
    return Object.fromEntries(SUFFIXES.filter((suffix) => existsSync(path + suffix)).map((suffix) => [suffix, rights(path + suffix)]));
  }

  test('are for its owner only, whatever the umask', async () => {
    for (const umask of [0, 0o022, 0o377]) {
      using folder = temporaryFolder();
      const path = folder.file('log.db');
      const before = process.umask(umask);
      try {
        expect(await rightsWhileOpen(path)).toEqual({ '': '600', '-wal': '600' });
      } finally {
        process.umask(before);
      }
      expect(rights(path)).toBe('600');
    }
  });

  test('are narrowed when a log has wider ones, with what lies beside it', async () => {
    using folder = temporaryFolder();
    const path = folder.file('log.db');
    await filledFile(path, 1);
    for (const suffix of ['-wal', '-shm']) writeFileSync(path + suffix, '');
    for (const suffix of SUFFIXES) chmodSync(path + suffix, 0o664);
    const open = await rightsWhileOpen(path);
    expect(open).toMatchObject({ '': '600', '-wal': '600' });
    expect(Object.values(open)).not.toContain('664');
    expect(rights(path)).toBe('600');
  });

  test('stay as they are on a file that is no log of ours', async () => {
    using folder = temporaryFolder();
    const path = folder.file('other.db');
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE other (x)');
    db.close();
    chmodSync(path, 0o664);
    await expect(openSqliteLog({ path })).rejects.toThrow(/not an event log of Courier/);
    expect(rights(path)).toBe('664');
  });
});
