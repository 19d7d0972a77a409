/** A state that is not what was stored is not served, and made anew. */
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../../src/observe/logger.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { away, Books, meddle, mixed, moved, opened, soon, startBank, stateOf, trim, watch } from './books.ts';

describe.each([
  ['its state', `UPDATE state SET body = replace(body, '"total":7', '"total":8') WHERE key = 'hurt'`],
  ['whether it goes on', `UPDATE state SET condition = 1 WHERE key = 'hurt'`],
])('where %s was damaged', (_, damage) => {
  test('it is reported, not served, and made anew, while all else goes on', async () => {
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
    // Until it is made anew an event of what is damaged holds up nothing, and nobody is told what they may not know.
    const heal = meddle(bank, () => ({ complete: away }));
    await books.publish(bank, [moved('hurt', 5), opened('other')]);
    const refused = await stateOf(bank).catch((error: unknown) => error as Error);
    expect(refused).toMatchObject({ status: 503 });
    expect((refused as Error).message).toContain('some of it is damaged, and is made anew of the log');
    expect((refused as Error).message).not.toContain('hurt');
    const owners = books.states().filter(({ entity }) => entity === 'owner');
    await soon(async () => (await stateOf(bank, { query: '&entity=owner' })).items, owners);
    expect(await (await fetch(`${bank.url}/health`)).json()).toMatchObject({ components: { state: { status: 'degraded' } } });
    await using view = await watch(bank);
    heal();
    await view.has(books.states());
    expect((await stateOf(bank)).items).toEqual(books.states());
    await books.publish(bank, [moved('hurt', 1)]);
    await view.has(books.states());
    const told = lines.map((line) => JSON.parse(line)).filter(({ message }) => message.startsWith('a stored state is damaged'));
    expect(told).toMatchObject([{ level: 'ERROR', context: { entity: 'account' } }]);
    expect(JSON.stringify(told)).toContain('hurt');
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
