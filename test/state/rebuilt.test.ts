/** Watches while the states are made anew, or served anew: what a client had is replaced, or goes on. */
import { expect, test } from 'vitest';
import { shelf } from '../helpers/shelf.ts';
import { ClientState, startStates, type TestStates } from '../helpers/states.ts';

const put = (thing: string) => ({ channel: 'shelf.a', type: 'thing.put', data: { thing, count: 1, kind: 'box' } });
const SELECTION = { channels: ['**'], entities: ['thing'] };

async function rebuild(states: TestStates): Promise<void> {
  const entities = new Set(['thing']);
  const serving = await states.pipeline.states.serving(entities, new AbortController().signal);
  const replaced = new Promise((resolve) => serving.ended.signal.addEventListener('abort', resolve));
  await states.pipeline.states.rebuild('thing');
  await replaced;
}

test('a watch is given everything again when the states were made anew, and then what changes', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x'), put('y'));
  await states.stored();
  await using watch = await states.watch(SELECTION).ready();
  // What is there no more after a reset is gone.
  watch.state.things.set('stale', { channel: 'shelf.a', entity: 'thing', key: 'stale', open: true, state: {} });
  await rebuild(states);
  await watch.sink.until(() => watch.read().readys === 2);
  expect(watch.state.resets).toEqual(['rebuilt']);
  expect([...watch.things.values()].map(({ key }) => key).sort()).toEqual(['x', 'y']);
  await states.publish(put('z'));
  await watch.sink.until(() => watch.things.size === 3);
  expect(watch.readys).toBe(2);
  expect(watch.state.faults).toEqual([]);
});

test('a watch of an entity that was not made anew goes on', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x'), put('y'));
  await states.stored();
  await using watch = await states.watch({ channels: ['**'], entities: ['tally'] }).ready();
  await rebuild(states);
  await states.publish(put('z'));
  await watch.sink.until(() => [...watch.things.values()][0]?.state?.['count'] === 3);
  expect(watch.state.resets).toEqual([]);
  expect(watch.state.faults).toEqual([]);
});

test('who comes back to states that were made anew begins anew, once', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x'), put('y'));
  await states.stored();
  const state = new ClientState();
  await using first = await states.watch(SELECTION, { state }).ready();
  await first[Symbol.asyncDispose]();
  await rebuild(states);
  await states.publish(put('z'));
  await using second = await states.watch(SELECTION, { state }).ready();
  expect(state.resets).toEqual(['rebuilt']);
  await second[Symbol.asyncDispose]();
  await using third = await states.watch(SELECTION, { state }).ready();
  expect(state.resets).toEqual(['rebuilt']);
  expect([...third.things.values()].map(({ key }) => key).sort()).toEqual(['x', 'y', 'z']);
});

test('who comes back to states that were made anew has what was given of them, though nothing has come since', async () => {
  await using states = await startStates({ contract: shelf });
  await states.publish(put('x'), put('y'));
  await states.stored();
  const state = new ClientState();
  const watch = async (request: object = SELECTION) => {
    const watcher = await states.watch({ ...SELECTION, ...request }, { state }).ready();
    await watcher[Symbol.asyncDispose]();
  };
  await watch();
  const before = await states.get(SELECTION);
  await rebuild(states);
  await watch();
  expect(state.resets).toEqual(['rebuilt']);
  const told = state.lastEventId;
  for (let times = 0; times < 3; times += 1) await watch();
  expect([state.resets, state.lastEventId]).toEqual([['rebuilt'], told]);
  const page = await states.get({ ...SELECTION, after: before.next });
  expect(page).toMatchObject({ reset: { reason: 'rebuilt' }, position: states.pipeline.log.positions.at(2) });
  expect(await states.get({ ...SELECTION, after: page.next })).toMatchObject({ items: [], reset: null, next: page.next });
  // What was given of another entity, and with what is served now.
  await states.publish(put('z'));
  expect((await states.get({ ...SELECTION, after: page.next })).items.map(({ json }) => JSON.parse(json).key)).toEqual(['z']);
  await rebuild(states);
  await watch();
  expect(state.resets).toEqual(['rebuilt', 'rebuilt']);
  expect(await states.get({ ...SELECTION, after: page.next })).toMatchObject({ reset: { reason: 'rebuilt' } });
});

test('who comes back with what the first event has made is told that it is gone', async () => {
  await using states = await startStates({ contract: shelf });
  const state = new ClientState();
  const first = await states.watch(SELECTION, { state }).ready();
  // It changes another entity, too: whoever has this goes on before it.
  await states.publish(put('x'));
  await first.sink.until(() => first.things.size === 1);
  await first[Symbol.asyncDispose]();
  await states.publish({ channel: 'shelf.a', type: 'thing.taken', data: { thing: 'x' } });
  await using again = await states.watch(SELECTION, { state }).ready();
  expect([[...again.things.keys()], state.resets]).toEqual([[], []]);
  const { items } = await states.get({ ...SELECTION, after: states.pipeline.log.positions.at(0) });
  expect(items.map(({ json }) => JSON.parse(json))).toMatchObject([{ key: 'x', state: null }]);
});

test('who comes back with a part of what is selected does not keep what is not selected any more', async () => {
  await using states = await startStates({ contract: shelf, pageRows: 1 });
  for (const thing of ['x', 'y', 'z']) await states.publish(put(thing));
  await states.stored();
  const state = new ClientState();
  const request = { ...SELECTION, open: true };
  await using first = states.watch(request, { state, room: 1 });
  await first.sink.untilFull();
  await first[Symbol.asyncDispose]();
  expect([[...state.things.values()].map(({ key }) => key), state.isReady]).toEqual([['x'], false]);
  await states.publish({ channel: 'shelf.a', type: 'thing.put', data: { thing: 'x', count: 0, kind: 'box' } });
  await states.stored();
  await using again = await states.watch(request, { state }).ready();
  expect([...again.things.values()].map(({ key }) => key)).toEqual(['y', 'z']);
});
