/** However many things there are, some of them are in memory. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineContract, defineEntity, defineService } from '../../src/contract/define.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { Books, meddle, moved, opened, soon, startBank, stateOf, watch } from './books.ts';

const THINGS = 200_000;
/** How long it may take until they are stored. */
const LONG_MS = 100_000;

const clerk = defineService({
  events: {
    'note.put': {
      on: ['desk'],
      description: 'A note was written, or looked at.',
      data: z.strictObject({ id: z.string(), text: z.string().optional(), marks: z.record(z.string(), z.number()).optional() }),
      examples: [{ id: 'n1' }],
    },
  },
});
const notes = defineContract({
  name: 'notes',
  families: { desk: { id: 'desk_id' } },
  services: { clerk },
  entities: {
    note: defineEntity({
      description: 'A note, and how often it was looked at.',
      of: [clerk],
      types: ['note.put'],
      key: ['id'],
      open: () => true,
      state: z.strictObject({ looks: z.int(), text: z.string(), marks: z.record(z.string(), z.number()) }),
      reduce: (before, { data }) => ({
        looks: (before?.looks ?? 0) + 1,
        text: data.text ?? before?.text ?? '',
        marks: data.marks ?? before?.marks ?? {},
      }),
    }),
  },
});

function put(data: object) {
  const event = { channel: 'desk.d1', type: 'note.put', metadata: { timestamp: '2026-01-02T03:04:05.678Z', source: 'clerk' }, data };
  return { channel: event.channel, type: event.type, family: 'desk', version: 1, body: JSON.stringify(event) };
}

test('what was stored leaves memory, is found again where it changes, and a start reads none of it', { timeout: 240_000 }, async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('log.db')}` };
  const state = { storeMs: 50, cachedBytes: 1024 * 1024 };
  const books = new Books();
  const few = [1, THINGS / 2, THINGS - 1].map((n) => `k${n}`);
  const about = async (bank: Parameters<typeof stateOf>[0]) =>
    (await stateOf(bank, { query: `&entity=account&key=${few.join()}` })).items.map(({ key, state }) => [key, state]);
  const expected = (moves: number) =>
    few.map((key) => [key, { total: 5 * moves, moves, closed: false }]).sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1));
  {
    await using bank = await startBank({ env, state });
    for (let from = 0; from < THINGS; from += 20_000)
      await books.publish(
        bank,
        Array.from({ length: 20_000 }, (_, index) => opened(`k${from + index}`)),
      );
    const { states } = bank.pipeline;
    await soon(() => states.figures.behind, 0, LONG_MS);
    await soon(() => states.figures.unstored, 0, LONG_MS);
    // A thing takes 600 bytes and more.
    expect(states.figures.inMemory).toBeLessThanOrEqual(state.cachedBytes / 600);
    const metrics = await (await fetch(`${bank.url}/metrics`)).text();
    expect(Number(/^courier_state_in_memory\S* (\d+)/m.exec(metrics)?.[1])).toBeLessThanOrEqual(state.cachedBytes / 600);
    await books.publish(
      bank,
      few.map((key) => moved(key, 5)),
    );
    expect(await about(bank)).toEqual(expected(1));
  }
  await using bank = await startBank({ env, state });
  const { figures } = bank.pipeline.states;
  expect(figures).toMatchObject({ inMemory: 0, building: {} });
  let rows = 0;
  meddle(bank, (store) => ({
    read: async (query) => {
      const page = await store.read(query);
      rows += page.rows.length;
      return page;
    },
  }));
  await books.publish(
    bank,
    few.map((key) => moved(key, 5)),
  );
  expect(await about(bank)).toEqual(expected(2));
  expect(bank.pipeline.states.figures.inMemory).toBeLessThanOrEqual(2 * few.length);
  await using view = await watch(bank, { query: `account&key=${few[0]}` });
  await soon(
    () => view.items.map(({ key, state }) => [key, state]),
    expected(2).filter(([key]) => key === few[0]),
  );
  expect(rows).toBeLessThan(100);
});

test('a large state counts as such, however small the events are that change it', async () => {
  const cachedBytes = 256 * 1024;
  await using bank = await startBank({ contract: notes, state: { storeMs: 10, cachedBytes } });
  const { log, states } = bank.pipeline;
  const all = Array.from({ length: 100 }, (_, n) => ({ id: `n${n}`, text: 'x'.repeat(20_000) }));
  const isStored = async () => {
    await soon(() => [states.figures.behind, states.figures.unstored], [0, 0], 20_000);
    // One takes its text and more.
    expect(states.figures.inMemory).toBeLessThanOrEqual(cachedBytes / 20_000);
  };
  await log.append(all.map(put));
  await isStored();
  for (let more = 0; more < 3; more += 1) {
    await log.append(all.map(({ id }) => put({ id })));
    await isStored();
  }
});

test('however large states are that many events change, others have their turn in between', async () => {
  const events = 400;
  await using bank = await startBank({ contract: notes, state: { storeMs: 10_000 } });
  const { log, states } = bank.pipeline;
  const endUse = states.use();
  const large = Object.fromEntries(Array.from({ length: 6000 }, (_, n) => [`k${n}`, n]));
  await log.append([put({ id: 'n', marks: large })]);
  await soon(() => states.figures.behind, 0);
  await log.append(Array.from({ length: events }, () => put({ id: 'n' })));
  // A turn sees what has been folded so far.
  const seen = new Set<number | null>();
  for (let behind = states.figures.behind; behind !== 0; behind = states.figures.behind) {
    seen.add(behind);
    await turn();
  }
  endUse();
  expect(seen.size).toBeGreaterThan(3);
});
