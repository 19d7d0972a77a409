/** What is guaranteed of the rows of states: which are stored, and how they are read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { includesChannel } from '../../../src/contract/channels.ts';
import { PAGE_BYTES } from '../../../src/log/log.ts';
import { MAX_ROWS_OF_EVENT, type StateRow } from '../../../src/log/state-store.ts';
import { channelSetOf, EVERYTHING } from '../../helpers/trade.ts';
import { arbitraryChannels, CHANNELS, range } from '../event-log/logs.ts';
import { ALL, begun, findRows, inOrder, named, readAllStates, readPages, type StateSuite, stateRow, store } from './states.ts';

const KEYS = ['', 'k', 'K', "o'clock", 'a/b%20', 'ключ', '漢'.repeat(512), '🜚', '\\', '\u0020\u00a0'];

/** A change of one of two builds. */
const arbitraryChange = fc.record({
  build: fc.constantFrom(0, 1),
  key: fc.constantFrom(...KEYS),
  channel: fc.constantFrom(...CHANNELS.slice(0, 5), 'ship.hull.h1'),
  condition: fc.constantFrom(...ALL),
  seq: fc.integer({ min: 1, max: 20 }),
});
const arbitraryWrites = fc.array(fc.array(arbitraryChange, { maxLength: 15 }), { maxLength: 4 });
const arbitraryQuery = fc.record({
  channels: arbitraryChannels,
  afterSeq: fc.integer({ min: 0, max: 20 }),
  conditions: fc.subarray([...ALL], { minLength: 1 }),
  keys: fc.option(fc.subarray(KEYS), { nil: undefined }),
  limit: fc.integer({ min: 1, max: 8 }),
});

export function describeStateRows({ factory, runs }: StateSuite): void {
  describe('writing', () => {
    test('a row is found as it was stored, and replaced only by one of a later change', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [build] = await begun(log.states, 'e');
      const first = stateRow(build, { seq: 5, sinceSeq: 2, body: '{"text":"a\\u0000b🜚"}' });
      await store(log.states, [first]);
      const name = { build: build, key: 'k', channel: 'user.u1' };
      const now = async () => (await findRows(log.states, [name]))[0];
      expect(await now()).toEqual(first);
      for (const seq of [4, 5]) await store(log.states, [stateRow(build, { seq, condition: 'gone', body: '{}' })]);
      expect(await now()).toEqual(first);
      const later = stateRow(build, { seq: 6, sinceSeq: 6, condition: 'closed' });
      await store(log.states, [later, stateRow(build, { seq: 3 })]);
      expect(await now()).toEqual(later);
      // Of several with one name the latest stays.
      const last = stateRow(build, { seq: 9 });
      await store(log.states, [stateRow(build, { seq: 8 }), last, stateRow(build, { seq: 7 })]);
      expect(await now()).toEqual(last);
    });

    test('rows are found in the order of their names, each under its whole name only', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [one, two] = await begun(log.states, 'e', 'f');
      const rows = [
        stateRow(one, { seq: 1 }),
        stateRow(two, { seq: 2 }),
        stateRow(one, { seq: 3, key: 'other' }),
        stateRow(one, { seq: 4, channel: 'user.u2' }),
      ];
      await store(log.states, rows);
      const names = rows.map(({ build, key, channel }) => ({ build, key, channel }));
      const unknown = { build: two, key: 'other', channel: 'user.u1' };
      expect(await findRows(log.states, [...names.toReversed(), unknown, ...names])).toEqual([...rows.toReversed(), undefined, ...rows]);
      expect(await findRows(log.states, [])).toEqual([]);
    });

    test('all rows of a write and its checkpoint are stored, or none', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [build] = await begun(log.states, 'e');
      await store(log.states, [stateRow(build, { seq: 1, key: 'a' })]);
      const before = await log.states.look(['e']);
      const bad = { ...stateRow(build, { seq: 3, key: 'c' }), body: null as never };
      await expect(
        store(log.states, [stateRow(build, { seq: 2, key: 'b' }), bad, stateRow(build, { seq: 4, key: 'a' })]),
      ).rejects.toThrow();
      expect(await log.states.look(['e'])).toEqual(before);
      const names = ['a', 'b', 'c'].map((key) => ({ build: build, key, channel: 'user.u1' }));
      expect((await findRows(log.states, names)).map((row) => row?.seq)).toEqual([1, undefined, undefined]);
    });

    test('nothing is stored of a build that there is not', async () => {
      await using logs = factory();
      await using log = await logs.open();
      await store(log.states, [stateRow(77, { seq: 1 })]);
      expect(await findRows(log.states, [{ build: 77, key: 'k', channel: 'user.u1' }])).toEqual([undefined]);
      expect(await log.states.read({ builds: [77], channels: EVERYTHING, conditions: ALL, afterSeq: 3, limit: 1 })).toMatchObject({
        rows: [],
        endSeq: 3,
        leadsOn: false,
      });
    });

    test('what several write at once is stored once, the latest of each name', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const builds = await begun(log.states, 'e', 'f');
      const rows = range(1, 40).map((seq) => stateRow(builds[seq % 2] as number, { seq, key: `k${seq % 8}` }));
      await Promise.all(range(0, 7).map((turn) => store(log.states, turn % 2 === 0 ? rows.slice(turn) : rows.slice(turn).reverse())));
      expect((await readAllStates(log.states, builds)).map(({ seq }) => seq)).toEqual(range(33, 40));
    });
  });

  describe('the checkpoint', () => {
    test('rows of later changes are not read, and those in their place are told of', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [build] = await begun(log.states, 'e');
      await store(log.states, [stateRow(build, { seq: 3, key: 'a' }), stateRow(build, { seq: 4, key: 'b' })]);
      await log.states.write({ rows: [stateRow(build, { seq: 7, key: 'a' })], builds: [build], writtenSeq: 9, nowMs: 0 });
      const { pages, endSeq, writtenSeq } = await readPages(log.states, [build]);
      expect(pages.flat().map(({ key, seq }) => [key, seq])).toEqual([['b', 4]]);
      expect([endSeq, writtenSeq]).toEqual([4, 9]);
      expect((await log.states.look(['e'])).builds).toMatchObject([{ seq: 4, writtenSeq: 9 }]);
      await log.states.write({ rows: [], builds: [build], writtenSeq: 9, checkpoint: 9, nowMs: 0 });
      expect((await readAllStates(log.states, [build])).map(({ seq }) => seq)).toEqual([4, 7]);
      // Neither goes back.
      await log.states.write({ rows: [], builds: [build], writtenSeq: 2, checkpoint: 2, nowMs: 0 });
      expect((await log.states.look(['e'])).builds).toMatchObject([{ seq: 9, writtenSeq: 9 }]);
    });

    test('builds that are read together are read up to the one that has come least far', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [one, two] = await begun(log.states, 'e', 'f');
      await store(log.states, [stateRow(one, { seq: 3 }), stateRow(one, { seq: 8, key: 'l' })]);
      await store(log.states, [stateRow(two, { seq: 5 })]);
      const { pages, endSeq, writtenSeq } = await readPages(log.states, [one, two]);
      expect(pages.flat().map(({ seq }) => seq)).toEqual([3, 5]);
      expect([endSeq, writtenSeq]).toEqual([5, 8]);
      expect((await readPages(log.states, [one, two], { afterSeq: 20 })).endSeq).toBe(20);
    });
  });

  describe('reading', () => {
    test('pages give what a plain model has: builds, channels, conditions, keys, from any number, with any limit', async () => {
      await using logs = factory();
      await using log = await logs.open();
      let run = 0;
      await fc.assert(
        fc.asyncProperty(
          arbitraryWrites,
          fc.array(arbitraryQuery, { minLength: 1, maxLength: 4 }),
          fc.subarray([0, 1], { minLength: 1 }),
          fc.integer({ min: 0, max: 25 }),
          async (writes, queries, chosen, checkpoint) => {
            run += 1;
            const builds = await begun(log.states, `e${run}`, `f${run}`);
            const stored = new Map<string, StateRow>();
            for (const changes of writes) {
              const rows = changes.map(({ build, seq, ...change }, n) =>
                stateRow(builds[build] as number, { seq, ...change, body: `{"n":${n}}` }),
              );
              await log.states.write({ rows, builds, writtenSeq: 20, checkpoint: 0, nowMs: 0 });
              for (const row of rows) if ((stored.get(named(row))?.seq ?? 0) < row.seq) stored.set(named(row), row);
            }
            await log.states.write({ rows: [], builds, writtenSeq: 25, checkpoint, nowMs: 0 });
            const read = chosen.map((index) => builds[index] as number);
            for (const { channels, afterSeq, conditions, keys, limit } of queries) {
              const expected = [...stored.values()].filter(
                (row) =>
                  read.includes(row.build) &&
                  row.seq > afterSeq &&
                  row.seq <= checkpoint &&
                  conditions.includes(row.condition) &&
                  (keys === undefined || keys.includes(row.key)) &&
                  includesChannel(channels, row.family, row.channel),
              );
              const { pages, endSeq } = await readPages(log.states, read, { channels, afterSeq, conditions, keys, limit });
              expect(inOrder(pages.flat())).toEqual(inOrder(expected));
              expect(endSeq).toBe(Math.max(afterSeq, checkpoint));
              if (keys === undefined) for (const page of pages.slice(0, -1)) expect(page.length).toBeGreaterThanOrEqual(limit);
            }
          },
        ),
        { numRuns: runs },
      );
    });

    test('the rows of one event stay together, whatever the limit is', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const builds = await begun(log.states, ...range(1, MAX_ROWS_OF_EVENT).map((n) => `e${n}`));
      const events = [1, 2, 3].flatMap((seq) => builds.map((build) => stateRow(build, { seq, key: `k${seq}` })));
      await store(log.states, events);
      for (const query of [{}, { channels: channelSetOf(['user.u1']) }, { keys: ['k1', 'k2', 'k3'] }]) {
        for (const limit of [1, MAX_ROWS_OF_EVENT - 1, MAX_ROWS_OF_EVENT]) {
          const { pages } = await readPages(log.states, builds, { ...query, limit });
          expect(pages.map((page) => new Set(page.map(({ seq }) => seq)))).toEqual([new Set([1]), new Set([2]), new Set([3])]);
          for (const page of pages) expect(page).toHaveLength(MAX_ROWS_OF_EVENT);
        }
        const { pages } = await readPages(log.states, builds, { ...query, limit: MAX_ROWS_OF_EVENT + 1 });
        expect(pages.map((page) => page.length)).toEqual([2 * MAX_ROWS_OF_EVENT, MAX_ROWS_OF_EVENT]);
      }
    });

    test('a page ends once it is large', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [build] = await begun(log.states, 'e');
      const body = JSON.stringify('x'.repeat(PAGE_BYTES / 4));
      await store(
        log.states,
        range(1, 10).map((seq) => stateRow(build, { seq, key: `k${seq}`, body })),
      );
      const { pages } = await readPages(log.states, [build]);
      expect(pages.map((page) => page.length)).toEqual([4, 4, 2]);
    });

    test('thousands of channels and several builds are read as one', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const builds = await begun(log.states, 'e', 'f', 'g');
      const channels = range(1, 400).map((n) => `user.u${n}`);
      const rows = channels.flatMap((channel, n) =>
        builds.map((build, index) => stateRow(build, { seq: ((n * 7) % 400) * 3 + index + 1, channel, condition: ALL[n % 3] ?? 'open' })),
      );
      await store(log.states, [...rows, stateRow(builds[0] as number, { seq: 1200, channel: 'user.stranger' })]);
      for (const limit of [100, 5000])
        expect(await readAllStates(log.states, builds, { channels: channelSetOf(channels), limit })).toEqual(inOrder(rows));
      const open = await readAllStates(log.states, builds, { channels: channelSetOf(channels), conditions: ['open'] });
      expect(open).toEqual(inOrder(rows.filter(({ condition }) => condition === 'open')));
    });

    test('`**` selects families too that no contract has; a family that never was has nothing', async () => {
      await using logs = factory();
      await using log = await logs.open();
      const [build] = await begun(log.states, 'e');
      const rows = ['global', 'user.u1', 'ship.hull.h1'].map((channel, n) => stateRow(build, { seq: n + 1, channel }));
      await store(log.states, rows);
      expect(await readAllStates(log.states, [build])).toEqual(rows);
      expect(await readAllStates(log.states, [build], { keys: ['k'] })).toEqual(rows);
      const channelsOf = async (family: string) => {
        const channels = { everything: false, families: new Set([family]), singles: new Set<string>() };
        return (await readAllStates(log.states, [build], { channels })).map(({ channel }) => channel);
      };
      expect(await channelsOf('ship.hull')).toEqual(['ship.hull.h1']);
      expect(await channelsOf('never')).toEqual([]);
    });
  });
}
