/** What becomes of states when the contract has another version of an entity, or none: they are made anew, and clients are told. */
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { familyIn } from '../../src/contract/channels.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import type { StateRow } from '../../src/log/state-store.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import type { TestGateway } from '../helpers/gateway.ts';
import { BANKS } from './bank.ts';
import {
  accountsOf,
  Books,
  closed,
  type Item,
  kill,
  meddle,
  mixed,
  moved,
  opened,
  soon,
  startBank,
  stateOf,
  trim,
  watch,
} from './books.ts';

const ownersOf = (items: readonly Item[]) => items.filter(({ entity }) => entity === 'owner');

describe.each([
  ['orderly', (bank: TestGateway) => bank[Symbol.asyncDispose]()],
  ['killed', kill],
])('between gateways that end %s', (_, end) => {
  test('another version is made of the log; who comes back has to begin anew, and back again too', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
    const books = new Books();
    let had: Awaited<ReturnType<typeof stateOf>> | undefined;
    for (const [run, contract] of [BANKS.first, BANKS.second, BANKS.first, BANKS.second].entries()) {
      const bank = await startBank({ env, contract });
      const expected = () => books.states(contract);
      if (had !== undefined) {
        await using view = await watch(bank, { after: had.position, items: had.items });
        await view.has(expected());
        expect(view.resets).toEqual(['rebuilt']);
        expect(await stateOf(bank, { after: had.position })).toMatchObject({ resets: ['rebuilt'], items: expected() });
        // However small the pages are.
        expect(await stateOf(bank, { limit: 2 })).toMatchObject({ resets: [], items: expected() });
        await books.publish(bank, mixed(30, { from: run * 1000 + 500 }));
        await view.has(expected());
        expect(view.resets).toHaveLength(1);
      }
      await books.publish(bank, mixed(200, { from: run * 1000 }));
      had = await stateOf(bank);
      expect(had.items).toEqual(expected());
      await end(bank);
    }
  });
});

test('what began before the log is taken over by its migration, and what cannot be is told and lost', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  let before: readonly Item[];
  {
    await using bank = await startBank({ env });
    await books.publish(bank, [opened('old'), moved('old', 7), opened('poor'), moved('poor', -3), opened('shut'), moved('shut', 2)]);
    await trim(bank);
    await books.publish(bank, [moved('old', -2), closed('shut'), opened('new'), moved('new', -5), moved('new', 1)]);
    before = (await stateOf(bank)).items;
    expect(before).toEqual(books.states());
  }
  const lines: string[] = [];
  const logger = createLogger(
    { logLevel: 'warn', logFormat: 'json' },
    { destination: { write: (line: string) => void lines.push(line) } as never },
  );
  await using bank = await startBank({ env, contract: BANKS.second, logger });
  const { items } = await stateOf(bank);
  const account = (key: string) => items.find((item) => item.entity === 'account' && item.key === key);
  expect(account('old')).toMatchObject({ open: true, state: { cents: 500, closed: false } });
  expect(account('shut')).toMatchObject({ open: false, state: { cents: 200, closed: true } });
  expect(account('new')).toMatchObject({ open: true, state: { cents: 100, closed: false } });
  expect(account('poor')).toBeUndefined();
  expect(ownersOf(items)).toEqual(ownersOf(before));
  for (const key of ['old', 'shut', 'new'])
    expect(account(key)?.id).toBe(before.find((item) => item.entity === 'account' && item.key === key)?.id);
  const on = items;
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 'WARN', message: 'a stored state is lost', context: { entity: 'account' } },
  ]);
  const { events } = books;
  await books.publish(bank, [moved('old', 4), opened('poor')]);
  expect((await stateOf(bank)).items).toEqual(books.states(BANKS.second, { on, after: events.length - 2 }));
});

test('without a migration what began before the log is lost, and what began later is there', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  let trimmed = 0;
  {
    await using bank = await startBank({ env });
    await books.publish(bank, mixed(100));
    await trim(bank);
    trimmed = books.events.length;
    await books.publish(bank, mixed(60, { from: 100, accounts: 60 }));
  }
  await using bank = await startBank({ env, contract: BANKS.secondWithoutMigrate });
  expect(accountsOf((await stateOf(bank)).items)).toEqual(accountsOf(books.states(BANKS.second, { after: trimmed })));
  expect(ownersOf((await stateOf(bank)).items)).toEqual(ownersOf(books.states()));
});

test('a build that is interrupted goes on as it was begun', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  {
    await using bank = await startBank({ env });
    await books.publish(bank, mixed(12_000, { accounts: 300 }));
    expect((await stateOf(bank)).items).toEqual(books.states());
  }
  // It comes to a checkpoint in the middle, and no further.
  const log = await openSqliteLog({ path: folder.file('log.db') });
  const [build] = (await log.states.register([{ entity: 'account', version: 2 }])).filter(({ version }) => version === 2);
  const half = new Books();
  half.events.push(...books.events.slice(0, 6000));
  const rows = accountsOf(half.states(BANKS.second)).map(({ id, channel, entity, key, open, state }): StateRow => {
    const seq = Number(id.split('-')[1]);
    const body = JSON.stringify({ channel, entity, key, open, state });
    return {
      build: build?.number as number,
      channel,
      family: familyIn(channel) as string,
      key,
      seq,
      sinceSeq: 1,
      condition: open ? 'open' : 'closed',
      body,
    };
  });
  await log.states.write({ rows, builds: [build?.number as number], writtenSeq: 6000, checkpoint: 6000, nowMs: log.now.latest });
  await log[Symbol.asyncDispose]();
  await using bank = await startBank({ env, contract: BANKS.second });
  await using view = await watch(bank);
  await view.has(books.states(BANKS.second));
});

test('an entity that was removed from the contract and is added again has missed nothing', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  let position = '';
  for (const contract of [BANKS.first, BANKS.withoutAccounts, BANKS.first]) {
    await using bank = await startBank({ env, contract });
    await books.publish(bank, mixed(150, { from: books.events.length }));
    const given = await stateOf(bank);
    expect(given.items).toEqual(books.states(contract));
    position ||= given.position;
  }
  await using bank = await startBank({ env });
  await using view = await watch(bank, { after: position });
  await soon(() => view.snapshots, 1);
  const items = new Map(view.items.map((item) => [`${item.entity} ${item.channel} ${item.key}`, item.id]));
  for (const { id, ...name } of books.states())
    if (Number(id.split('-')[1]) > 150) expect(items.get(`${name.entity} ${name.channel} ${name.key}`)).toBe(id);
});

test('an entity that was away while the log was trimmed is made of what is left, and who knew it begins anew', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  let had: Awaited<ReturnType<typeof stateOf>>;
  {
    await using bank = await startBank({ env });
    await books.publish(bank, mixed(150));
    had = await stateOf(bank);
  }
  let trimmed = 0;
  {
    await using bank = await startBank({ env, contract: BANKS.withoutAccounts, state: { forgetMs: 0 } });
    await books.publish(bank, mixed(150, { from: 150 }));
    await trim(bank);
    trimmed = books.events.length;
    await books.publish(bank, mixed(40, { from: 300 }));
    // What is left of accounts is of no use, and goes.
    let steps = 0;
    meddle(bank, (store) => ({
      forget: async (step) => {
        const isMore = await store.forget(step);
        if (!isMore) steps += 1;
        return isMore;
      },
    }));
    await soon(() => steps > 0, true);
  }
  {
    using file = new DatabaseSync(folder.file('log.db'));
    expect(file.prepare("SELECT count(*) AS count FROM state_build WHERE entity = 'account'").get()).toEqual({ count: 0 });
  }
  await using bank = await startBank({ env });
  const expected = [...accountsOf(books.states(BANKS.first, { after: trimmed })), ...ownersOf(books.states())];
  await using view = await watch(bank, { after: had.position, items: had.items });
  await view.has(expected);
  expect(view.resets).toEqual(['rebuilt']);
});

test('a rebuild gives live watches the whole state anew, equal to what the events make, and others nothing', async () => {
  const books = new Books();
  await using bank = await startBank();
  await books.publish(bank, mixed(400));
  await using accounts = await watch(bank, { query: 'account' });
  await using both = await watch(bank);
  await using owners = await watch(bank, { query: 'owner' });
  await both.has(books.states());
  await owners.has(ownersOf(books.states()));
  for (let time = 1; time <= 3; time += 1) {
    await bank.pipeline.states.rebuild('account');
    await books.publish(bank, mixed(50, { from: 400 + 50 * time }));
    await soon(
      () => accounts.resets,
      Array.from({ length: time }, () => 'rebuilt'),
    );
    await accounts.has(accountsOf(books.states()));
    await both.has(books.states());
    expect(both.resets).toHaveLength(time);
    await owners.has(ownersOf(books.states()));
  }
  expect(owners.resets).toEqual([]);
  await expect(bank.pipeline.states.rebuild('nothing')).rejects.toThrow();
});
