/** A state that is not what was stored is not served, and made anew. */
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../../src/observe/logger.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { Books, mixed, moved, opened, soon, startBank, stateOf, trim, watch } from './books.ts';

describe.each([
  ['its state', `UPDATE state SET body = replace(body, '"total":7', '"total":8') WHERE key = 'hurt'`],
  ['whether it goes on', `UPDATE state SET condition = 1 WHERE key = 'hurt'`],
])('where %s was damaged', (_, damage) => {
  test('it is reported, and not served, until a rebuild has mended it', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
    const books = new Books();
    {
      await using bank = await startBank({ env });
      await books.publish(bank, [...mixed(100), opened('hurt'), moved('hurt', 7), ...mixed(100, { from: 100 })]);
      expect((await stateOf(bank)).items).toEqual(books.states());
    }
    {
      using file = new DatabaseSync(folder.file('log.db'));
      expect(file.prepare(damage).run().changes).toBe(1);
    }
    const lines: string[] = [];
    const logger = createLogger(
      { logLevel: 'warn', logFormat: 'json' },
      { destination: { write: (line: string) => void lines.push(line) } as never },
    );
    await using bank = await startBank({ env, logger });
    // What is read of others is as it was.
    expect((await stateOf(bank, { query: '&entity=owner' })).items).toEqual(books.states().filter(({ entity }) => entity === 'owner'));
    await expect(stateOf(bank)).rejects.toMatchObject({ status: 503, message: expect.stringContaining('damaged') });
    await soon(() => lines.some((line) => line.includes('the file is damaged')), true);
    await using view = await watch(bank);
    // Publishing waits for nothing.
    await books.publish(bank, [moved('hurt', 5), opened('other')]);
    expect(view.snapshots).toBe(0);
    await bank.pipeline.states.rebuild('account');
    await view.has(books.states());
    expect((await stateOf(bank)).items).toEqual(books.states());
    await books.publish(bank, [moved('hurt', 1)]);
    await view.has(books.states());
  });
});

test('what a rebuild cannot take over is told and lost, and the rest is kept', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  {
    await using bank = await startBank({ env });
    await books.publish(bank, [...mixed(700, { accounts: 600 }), opened('hurt'), moved('hurt', 7)]);
    await trim(bank);
  }
  {
    using file = new DatabaseSync(folder.file('log.db'));
    expect(file.prepare(`UPDATE state SET body = replace(body, '"total":7', '"total":8') WHERE key = 'hurt'`).run().changes).toBe(1);
  }
  const lines: string[] = [];
  const logger = createLogger(
    { logLevel: 'warn', logFormat: 'json' },
    { destination: { write: (line: string) => void lines.push(line) } as never },
  );
  await using bank = await startBank({ env, logger });
  await bank.pipeline.states.rebuild('account');
  await using view = await watch(bank);
  await view.has(books.states().filter(({ entity, key }) => entity !== 'account' || key !== 'hurt'));
  expect(lines.filter((line) => line.includes('a stored state is lost'))).toHaveLength(1);
});
