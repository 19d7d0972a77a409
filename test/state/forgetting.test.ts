/** Things that are forgotten beside whoever watches, comes back, or folds a moment later. */
import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import { defineContract, defineEntity, defineService } from '../../src/contract/define.ts';
import { text } from '../../src/contract/fields.ts';
import { shelf } from '../helpers/shelf.ts';
import { ClientState, follow, type Item, startStates, type TestStates, type Watcher } from '../helpers/states.ts';

const put = (thing: string, count = 1) => ({ channel: 'shelf.a', type: 'thing.put', data: { thing, count, kind: 'box' } });
const SELECTION = { channels: ['**'], entities: ['thing'] };
const keysOf = (watch: Watcher) => [...watch.things.values()].map(({ key }) => key).sort();
const itemsOf = (watch: Watcher) =>
  watch.sink.received.filter(({ type }) => !type.startsWith('state.')).map(({ json }) => JSON.parse(json) as Item);
const servingOf = ({ pipeline }: TestStates) => pipeline.states.serving(new Set(['thing']), new AbortController().signal);

/** One step of forgetting, by somebody else. */
const forget = ({ pipeline: { log } }: TestStates, laterMs = 1000) =>
  log.states.forget({ keepMs: 0, limit: 500, nowMs: log.now.latest + laterMs });

async function told(states: TestStates): Promise<void> {
  const { removals } = await states.pipeline.log.states.look([]);
  const serving = await servingOf(states);
  await expect.poll(() => serving.toldRemovals, { interval: 2 }).toBe(removals);
}

test('who comes back from where a thing was forgotten, once nobody notes that any more, begins anew', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x', 0), put('y'));
  await states.stored();
  const state = new ClientState();
  await (await states.watch(SELECTION, { state }).ready())[Symbol.asyncDispose]();
  await forget(states);
  await states.publish(put('z'));
  await states.stored();
  await forget(states, 5000);
  await forget(states, 10_000);
  await expect.poll(async () => (await servingOf(states)).limitsOf(undefined).forgottenSeq).toBeGreaterThan(2);
  await using again = await states.watch(SELECTION, { state }).ready();
  expect([keysOf(again), state.resets]).toEqual([['y', 'z'], ['expired']]);
});

test('what is forgotten while a client goes on, before who serves it looks, is told when it comes back', async () => {
  await using states = await startStates({ contract: shelf, storeMs: 300 });
  await states.publish(put('x', 0), put('y'));
  await states.stored();
  const state = new ClientState();
  const watch = await states.watch(SELECTION, { state }).ready();
  await forget(states);
  await states.publish(put('z'), put('z', 2));
  await watch.sink.until(() => itemsOf(watch).some(({ state: now }) => now?.['count'] === 2));
  await watch[Symbol.asyncDispose]();
  await told(states);
  await using again = await states.watch(SELECTION, { state }).ready();
  expect([keysOf(again), state.resets]).toEqual([['y', 'z'], []]);
});

test('who has not looked at what is stored for too long goes on once it has', async () => {
  await using writer = await startStates({ contract: shelf });
  await writer.publish(put('x', 0), put('y'));
  await writer.stored();
  await using follower = await follow(writer, shelf, { lookMs: 50 });
  await using watch = await follower.watch(SELECTION).ready();
  const store = writer.store.states;
  const { look } = store;
  const looking = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  store.look = async (names) => {
    looking.resolve();
    await released.promise;
    return look(names);
  };
  await looking.promise;
  await writer.pipeline.log.states.forget({ keepMs: 0, limit: 500, nowMs: writer.pipeline.log.now.latest + 1000 });
  const from = performance.now();
  await expect.poll(() => performance.now() - from > 60).toBe(true);
  await writer.publish(put('z'));
  // What comes now would be given to somebody who was not told that x is gone.
  await expect(follower.states.serving(new Set(['thing']), new AbortController().signal, 50)).rejects.toMatchObject({
    code: 'SERVICE_UNAVAILABLE',
  });
  expect(keysOf(watch)).toEqual(['x', 'y']);
  store.look = look;
  released.resolve();
  await watch.sink.until(() => keysOf(watch).join() === 'y,z');
  expect(itemsOf(watch).map(({ key, state }) => [key, state !== null])).toEqual([
    ['x', true],
    ['y', true],
    ['x', false],
    ['z', true],
  ]);
});

const trading = defineService({
  events: {
    'order.moved': {
      on: ['desk'],
      description: 'An order was moved.',
      data: z.strictObject({ id: text, to: text }),
      examples: [{ id: 'x', to: 'open' }],
    },
  },
});
/** An order that is not open stays as it is; an event of one that there is not makes one. */
const desk = defineContract({
  name: 'desk',
  families: { desk: { id: 'desk_id' } },
  services: { trading },
  entities: {
    order: defineEntity({
      description: 'An order.',
      of: [trading],
      types: ['order.moved'],
      key: ['id'],
      state: z.strictObject({ status: z.string() }),
      open: ({ status }) => status === 'open',
      reduce: (before, { data }) => (before !== undefined && before.status !== 'open' ? before : { status: data.to }),
    }),
  },
});

test('an event that changes nothing of what has ended makes nothing of it for who folds it after it was forgotten', async () => {
  await using writer = await startStates({ contract: desk });
  const orders = { channels: ['**'], entities: ['order'] };
  const moved = (to: string) => ({ channel: 'desk.a', type: 'order.moved', data: { id: 'o1', to } });
  await writer.publish(moved('open'), moved('filled'));
  await writer.stored();
  await using follower = await follow(writer, desk);
  await using theirs = await follower.watch(orders).ready();
  await using own = await writer.watch(orders).ready();
  const statesOf = (watch: Watcher) => [...watch.things.values()].map(({ state }) => state?.['status']);
  expect([statesOf(own), statesOf(theirs)]).toEqual([['filled'], ['filled']]);
  const store = writer.store.states;
  const { find } = store;
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let finds = 0;
  // The writer asks first.
  store.find = async (names) => {
    finds += 1;
    if (finds === 1) return find(names);
    asked.resolve();
    await released.promise;
    return find(names);
  };
  await writer.publish(moved('cancelled'));
  await asked.promise;
  await vi.waitFor(async () => expect((await writer.pipeline.log.states.look(['order'])).builds).toMatchObject([{ seq: 3 }]));
  await forget(writer);
  store.find = find;
  released.resolve();
  for (const watch of [own, theirs]) await watch.sink.until(() => watch.things.size === 0);
  expect(await writer.get(orders)).toMatchObject({ items: [] });
  // Behind that the next event makes another.
  await writer.publish(moved('open'));
  for (const watch of [own, theirs]) await watch.sink.until(() => statesOf(watch).join() === 'open');
});

test('at the end of a rebuild what is served stays exact until what was made takes its place', async () => {
  await using states = await startStates({ contract: shelf, storeMs: 200 });
  const tally = { channels: ['**'], entities: ['tally'] };
  await states.publish(put('p'), put('q'));
  await states.stored();
  const store = states.store.states;
  const { complete, claim, read } = store;
  const claiming = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let isComplete = false;
  let isPublished = false;
  store.complete = async (builds) => {
    await complete(builds);
    isComplete = true;
  };
  store.claim = async (input) => {
    if (isComplete) {
      claiming.resolve();
      await released.promise;
    }
    return claim(input);
  };
  store.read = async (query) => {
    // An event that ends the tally comes while it is made.
    if (query.isAhead === true && !isPublished) {
      isPublished = true;
      await states.publish(put('r'));
    }
    return read(query);
  };
  await using watch = await states.watch(tally).ready();
  await Promise.all(['tally', 'thing'].map((entity) => states.pipeline.states.rebuild(entity)));
  await claiming.promise;
  await states.publish(put('s'));
  await watch.sink.until(() => [...watch.things.values()][0]?.state?.['count'] === 4);
  expect((await states.get(tally)).items.map(({ json }) => JSON.parse(json).state.count)).toEqual([4]);
  released.resolve();
  await watch.sink.until(() => watch.read().readys === 2);
  expect(itemsOf(watch).map(({ state }) => state?.['count'])).toEqual([2, 3, 4, 4]);
});
