/** What a watch is owed where what serves it changes meanwhile: storing, forgetting, or another that takes its place. */
import { expect, test, vi } from 'vitest';
import type { Serving } from '../../src/state/serving.ts';
import { shelf } from '../helpers/shelf.ts';
import { follow, type Item, startStates, type TestStates, type Watcher } from '../helpers/states.ts';

const put = (thing: string, count = 1) => ({ channel: 'shelf.a', type: 'thing.put', data: { thing, count, kind: 'box' } });
const SELECTION = { channels: ['**'], entities: ['thing'] };

const keysOf = (watch: Watcher) => [...watch.things.values()].map(({ key }) => key).sort();
const itemsOf = (watch: Watcher) =>
  watch.sink.received.filter(({ type }) => !type.startsWith('state.')).map(({ json }) => JSON.parse(json) as Item);

const servingOf = ({ pipeline }: TestStates): Promise<Serving> => pipeline.states.serving(new Set(['thing']), new AbortController().signal);

/** Makes another entity's states anew, and waits until what has served the things has ended. */
async function serveAnew(states: TestStates): Promise<void> {
  const { ended } = await servingOf(states);
  const replaced = new Promise((resolve) => ended.signal.addEventListener('abort', resolve));
  await states.pipeline.states.rebuild('tally');
  await replaced;
}

/** What has ended is forgotten, and those who are live have been told. */
async function forgetEnded(states: TestStates): Promise<void> {
  const { log } = states.pipeline;
  await log.states.forget({ keepMs: 0, limit: 500, nowMs: log.now.latest + 1000 });
  const { removals } = await log.states.look([]);
  const serving = await servingOf(states);
  await vi.waitFor(() => expect(serving.toldRemovals).toBe(removals), { timeout: 2000, interval: 2 });
}

/** What the storage answers to a method is handed over once it is released. */
function holdAnswers(states: TestStates, name: 'find' | 'read') {
  const store = states.store.states;
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const { find, read } = store;
  if (name === 'find') {
    store.find = async (names) => {
      asked.resolve();
      await released.promise;
      return find(names);
    };
  } else {
    store.read = async (query) => {
      const page = await read(query);
      asked.resolve();
      await released.promise;
      return page;
    };
  }
  return {
    asked: asked.promise,
    release: () => {
      Object.assign(store, { find, read });
      released.resolve();
    },
  };
}

test('a follower that reads what the writer has stored meanwhile tells that it has left the selection', async () => {
  await using writer = await startStates({ contract: shelf });
  await writer.publish(put('x'), put('y'));
  await writer.stored();
  await using follower = await follow(writer, shelf);
  await using watch = await follower.watch({ ...SELECTION, open: true }).ready();
  expect(keysOf(watch)).toEqual(['x', 'y']);
  // The writer has it in memory.
  const finds = holdAnswers(writer, 'find');
  await writer.publish(put('x', 0));
  await finds.asked;
  await writer.stored();
  finds.release();
  await watch.sink.until(() => itemsOf(watch).length === 3);
  expect(itemsOf(watch).at(-1)).toMatchObject({ key: 'x', open: false, state: null });
  expect(keysOf(watch)).toEqual(['y']);
  expect(watch.state.faults).toEqual([]);
});

test('a live watch that is served anew goes on where it was, and is told nothing twice', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x'));
  await states.stored();
  await using watch = await states.watch(SELECTION).ready();
  for (const thing of ['a', 'b', 'c']) await states.publish(put(thing));
  await states.stored();
  await watch.sink.until(() => watch.things.size === 4);
  const told = watch.sink.received.length;
  await serveAnew(states);
  await watch.sink.until(() => watch.read().readys === 2);
  expect(watch.sink.received.slice(told).map(({ type }) => type)).toEqual(['state.ready']);
  expect(keysOf(watch)).toEqual(['a', 'b', 'c', 'x']);
  expect([watch.state.resets, watch.state.faults]).toEqual([[], []]);
});

test('a watch that began when there was nothing is told, where it is served anew, what has left the selection', async () => {
  await using states = await startStates({ contract: shelf });
  await using watch = await states.watch({ ...SELECTION, open: true }, { room: 2 }).ready();
  expect(watch.things.size).toBe(0);
  await states.publish(put('x'));
  await states.stored();
  await watch.sink.until(() => watch.things.size === 1);
  // It has no room for this until another serves it.
  await states.publish(put('x', 0));
  await watch.sink.untilFull();
  await states.stored();
  await serveAnew(states);
  watch.sink.makeRoom(Number.POSITIVE_INFINITY);
  await watch.sink.until(() => watch.read().readys === 2);
  expect(itemsOf(watch)).toMatchObject([
    { key: 'x', open: true },
    { key: 'x', open: false, state: null },
  ]);
  expect(keysOf(watch)).toEqual([]);
  expect([watch.state.resets, watch.state.faults]).toEqual([[], []]);
});

test('a watch of a selection that is served anew on its way is told nothing of what it never had', async () => {
  await using states = await startStates({ contract: shelf, pageRows: 2 });
  const jar = (thing: string) => ({ channel: 'shelf.a', type: 'thing.put', data: { thing, count: 1, kind: 'jar' } });
  for (let n = 0; n < 10; n += 1) await states.publish(jar(`jar${n}`));
  for (let n = 0; n < 100; n += 1) await states.publish(put(`box${n}`));
  await states.publish(jar('last'));
  await states.stored();
  await using watch = states.watch({ ...SELECTION, where: { 'state.kind': 'jar' } }, { room: 3 });
  await watch.sink.untilFull();
  await serveAnew(states);
  watch.sink.makeRoom(Number.POSITIVE_INFINITY);
  await watch.ready();
  expect(itemsOf(watch).filter(({ state }) => state === null)).toEqual([]);
  expect([watch.things.size, watch.state.resets, watch.state.faults]).toEqual([11, [], []]);
});

test('a paced watch is told that a thing was forgotten before it is told that it has come again', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x', 0), put('y'));
  await states.stored();
  await using watch = await states.watch({ ...SELECTION, max_per_second: 4 }).ready();
  const had = itemsOf(watch).length;
  await forgetEnded(states);
  // Until it is told, what has come again is in memory only.
  states.store.hold();
  await states.publish(put('x', 3));
  await watch.sink.until(() => itemsOf(watch).length === had + 2);
  states.store.release();
  expect(itemsOf(watch).slice(had)).toMatchObject([
    { key: 'x', state: null },
    { key: 'x', state: { count: 3 } },
  ]);
  expect(keysOf(watch)).toEqual(['x', 'y']);
});

test('a page that was being read while a thing was forgotten is not given to who begins later', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x', 0), put('y'));
  await states.stored();
  const reads = holdAnswers(states, 'read');
  await using first = states.watch(SELECTION);
  await reads.asked;
  await forgetEnded(states);
  reads.release();
  await first.ready();
  // While pages may be given again.
  await using second = await states.watch(SELECTION).ready();
  expect([keysOf(first), keysOf(second)]).toEqual([['y'], ['y']]);
  expect(itemsOf(second).map(({ key }) => key)).toEqual(['y']);
});

test('who was told what was forgotten on its way is told a number of items that includes it', async () => {
  await using states = await startStates({ contract: shelf, pageRows: 2 });
  for (let n = 0; n < 20; n += 1) await states.publish(put(`t${n}`, n % 2));
  await states.stored();
  await using watch = states.watch(SELECTION, { room: 6 });
  await watch.sink.untilFull();
  await forgetEnded(states);
  watch.sink.makeRoom(Number.POSITIVE_INFINITY);
  await watch.ready();
  const items = itemsOf(watch);
  expect(items.filter(({ state }) => state === null)).toHaveLength(10);
  const ready = watch.sink.received.find(({ type }) => type === 'state.ready');
  expect(JSON.parse(ready?.json ?? '{}').data.items).toBe(items.length);
  expect(watch.things.size).toBe(10);
});

test('what begins again after it was forgotten begins anew for all, whoever has heard of that', async () => {
  await using writer = await startStates({ contract: shelf, storeMs: 20 });
  await writer.publish(put('p'), put('q'), put('r'));
  await writer.stored();
  await using follower = await follow(writer, shelf);
  const tally = { channels: ['**'], entities: ['tally'] };
  await using own = await writer.watch(tally).ready();
  await using other = await follower.watch(tally).ready();
  const counts = (watch: Watcher) => [...watch.things.values()].map(({ state }) => state?.['count']);
  expect([counts(own), counts(other)]).toEqual([[3], [3]]);
  const { log } = writer.pipeline;
  await log.states.forget({ keepMs: 0, limit: 500, nowMs: log.now.latest + 1000 });
  // Nobody has looked since.
  await writer.publish(put('s'));
  for (const watch of [own, other]) await watch.sink.until(() => counts(watch).join() === '1');
  await writer.publish(put('t'));
  for (const watch of [own, other]) await watch.sink.until(() => counts(watch).join() === '2');
  expect([own.state.faults, other.state.faults]).toEqual([[], []]);
});
