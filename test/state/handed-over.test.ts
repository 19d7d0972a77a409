/** What a watch is owed where what serves it changes meanwhile: storing, forgetting, or another that takes its place. */
import { expect, test, vi } from 'vitest';
import { Failures } from '../../src/observe/failures.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { LiveState } from '../../src/state/live-state.ts';
import type { Serving } from '../../src/state/serving.ts';
import { shelf } from '../helpers/shelf.ts';
import { connectionOf, type Item, openEvents, startStates, type TestStates, Watcher } from '../helpers/states.ts';

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

/** Another that serves the same states, and does not write them. */
async function follow(writer: TestStates) {
  await using stack = new AsyncDisposableStack();
  const logger = createLogger({ logLevel: 'silent', logFormat: 'json' });
  const events = stack.use(await openEvents(shelf, writer.pipeline.log));
  const failures = new Failures({ meter: noMeter, logger });
  const states = stack.use(
    await LiveState.open({ contract: shelf, pipeline: events, keepMs: 1e9, failures, logger, settings: { storeMs: 1 } }),
  );
  const resources = stack.move();
  return {
    watch: (request: Watcher['request']) => new Watcher({ ...events, states }, connectionOf(shelf), request),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

test('a follower that reads what the writer has stored meanwhile tells that it has left the selection', async () => {
  await using writer = await startStates({ contract: shelf });
  await writer.publish(put('x'), put('y'));
  await writer.stored();
  await using follower = await follow(writer);
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
  await using follower = await follow(writer);
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
