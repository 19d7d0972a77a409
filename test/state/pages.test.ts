/** Pages of the state beside what befalls a storage: builds that replace each other, and things that are forgotten. */
import { expect, test } from 'vitest';
import { shelf } from '../helpers/shelf.ts';
import { type Item, startStates, type TestStates } from '../helpers/states.ts';

const put = (thing: string, count = 1) => ({ channel: 'shelf.a', type: 'thing.put', data: { thing, count, kind: 'box' } });
const selection = { channels: ['**'], entities: ['thing'] };

/** Reads to the end; at most so many pages. */
async function readAll(
  states: TestStates,
  { limit = 2, most = 20, between = async () => undefined }: { limit?: number; most?: number; between?: () => Promise<unknown> } = {},
) {
  const keys = new Set<string>();
  const resets: unknown[] = [];
  let after: string | undefined;
  for (let pages = 1; pages <= most; pages += 1) {
    const page = await states.get({ ...selection, limit, after });
    if (page.reset !== null) {
      resets.push(page.reset.reason);
      keys.clear();
    }
    for (const { json } of page.items) {
      const { key, state } = JSON.parse(json) as Item;
      if (state === null) keys.delete(key);
      else keys.add(key);
    }
    after = page.next;
    if (!page.has_more) return { keys: [...keys].sort(), resets };
    if (pages === 1) await between();
  }
  throw new Error(`there is no end: ${after}`);
}

/** Makes the states anew, and waits until what was made is served. */
async function rebuild(states: TestStates): Promise<void> {
  const before = (await states.pipeline.log.states.look(['thing'])).builds.length;
  await states.pipeline.states.rebuild('thing');
  const isServed = async () => {
    const { builds } = await states.pipeline.log.states.look(['thing']);
    const last = builds.at(-1)?.number ?? 0;
    const serving = await states.pipeline.states.serving(new Set(['thing']), new AbortController().signal);
    return builds.length > before && builds.every(({ isComplete }) => isComplete) && serving.buildsOf(new Set(['thing'])).includes(last);
  };
  await expect.poll(isServed, { timeout: 5000, interval: 5 }).toBe(true);
}

const ALL = ['a', 'b', 'c', 'd', 'e', 'f'];

test('come to an end after the states were made anew, and nothing has been published since', async () => {
  await using states = await startStates({ contract: shelf });
  for (const thing of ALL) await states.publish(put(thing));
  await states.stored();
  await rebuild(states);
  expect(await readAll(states)).toEqual({ keys: ALL, resets: [] });
});

test('begin anew where the states are made anew in between', async () => {
  await using states = await startStates({ contract: shelf });
  for (const thing of ALL) await states.publish(put(thing));
  await states.stored();
  expect(await readAll(states, { between: () => rebuild(states) })).toEqual({ keys: ALL, resets: ['rebuilt'] });
});

test('do not keep what was forgotten in between', async () => {
  await using states = await startStates({ contract: shelf });
  for (const thing of ALL) await states.publish(put(thing, thing === 'a' || thing === 'f' ? 0 : 1));
  await states.stored();
  expect(await readAll(states, { between: () => forgetEnded(states) })).toEqual({ keys: ['b', 'c', 'd', 'e'], resets: [] });
});

test('a watch that was behind when something was forgotten is told of it', async () => {
  await using states = await startStates({ contract: shelf, pageRows: 2 });
  for (const thing of ALL) await states.publish(put(thing, thing === 'a' || thing === 'f' ? 0 : 1));
  await states.stored();
  await using live = await states.watch(selection).ready();
  await using slow = states.watch(selection, { room: 1 });
  await slow.sink.untilFull();
  await using behind = await states.watch(selection, { room: ALL.length + 1 }).ready();
  await states.publish(put('g'));
  await behind.sink.untilFull();
  await states.stored();
  await forgetEnded(states);
  await states.publish(put('h'));
  for (const watch of [slow, behind]) watch.sink.makeRoom(1e9);
  for (const watch of [live, slow, behind]) {
    await expect
      .poll(() => [...watch.things.values()].map(({ key }) => key).sort(), { timeout: 1000, interval: 2 })
      .toEqual(['b', 'c', 'd', 'e', 'g', 'h']);
    expect(watch.readys).toBe(1);
  }
});

test('a first page has each thing once, and nothing of what is not selected', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('a'), put('b'), put('c'));
  await states.stored();
  states.store.hold();
  await states.publish(put('a', 0), put('b', 2), put('b', 3));
  const page = await states.get({ ...selection, open: true });
  expect(page.items.map(({ json }) => JSON.parse(json)).map(({ key, state }) => [key, state?.count])).toEqual([
    ['c', 1],
    ['b', 3],
  ]);
  states.store.release();
});

test('what was forgotten while a page was read is told to whoever goes on', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x', 0), put('y'));
  await states.stored();
  const store = states.store.states;
  const { read } = store;
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  store.read = async (query) => {
    const page = await read(query);
    asked.resolve();
    await released.promise;
    return page;
  };
  const answer = states.get(selection);
  await asked.promise;
  await forgetEnded(states);
  await states.publish(put('z'), put('z', 2));
  await states.stored();
  store.read = read;
  released.resolve();
  const page = await answer;
  const next = await states.get({ ...selection, after: page.next });
  const things = new Map([...page.items, ...next.items].map(({ json }) => JSON.parse(json) as Item).map(({ key, state }) => [key, state]));
  expect([...things].flatMap(([key, state]) => (state === null ? [] : [key])).sort()).toEqual(['y', 'z']);
  expect(next.reset).toBeNull();
});

test('what was forgotten and has come again is not told as gone', async () => {
  await using states = await startStates({ contract: shelf });
  for (const thing of ALL) await states.publish(put(thing, thing === 'a' ? 0 : 1));
  await states.stored();
  await using live = await states.watch(selection).ready();
  states.store.hold();
  // Before those who serve have heard of it.
  await states.pipeline.log.states.forget({ keepMs: 0, limit: 100, nowMs: states.pipeline.log.now.latest + 1000 });
  await states.publish(put('a'));
  states.store.release();
  await told(states);
  expect([...live.things.values()].map(({ key }) => key).sort()).toEqual(ALL);
});

/** What has ended is forgotten, and those who watch have been told. */
async function forgetEnded(states: TestStates): Promise<void> {
  await states.pipeline.log.states.forget({ keepMs: 0, limit: 100, nowMs: states.pipeline.log.now.latest + 1000 });
  await told(states);
}

async function told(states: TestStates): Promise<void> {
  const { removals } = await states.pipeline.log.states.look([]);
  const serving = await states.pipeline.states.serving(new Set(['thing']), new AbortController().signal);
  await expect.poll(() => serving.toldRemovals, { timeout: 2000, interval: 2 }).toBe(removals);
}
