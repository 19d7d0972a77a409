/** What is kept when events go, what goes when things have ended, and who is told. */
import { describe, expect, test } from 'vitest';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { newDatabase } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import {
  away,
  Books,
  closed,
  erased,
  kill,
  meddle,
  mixed,
  moved,
  opened,
  soon,
  startBank,
  stateOf,
  trim,
  trimOnce,
  watch,
} from './books.ts';

const LOGS = [
  ['memory', () => Promise.resolve('memory:'), false],
  ['SQLite', undefined, true],
  ['PostgreSQL', newDatabase, true],
] as const;

/** The address of a log, for one test. */
async function newLog(address: (() => Promise<string>) | undefined) {
  const folder = temporaryFolder();
  const env = { COURIER_LOG: address === undefined ? `sqlite:${folder.file('log.db')}` : await address() };
  return { env, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

// PostgreSQL drops whole days only, and not today.
describe.each(LOGS.slice(0, 2))('in %s', (_, address, isDurable) => {
  test('what goes on outlives its events, and goes on from where it was', async () => {
    using log = await newLog(address);
    const books = new Books();
    {
      await using bank = await startBank(log);
      await books.publish(bank, mixed(300));
      await trim(bank);
      expect((await stateOf(bank)).items).toEqual(books.states());
      await books.publish(bank, mixed(100, { from: 300 }));
      expect((await stateOf(bank)).items).toEqual(books.states());
      await trim(bank);
      if (!isDurable) return;
    }
    await using bank = await startBank(log);
    expect((await stateOf(bank)).items).toEqual(books.states());
    await books.publish(bank, mixed(100, { from: 400 }));
    await using view = await watch(bank);
    await view.has(books.states());
  });

  test('events that are not folded stay, until they are', async () => {
    using log = await newLog(address);
    const books = new Books();
    const bank = await startBank(log);
    await books.publish(bank, mixed(100));
    await trim(bank);
    const heal = meddle(bank, () => ({ write: away }));
    await books.publish(bank, mixed(200, { from: 100 }));
    await soon(() => bank.pipeline.states.figures.problem, 'it is away');
    await trimOnce(bank);
    expect(await bank.pipeline.log.bounds()).toEqual({ first: 101, head: 300 });
    expect((await stateOf(bank)).items).toEqual(books.states());
    if (isDurable) {
      await kill(bank);
    } else heal();
    await using next = isDurable ? await startBank(log) : bank;
    expect((await stateOf(next)).items).toEqual(books.states());
    await trim(next);
    expect((await stateOf(next)).items).toEqual(books.states());
  });
});

describe.each(LOGS)('in %s', (_, address) => {
  test('what has ended is forgotten: watches are told, and so is who comes back; who was away for too long begins anew', async () => {
    using log = await newLog(address);
    const books = new Books();
    const keep = { config: { stateMs: 400 }, state: { forgetMs: 0 } };
    await using bank = await startBank({ ...log, ...keep });
    await books.publish(bank, [opened('a'), moved('a', 4), opened('b'), opened('c')]);
    const early = await stateOf(bank);
    const forgets = meddle(bank, () => ({ forget: () => Promise.resolve(false) }));
    await books.publish(bank, [closed('a'), erased('c')]);
    const had = await stateOf(bank);
    await using live = await watch(bank);
    await using closedOnly = await watch(bank, { query: 'account&open=false' });
    await live.has(books.states());
    await closedOnly.has(books.states().filter(({ open }) => !open));
    expect(closedOnly.items).toMatchObject([{ key: 'a' }]);
    forgets();
    const left = books.states().filter(({ open }) => open);
    await live.has(left);
    await closedOnly.has([]);
    expect(live.told.at(-1)).toMatchObject({ channel: 'account.a', entity: 'account', key: 'a', open: false, state: null });
    expect(live.resets).toEqual([]);
    expect((await stateOf(bank)).items).toEqual(left);
    // Removals are told for as long again; what was erased is not told of any more.
    const again = await stateOf(bank, { after: had.position });
    if (again.resets.length === 0) expect(again.items).toMatchObject([{ key: 'a', state: null }]);
    await soon(async () => (await stateOf(bank, { after: early.position })).resets, ['expired']);
    await using late = await watch(bank, { after: early.position, items: early.items });
    await late.has(left);
    expect(late.resets).toEqual(['expired']);
    // It begins anew, of nothing.
    await books.publish(bank, [moved('a', 9)]);
    await soon(() => live.items.find(({ entity, key }) => entity === 'account' && key === 'a')?.state, {
      total: 9,
      moves: 1,
      closed: false,
    });
  });

  test('what goes on again while it is forgotten is told as it is then', async () => {
    using log = await newLog(address);
    const books = new Books();
    await using bank = await startBank({ ...log, config: { stateMs: 50 }, state: { forgetMs: 0 } });
    await using live = await watch(bank);
    const again = Promise.withResolvers<void>();
    const forget = meddle(bank, (store) => ({
      forget: async (step) => {
        const isMore = await store.forget(step);
        if ((await store.look([])).removals === 0) return isMore;
        forget();
        await books.publish(bank, [opened('a')]);
        await soon(() => live.items.find(({ key }) => key === 'a')?.open, true);
        again.resolve();
        return false;
      },
    }));
    await books.publish(bank, [opened('a'), closed('a')]);
    await again.promise;
    await soon(() => bank.pipeline.states.figures.unstored, 0);
    await books.publish(bank, [opened('b')]);
    await soon(() => live.items.some(({ key }) => key === 'b'), true);
    expect(live.items.find(({ entity, key }) => entity === 'account' && key === 'a')).toMatchObject({ open: true });
    expect((await stateOf(bank)).items).toEqual(live.items);
  });

  test('who comes back is told of what was forgotten meanwhile', async () => {
    using log = await newLog(address);
    const books = new Books();
    await using bank = await startBank({ ...log, config: { stateMs: 2000 }, state: { forgetMs: 0 } });
    await books.publish(bank, [opened('a'), opened('b'), closed('a'), opened('d')]);
    const had = await stateOf(bank);
    expect(had.items).toEqual(books.states());
    await using live = await watch(bank);
    await live.has(had.items);
    const left = books.states().filter(({ open }) => open);
    await live.has(left);
    // What was removed stays told of.
    meddle(bank, () => ({ forget: () => Promise.resolve(false) }));
    await using back = await watch(bank, { after: had.position, items: had.items });
    await back.has(left);
    expect(back.resets).toEqual([]);
    expect(back.told.filter(({ type }) => type === undefined)).toMatchObject([{ key: 'a', state: null }]);
    expect(await stateOf(bank, { after: had.position })).toMatchObject({ resets: [], items: [{ key: 'a', state: null }] });
  });
});

test('nothing is trimmed that an entity has yet to fold which another version was made of', async () => {
  using folder = temporaryFolder();
  const books = new Books();
  const path = folder.file('log.db');
  {
    await using bank = await startBank({ env: { COURIER_LOG: `sqlite:${path}` } });
    await books.publish(bank, mixed(100));
    expect((await stateOf(bank)).items).toEqual(books.states());
  }
  await using log = await openSqliteLog({ path });
  await log.states.register([{ entity: 'account', version: 2 }]);
  while (await log.trim(-1000, 500));
  expect((await log.bounds()).first).toBe(1);
});
