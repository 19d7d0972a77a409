/** However many things there are, some of them are in memory. */
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { Books, meddle, moved, opened, soon, startBank, stateOf, watch } from './books.ts';

const THINGS = 200_000;
/** How long it may take until they are stored. */
const LONG_MS = 100_000;

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
