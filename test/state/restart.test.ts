/** However a gateway ends, the next one serves what the stored events make. */
import { writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { openPostgresLog } from '../../src/log/postgres.ts';
import { newDatabase } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { BANKS } from './bank.ts';
import { Books, kill, mixed, moved, opened, soon, startBank, stateOf, watch } from './books.ts';

/** It never comes in a test. */
const NEVER_MS = 1_000_000_000;

describe.each([
  ['at every moment', 10],
  ['at the end only', NEVER_MS],
])('where states are stored %s', (_, storeMs) => {
  test('they are the same after an orderly restart, and a watch goes on behind what it had', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
    const books = new Books();
    let before: { readonly position: string; readonly items: Awaited<ReturnType<typeof stateOf>>['items'] };
    {
      await using bank = await startBank({ env, state: { storeMs } });
      await books.publish(bank, mixed(300));
      before = await stateOf(bank);
      expect(before.items).toEqual(books.states());
      await books.publish(bank, mixed(100, { from: 300 }));
    }
    await using bank = await startBank({ env, state: { storeMs } });
    for (const limit of [3, 1000]) expect(await stateOf(bank, { limit })).toMatchObject({ items: books.states(), resets: [] });
    expect((await stateOf(bank)).position).toBe(books.events.at(-1)?.id);
    await using view = await watch(bank, { after: before.position, items: before.items });
    await view.has(books.states());
    expect(view.resets).toEqual([]);
    const changed = new Set(
      books
        .states()
        .filter((item) => !before.items.some(({ id }) => id === item.id))
        .map(({ id }) => id),
    );
    expect(new Set(view.told.flatMap(({ type, state, id }) => (type === undefined && state !== null ? [id] : [])))).toEqual(changed);
    await books.publish(bank, mixed(50, { from: 400 }));
    await view.has(books.states());
  });

  test('they are the same after one that stored nothing at its end, several times', async () => {
    using folder = temporaryFolder();
    const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
    const books = new Books();
    for (let run = 0; run < 4; run += 1) {
      const bank = await startBank({ env, state: { storeMs } });
      expect((await stateOf(bank)).items).toEqual(books.states());
      await books.publish(bank, mixed(150, { from: run * 150 }));
      await kill(bank);
    }
    await using bank = await startBank({ env });
    expect((await stateOf(bank)).items).toEqual(books.states());
  });

  test('those of a copy that was taken while much was published are what its events make', async () => {
    using folder = temporaryFolder();
    const books = new Books();
    const copied = folder.file('copy.db');
    {
      await using bank = await startBank({ env: { COURIER_LOG: `sqlite:${folder.file('log.db')}` }, state: { storeMs } });
      await books.publish(bank, mixed(600));
      const published = books.publish(bank, mixed(5000, { from: 600, accounts: 700 }));
      await using copy = await bank.pipeline.log.copy(new AbortController().signal);
      await writeFile(copied, await buffer(copy.read()));
      await published;
    }
    await using bank = await startBank({ env: { COURIER_LOG: `sqlite:${copied}` } });
    const { head } = await bank.pipeline.log.bounds();
    expect(head).toBeGreaterThanOrEqual(600);
    const part = new Books();
    part.events.push(...books.events.slice(0, head));
    expect((await stateOf(bank)).items).toEqual(part.states().map((item) => expect.objectContaining({ ...item, id: expect.any(String) })));
  });
});

test('a process that is killed while it publishes and stores leaves what its events make', async () => {
  using folder = temporaryFolder();
  const env = {
    COURIER_LOG: `sqlite:${folder.file('log.db')}`,
    COURIER_CONTRACT: new URL('bank.ts', import.meta.url).pathname,
  };
  const books = new Books();
  for (let run = 0; run < 3; run += 1) {
    await using process = await startProcess(env);
    const client = httpClient(process.url, await processToken('teller', 'service'));
    let sent = 0;
    const ending = (async () => {
      for (let from = run * 10_000; ; from += 100) {
        const drafts = mixed(100, { from }).map(({ type, data, channel = `account.${data['account_id']}` }) => ({ channel, type, data }));
        const receipts = await client.events.publishBatch.mutate(drafts as never).catch(() => undefined);
        if (receipts === undefined) return;
        sent += receipts.length;
      }
    })();
    await soon(() => sent >= 1000, true);
    await process.end('SIGKILL');
    await ending;
  }
  await using bank = await startBank({ env: { COURIER_LOG: env.COURIER_LOG } });
  await books.recall(bank.pipeline.log);
  expect(books.events.length).toBeGreaterThanOrEqual(3000);
  expect((await stateOf(bank)).items).toEqual(books.states());
});

test('a first start on a log with events serves what they make at once', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const books = new Books();
  {
    await using bank = await startBank({ env, contract: BANKS.withoutStates });
    await books.publish(bank, mixed(2000, { accounts: 300 }));
  }
  await using bank = await startBank({ env });
  expect(bank.pipeline.states.figures.building).toEqual({});
  expect((await stateOf(bank)).items).toEqual(books.states());
});

test('what a long log makes is made beside serving: until it is there, callers are told to come again, and watches wait', async () => {
  const env = { COURIER_LOG: await newDatabase() };
  const books = new Books();
  {
    await using bank = await startBank({ env, contract: BANKS.withoutStates });
    await books.publish(bank, mixed(12_000, { accounts: 500 }));
  }
  // Somebody else is to make them, and does not.
  await using log = await openPostgresLog({ url: env.COURIER_LOG, families: BANKS.first.channels.families });
  const builds = (
    await log.states.register([...BANKS.first.entities.values()].map(({ name, version }) => ({ entity: name, version })))
  ).map(({ number }) => number);
  await log.states.claim({ holder: 'somebody', builds, forMs: NEVER_MS });
  await using bank = await startBank({ env });
  await using view = await watch(bank);
  await expect(stateOf(bank)).rejects.toMatchObject({ status: 503, retryAfter: '1' });
  const health = async () => (await (await fetch(`${bank.url}/health`)).json()) as { status: string; components: { state: object } };
  const state = (percent: number) => ({
    status: 'degraded',
    building_percent: { account: percent, owner: percent },
    action: expect.stringContaining('until then nothing of account, owner can be given'),
  });
  expect(await health()).toMatchObject({ status: 'degraded', components: { state: state(0) } });
  // A quarter of it is made, of which nothing is left.
  await log.states.write({ rows: [], builds, writtenSeq: 0, checkpoint: 3000, nowMs: 0 });
  await soon(async () => (await health()).components.state, expect.objectContaining(state(25)));
  const expected = () => books.states(BANKS.first, { after: 3000 });
  await books.publish(bank, [opened('late')]);
  expect(view.told).toEqual([]);
  await log.states.release('somebody');
  await view.has(expected());
  expect((await stateOf(bank)).items).toEqual(expected());
  await soon(async () => (await health()).components.state, expect.objectContaining({ status: 'healthy' }));
  await books.publish(bank, [moved('late', 4)]);
  await view.has(expected());
});
