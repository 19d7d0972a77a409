/** The state of things, as the client keeps it: it is what the events fold to, at every moment, whatever happens meanwhile. */
import { expect, test, vi } from 'vitest';
import { CourierClient, type CourierError, type EventDraft, type StateEntry } from '../../client/src/index.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { clientOf, filled, foldOf, moved, placed, QUICK, shownBy, until } from './states.ts';

const names = (count: number, prefix = 'o') => Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);

test('what is there comes whole, and then what changes', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.publishBatch([placed('o1'), filled('o1', '9'), placed('o2', { strategy: 's2' })]);
  using orders = client.state('strategy.*', 'order');
  expect([orders.isReady, orders.size, orders.get('o1'), orders.items()]).toEqual([false, 0, undefined, []]);
  await orders.ready;
  expect(orders).toMatchObject({ isReady: true, size: 2, error: undefined });
  expect(orders.get('o1')).toMatchObject({ order_id: 'o1', status: 'open', filled_quantity: '1', remaining_quantity: '9' });
  expect(orders.get('o1', 'strategy.s1')).toBe(orders.get('o1'));
  expect([orders.get('o1', 'strategy.s2'), orders.get('o3')]).toEqual([undefined, undefined]);
  const [first, second] = orders.items();
  expect([...orders]).toEqual([first, second]);
  expect(second).toMatchObject({ channel: 'strategy.s2', entity: 'order', key: 'o2', open: true, state: { order_id: 'o2' } });
  const { id } = await client.publish('strategy.s2', 'order.filled', filled('o2').data);
  await until(orders, () => orders.get('o2')?.status === 'filled');
  expect(orders.items()).toMatchObject([{ key: 'o1' }, { id, key: 'o2', open: false }]);
  // What has not changed is the same.
  expect(orders.items()[0]).toBe(first);
  expect(orders.items()).toBe(orders.items());
  expect(shownBy(orders)).toEqual(await foldOf(client, 'order'));
});

test('where several channels have a key, the one that changed last is meant unless a channel is named', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.publishBatch([placed('o1', { symbol: 'A' }), placed('o1', { strategy: 's2', symbol: 'B' })]);
  using orders = client.state(['strategy.s1', 'strategy.s2'], 'order');
  await orders.ready;
  expect([orders.size, orders.get('o1')?.symbol, orders.get('o1', 'strategy.s1')?.symbol]).toEqual([2, 'B', 'A']);
  await client.publishBatch([filled('o1', '9', { symbol: 'A' })]);
  await until(orders, () => orders.get('o1')?.symbol === 'A');
});

test('nothing is missed between what is there and what changes, while others publish', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await using publisher = clientOf(gateway, await gateway.token('root', 'admin'));
  const drafts = names(300).flatMap((order): EventDraft[] => [placed(order), filled(order, '9'), moved(order.toUpperCase(), '3')]);
  const published = Promise.all(drafts.map((draft) => publisher.publishBatch([draft])));
  // Each begins at another time.
  const maps: ReturnType<typeof client.state<'strategy.*', 'order'>>[] = [];
  for (const maxPerSecond of [undefined, 100, 90, 80, 70]) {
    const map = client.state('strategy.*', 'order', { maxPerSecond });
    maps.push(map);
    await map.ready;
  }
  await published;
  const folded = await foldOf(client, 'order');
  expect(Object.keys(folded)).toHaveLength(300);
  for (const map of maps) {
    await until(map, () => map.size === 300 && map.items().every(({ state }) => state.filled_quantity === '1'));
    expect(shownBy(map)).toEqual(folded);
  }
  expect(await client.readState('strategy.*', 'order')).toHaveLength(300);
});

test('a gateway that begins again loses nothing, and what has not changed stays the same', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  const first = await startGateway(env);
  const port = new URL(first.url).port;
  await using client = clientOf(first, await first.token('ada', 'admin'));
  await client.publishBatch([placed('o1'), placed('o2'), placed('o3')]);
  using orders = client.state('strategy.*', 'order');
  using open = client.state('strategy.*', 'order', { open: true });
  await Promise.all([orders.ready, open.ready]);
  const [kept] = orders.items();
  await first[Symbol.asyncDispose]();
  {
    // Where the client does not look for it.
    await using elsewhere = await startGateway(env);
    await using other = clientOf(elsewhere, await elsewhere.token('root', 'admin'));
    await other.publishBatch([filled('o2'), placed('o4'), filled('o3', '9')]);
  }
  expect([orders.size, orders.isReady]).toEqual([3, true]);
  await using second = await startGateway({ ...env, COURIER_PORT: port });
  await until(orders, () => orders.size === 4);
  await until(open, () => open.size === 3 && open.get('o2') === undefined);
  await client.publish('strategy.s1', 'order.filled', filled('o4', '9').data);
  await until(orders, () => orders.get('o4')?.filled_quantity === '1');
  expect(shownBy(orders)).toEqual(await foldOf(client, 'order'));
  expect(open.items().map(({ key }) => key)).not.toContain('o2');
  expect(orders.items().find(({ key }) => key === 'o1')).toBe(kept);
  expect(second.pipeline.hub.subscribers).toBe(0);
});

test('a state that is given anew takes the place of the old one at once', async () => {
  const first = await startGateway();
  const port = new URL(first.url).port;
  const token = await first.token('ada', 'admin');
  await using client = clientOf(first, token);
  await client.publishBatch([placed('o1'), placed('o2')]);
  using orders = client.state('strategy.*', 'order');
  await orders.ready;
  const sizes: number[] = [];
  orders.subscribe(() => sizes.push(orders.size));
  await first[Symbol.asyncDispose]();
  // Another log: what the client has is of no use.
  await using second = await startGateway({ COURIER_PORT: port });
  await using other = clientOf(second, token);
  await other.publishBatch([placed('o2'), placed('o3'), placed('o4')]);
  await until(orders, () => orders.size === 3);
  expect(orders.items().map(({ key }) => key)).toEqual(['o2', 'o3', 'o4']);
  // What is shown meanwhile is never a part of it.
  expect(sizes.filter((size) => size === 1 || size === 0)).toEqual([]);
  expect(shownBy(orders)).toEqual(await foldOf(client, 'order'));
});

test('what is no longer open leaves, and comes back', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.publishBatch([moved('SPX', '10'), moved('NDX', '0'), moved('RUT', '4')]);
  using open = client.state('strategy.s1', 'position', { open: true });
  using closed = client.state('strategy.s1', 'position', { open: false });
  await Promise.all([open.ready, closed.ready]);
  expect(open.items().map(({ key }) => key)).toEqual(['s1/SPX', 's1/RUT']);
  expect(closed.items().map(({ key }) => key)).toEqual(['s1/NDX']);
  await client.publishBatch([moved('SPX', '0'), moved('NDX', '7')]);
  await until(open, () => open.get('s1/NDX') !== undefined);
  await until(closed, () => closed.get('s1/SPX') !== undefined);
  expect(open.items().map(({ key }) => key)).toEqual(['s1/RUT', 's1/NDX']);
  expect(closed.items().map(({ key }) => key)).toEqual(['s1/SPX']);
});

test('keys and fields select', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.publishBatch([placed('o1'), placed('o2', { symbol: 'NDX' }), placed('o3', { symbol: 'RUT' }), filled('o1')]);
  const keysOf = (items: readonly StateEntry<'order'>[]) => items.map(({ key }) => key).sort();
  using some = client.state('strategy.*', 'order', { where: { 'state.symbol': ['SPX', 'NDX'], 'state.status': 'open' } });
  using named = client.state('strategy.*', 'order', { keys: ['o1', 'o3', 'o9'] });
  await Promise.all([some.ready, named.ready]);
  expect([keysOf(some.items()), keysOf(named.items())]).toEqual([['o2'], ['o1', 'o3']]);
  await client.publishBatch([placed('o9'), filled('o2', '0', { symbol: 'NDX' })]);
  await until(some, () => some.get('o9') !== undefined && some.get('o2') === undefined);
  await until(named, () => named.size === 3);
  expect([keysOf(some.items()), keysOf(named.items())]).toEqual([['o9'], ['o1', 'o3', 'o9']]);
  expect(keysOf(await client.readState('strategy.*', 'order', { where: { 'state.status': 'open' } }))).toEqual(['o3', 'o9']);
  expect(keysOf(await client.readState('strategy.*', 'order', { open: false, keys: ['o1', 'o3'] }))).toEqual(['o1']);
});

test('with a pace it is told the latest of many changes', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.publishBatch([placed('o1')]);
  using slow = client.state('strategy.*', 'order', { maxPerSecond: 2 });
  await slow.ready;
  const ids = new Set<string>();
  slow.subscribe(() => void ids.add(slow.items()[0]?.id ?? ''));
  let last = '';
  for (let left = 60; left >= 0; left -= 1)
    ({ id: last } = await client.publish('strategy.s1', 'order.filled', filled('o1', `${left}`).data));
  await until(slow, () => slow.items()[0]?.id === last);
  expect(slow.get('o1')).toMatchObject({ filled_quantity: '61', remaining_quantity: '0' });
  expect(ids.size).toBeLessThan(20);
});

test('many changes of one turn are told once, and whoever has left is told nothing', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  using orders = client.state('strategy.*', 'order');
  await orders.ready;
  const told = vi.fn();
  const left = vi.fn();
  orders.subscribe(told);
  orders.subscribe(left)();
  await client.publishBatch(names(400).map((order) => placed(order)));
  await until(orders, () => orders.size === 400);
  expect(told.mock.calls.length).toBeLessThan(100);
  expect(left).not.toHaveBeenCalled();
});

test('equal ones share one watch, which ends with the last of them', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.publishBatch([placed('o1')]);
  const one = client.state(['strategy.s1', 'strategy.s2'], 'order', { keys: ['o1', 'o2'], where: { 'state.symbol': ['SPX', 'NDX'] } });
  await one.ready;
  const two = client.state(['strategy.s2', 'strategy.s1', 'strategy.s1'], 'order', {
    where: { 'state.symbol': ['NDX', 'SPX'] },
    keys: ['o2', 'o1'],
    maxPerSecond: undefined,
  });
  // It has all at once.
  expect([two.isReady, two.items()]).toEqual([true, one.items()]);
  await two.ready;
  expect(gateway.census.subscriptions).toBe(1);
  one.close();
  await client.publishBatch([placed('o2')]);
  await until(two, () => two.size === 2);
  // It shows what it had.
  expect([one.size, one.isReady, one.error]).toEqual([1, true, undefined]);
  expect(gateway.census.subscriptions).toBe(1);
  two[Symbol.dispose]();
  await expect.poll(() => gateway.census.subscriptions).toBe(0);
  expect(two.size).toBe(2);
  using again = client.state(['strategy.s1', 'strategy.s2'], 'order', { keys: ['o1', 'o2'], where: { 'state.symbol': ['SPX', 'NDX'] } });
  expect(again.isReady).toBe(false);
  await again.ready;
  expect(again.size).toBe(2);
});

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: CourierError) => error,
  );

test('what the gateway refuses ends it, with the error', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'user', { subscribe: ['backtest.*'] }));
  const unknown = client.state('backtest.*', 'orders' as 'order');
  expect(await failure(unknown.ready)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'entity' }] });
  expect(unknown).toMatchObject({ isReady: false, error: { code: 'BAD_REQUEST' } });
  const forbidden = client.state('strategy.*', 'order');
  const told = vi.fn();
  forbidden.subscribe(told);
  expect(await failure(forbidden.ready)).toMatchObject({ code: 'FORBIDDEN' });
  expect(told).toHaveBeenCalledTimes(1);
  const field = client.state('backtest.*', 'backtest', { where: { 'state.colour': 'red' } as object });
  expect(await failure(field.ready)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'where.state.colour' }] });
  expect(await failure(client.readState('strategy.*', 'order'))).toMatchObject({ code: 'FORBIDDEN' });
});

test('an error that nobody looks for goes to the console', async () => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'user'));
  const forbidden = client.state('strategy.*', 'order');
  await expect.poll(() => forbidden.error).toMatchObject({ code: 'FORBIDDEN' });
  expect(printed.mock.calls).toEqual([['a state of Courier has ended', forbidden.error]]);
  printed.mockRestore();
});

test('it ends with its signal, with close, and with the client', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const ending = new AbortController();
  const maps = [
    client.state('strategy.*', 'order', { signal: ending.signal }),
    client.state('strategy.*', 'order'),
    client.state('global', 'order'),
  ];
  const ended = Promise.all(maps.map(({ ready }) => failure(ready)));
  ending.abort();
  maps[1]?.close();
  await client.close();
  for (const error of await ended) expect(error).toMatchObject({ code: 'CLOSED' });
  for (const map of maps) expect(map).toMatchObject({ isReady: false, error: undefined });
  expect(() => client.state('strategy.*', 'order')).toThrow(expect.objectContaining({ code: 'CLOSED' }));
});

test('a gateway that is away is waited for, or given up', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('ada', 'admin');
  await gateway[Symbol.asyncDispose]();
  await using client = new CourierClient({ url: gateway.url, token, retry: QUICK, giveUpAfter: 50 });
  expect(await failure(client.state('strategy.*', 'order').ready)).toMatchObject({ code: 'UNREACHABLE' });
});

test('a token that is refused ends it, or it waits for another', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, 'nonsense');
  using waits = client.state('strategy.*', 'order', { whenRefused: 'wait' });
  expect(await failure(client.state('strategy.s1', 'order').ready)).toMatchObject({ code: 'UNAUTHORIZED' });
  expect(waits.error).toBeUndefined();
  await client.setToken(await gateway.token('ada', 'admin'));
  await waits.ready;
});

test('all pages are read, at one position', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  for (const part of [0, 1, 2]) await client.publishBatch(names(450, `p${part}-`).map((order) => placed(order)));
  await client.publishBatch([filled('p0-1'), moved('SPX', '1')]);
  const items = await client.readState('strategy.*', 'order');
  expect(Object.fromEntries(items.map(({ channel, key, state }) => [`${channel} ${key}`, state]))).toEqual(await foldOf(client, 'order'));
  expect(items).toHaveLength(1350);
});

test.each([
  ['channels', { channels: [] }, 'must be a channel, or a list of one or more, and is empty'],
  ['channels', { channels: 5 }, 'must be a channel, or a list, and is 5'],
  ['entity', { entity: undefined }, 'must be a text, and is undefined'],
  ['keys', { keys: [] }, 'must be a list of one or more texts, and is an empty list'],
  ['keys', { keys: 'o1' }, 'must be a list of one or more texts, and is "o1"'],
  ['keys', { keys: ['o1', 5] }, 'must be a list of one or more texts, and is a list'],
  ['open', { open: 'yes' }, 'must be true or false, and is "yes"'],
  ['where', { where: 'state.symbol' }, 'must be an object, by fields such as \'state.symbol\', and is "state.symbol"'],
  ['where', { where: ['state.symbol'] }, "must be an object, by fields such as 'state.symbol', and is a list"],
  ['where.state.symbol', { where: { 'state.symbol': [] } }, 'must be a text, a finite number or a boolean, .*, and is an empty list'],
  ['where.state.symbol', { where: { 'state.symbol': {} } }, 'must be a text, a finite number or a boolean, .*, and is an object'],
  ['where.state.symbol', { where: { 'state.symbol': null } }, 'must be a text, a finite number or a boolean, .*, and is null'],
  ['where.state.score', { where: { 'state.score': Number.NaN } }, 'must be a text, a finite number or a boolean, .*, and is NaN'],
  ['where.state.score.1', { where: { 'state.score': [1, Infinity] } }, 'must be a text, a finite number or a boolean, .*, and is Infinity'],
  ['maxPerSecond', { maxPerSecond: 0.05 }, 'must be a number from 0.1 to 100, and is 0.05'],
  ['maxPerSecond', { maxPerSecond: 101 }, 'must be a number from 0.1 to 100, and is 101'],
  ['signal', { signal: {} }, 'must be an AbortSignal'],
  ['maxPerSec', { maxPerSec: 5 }, 'there is no such option; the nearest is maxPerSecond'],
  ['max_per_second', { max_per_second: 5 }, 'there is no such option; the nearest is maxPerSecond'],
])('a wrong option is refused by its name: %s', async (option, given: object, message) => {
  await using client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't' });
  const { channels = 'strategy.*', entity = 'order', ...options } = { ...given } as { channels?: never; entity?: never };
  const named = 'entity' in given ? undefined : entity;
  expect(() => client.state(channels as never, named as never, options)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(`^${option}: ${message}`) }),
  );
});
