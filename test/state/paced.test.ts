/**
 * Watches with a pace of their own beside those without one: in the end both have the same, and none is told that something is gone which
 * it did not have, whatever changes meanwhile and wherever that is stored.
 */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { shelf } from '../helpers/shelf.ts';
import { type Item, nameOf, type Selection, startStates, type TestStates, type Watcher } from '../helpers/states.ts';

const put = (thing: string, kind = 'box', count = 1) => ({ channel: 'shelf.a', type: 'thing.put', data: { thing, count, kind } });
const taken = (thing: string) => ({ channel: 'shelf.a', type: 'thing.taken', data: { thing } });
const JARS = { channels: ['**'], entities: ['thing'], where: { 'state.kind': 'jar' } };

const itemsOf = (watch: Watcher) =>
  watch.sink.received.filter(({ type }) => !type.startsWith('state.')).map(({ json }) => JSON.parse(json) as Item);

/** Resolves once all that was published is stored, and what serves the watches knows. */
async function checkpoint(states: TestStates): Promise<void> {
  states.store.release();
  await states.stored();
  const serving = await states.pipeline.states.serving(new Set(['thing']), new AbortController().signal);
  await vi.waitFor(() => expect(serving.storedSeq).toBe(states.head), { timeout: 2000, interval: 2 });
}

/** Counts what is read of the storage for watches. */
function countReads(states: TestStates) {
  const store = states.store.states;
  const { read } = store;
  const counted = { reads: 0 };
  store.read = (query) => {
    counted.reads += 1;
    return read(query);
  };
  return counted;
}

test.each([
  ['stored', 1],
  ['in memory', 1e9],
])('a paced watch is told of what it has asked for only, where the rest is %s', async (_where, storeMs) => {
  await using states = await startStates({ contract: shelf, storeMs });
  await states.publish(put('box'));
  if (storeMs === 1) await checkpoint(states);
  await using plain = await states.watch(JARS).ready();
  await using paced = await states.watch({ ...JARS, max_per_second: 20 }).ready();
  const counted = countReads(states);
  for (let round = 1; round <= 5; round += 1) {
    await states.publish(...Array.from({ length: 200 }, (_, n) => put(`b${round}-${n}`)));
    if (storeMs === 1) await checkpoint(states);
    await states.publish(put('jar', 'jar', round));
    await paced.sink.until(() => itemsOf(paced).at(-1)?.state?.['count'] === round);
  }
  expect(itemsOf(paced)).toEqual(itemsOf(plain));
  expect(itemsOf(paced)).toHaveLength(5);
  expect(counted.reads).toBe(0);
});

test('a paced watch that was full goes on just before what it was not handed', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('jar', 'jar'));
  await checkpoint(states);
  await using paced = await states.watch({ ...JARS, max_per_second: 20 }).ready();
  await states.publish(...Array.from({ length: 200 }, (_, n) => put(`b${n}`)));
  await checkpoint(states);
  paced.sink.makeRoom(0);
  await states.publish(put('jar'), put('other', 'jar'));
  await paced.sink.untilFull();
  await checkpoint(states);
  paced.sink.makeRoom(Number.POSITIVE_INFINITY);
  await paced.sink.until(() => paced.things.size === 1 && itemsOf(paced).at(-1)?.key === 'other');
  expect(itemsOf(paced).slice(1)).toMatchObject([
    { key: 'jar', state: null },
    { key: 'other', state: { kind: 'jar' } },
  ]);
});

test('a thing that has left what a paced watch asked for is told as gone, one that came meanwhile is not', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('had', 'jar'), put('stays', 'jar'));
  await using first = await states.watch({ ...JARS, max_per_second: 5 }).ready();
  await states.publish(put('passing', 'jar'));
  // Shares the first one's group, and has it.
  await using second = await states.watch({ ...JARS, max_per_second: 5 }).ready();
  await states.publish(put('passing'), taken('had'), put('stays', 'jar', 2), put('last', 'jar'));
  const told = async (watch: Watcher) => {
    await watch.sink.until(() => itemsOf(watch).at(-1)?.key === 'last');
    return itemsOf(watch).map(({ key, state }) => [key, state?.['count']]);
  };
  expect(await told(first)).toEqual([
    ['had', 1],
    ['stays', 1],
    ['had', undefined],
    ['stays', 2],
    ['last', 1],
  ]);
  expect(await told(second)).toEqual([
    ['had', 1],
    ['stays', 1],
    ['passing', 1],
    ['passing', undefined],
    ['had', undefined],
    ['stays', 2],
    ['last', 1],
  ]);
});

/** Changes of a few things, each of which comes, goes and leaves what is asked for now and then. */
const draft = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom('u', 'v', 'x', 'y', 'z'), fc.constantFrom('box', 'jar'), fc.nat(2)).map((of) => put(...of)),
  },
  { weight: 1, arbitrary: fc.constantFrom('u', 'v', 'x', 'y', 'z').map(taken) },
);
const selection: fc.Arbitrary<Selection> = fc.constantFrom(
  JARS,
  { ...JARS, open: true },
  { channels: ['shelf.a'], entities: ['thing', 'tally'], open: false },
  { channels: ['**'], entities: ['thing'], keys: ['x', 'y'], open: true },
);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ does: fc.constant('publish' as const), drafts: fc.array(draft, { minLength: 1, maxLength: 6 }) }) },
  // Most share the groups of others, and begin while something is yet to be told.
  { weight: 3, arbitrary: fc.record({ does: fc.constant('watch' as const), selection, isSlow: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('room' as const), room: fc.constantFrom(0, 1, 3, 1e9) }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constantFrom('hold' as const, 'store' as const, 'turn' as const, 'told' as const) }) },
);

interface Pair {
  readonly selection: Selection;
  readonly isSlow: boolean;
  readonly plain: Watcher;
  readonly paced: Watcher;
}

/** What was told as gone, from when it was live on, without being had. */
function neverHad({ sink }: Watcher): string[] {
  const had = new Set<string>();
  const faults: string[] = [];
  let isLive = false;
  for (const { type, json } of sink.received) {
    if (type === 'state.ready') isLive = true;
    if (type.startsWith('state.')) continue;
    const item = JSON.parse(json) as Item;
    if (item.state !== null) had.add(nameOf(item));
    else if (!had.delete(nameOf(item)) && isLive) faults.push(`${nameOf(item)} at ${item.id}`);
  }
  return faults;
}

const sorted = (watch: Watcher) => [...watch.things].sort();

async function agree(states: TestStates, { selection: asked, plain, paced }: Pair): Promise<void> {
  const wanted = [...states.model(states.head, asked)].sort();
  await vi.waitFor(() => expect([plain, paced].map(sorted)).toEqual([wanted, wanted]), { timeout: 2000, interval: 1 });
}

test.each([
  ['memory and storage', 1],
  ['memory alone', 1e9],
])(
  'a paced watch of %s ends with what one without a pace has',
  async (_from, storeMs) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), fc.constantFrom(50, 1000), async (all, perSecond) => {
        await using states = await startStates({ contract: shelf, storeMs, pageRows: 2 });
        await using stack = new AsyncDisposableStack();
        const pairs: Pair[] = [];
        for (const each of all) {
          const { does } = each;
          if (does === 'publish') await states.publish(...each.drafts);
          else if (does === 'hold') states.store.hold();
          else if (does === 'store' && storeMs === 1) await checkpoint(states);
          else if (does === 'turn') await new Promise(setImmediate);
          else if (does === 'told') for (const pair of pairs) await (pair.isSlow ? undefined : agree(states, pair));
          else if (does === 'room')
            for (const { isSlow, plain, paced } of pairs) {
              if (isSlow) for (const { sink } of [plain, paced]) sink.makeRoom(each.room);
            }
          else if (does === 'watch') {
            const plain = stack.use(states.watch(each.selection));
            const paced = stack.use(states.watch({ ...each.selection, max_per_second: perSecond }));
            await Promise.all([plain.ready(), paced.ready()]);
            pairs.push({ ...each, plain, paced });
          }
        }
        for (const pair of pairs) {
          for (const { sink } of [pair.plain, pair.paced]) sink.makeRoom(Number.POSITIVE_INFINITY);
          await agree(states, pair);
          for (const watch of [pair.plain, pair.paced]) {
            expect(watch.state.faults).toEqual([]);
            // Who is sent back to the storage cannot be told apart from those who have it.
            if (!pair.isSlow) expect(neverHad(watch)).toEqual([]);
          }
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 60) },
    );
  },
  120_000,
);
