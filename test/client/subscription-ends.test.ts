/** How a caller hears that a subscription has ended: in any way it likes, and never by the end of the process. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BackgroundPublisher, CourierClient } from '../../client/src/index.ts';
import type { Subscription } from '../../client/src/subscription.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
const forbidden = expect.objectContaining({ code: 'FORBIDDEN' });

beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => {
  process.off('unhandledRejection', note);
  unhandled.length = 0;
  vi.restoreAllMocks();
});

/** A client that may not subscribe to anything of the forge. */
async function clientOf(gateway: TestGateway) {
  return new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'user', { subscribe: ['backtest.*'] }) });
}

type Watch = (subscription: Subscription) => Promise<unknown>;

test.each<[what: string, watch: Watch]>([
  ['live', ({ live }) => live],
  ['ended', ({ ended }) => ended],
])('who looks at %s only is told there, and nowhere else', async (_what, watch) => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  await expect(watch(client.subscribe('forge.job.*', () => undefined))).rejects.toEqual(forbidden);
  // Rejections are told of once the microtasks are done.
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
  expect(printed).not.toHaveBeenCalled();
});

test('who gives onError is told there, and nowhere else', async () => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  const error = await new Promise((resolve) => client.subscribe('forge.job.*', () => undefined, { onError: resolve }));
  await new Promise((resolve) => setImmediate(resolve));
  expect(error).toEqual(forbidden);
  expect(unhandled).toEqual([]);
  expect(printed).not.toHaveBeenCalled();
});

const broken = new Error('the handler is broken');

/** Gives a subscription that has become live a handler that fails. */
async function failLive(subscribed: (subscription: Subscription) => unknown, options?: { onError: (error: unknown) => unknown }) {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin') });
  const subscription = client.subscribe(
    'backtest.b1',
    () => {
      throw broken;
    },
    options,
  );
  const { live } = subscription;
  await live;
  subscribed(subscription);
  await client.publish('backtest.b1', 'backtest.progress', progressOf());
  await expect.poll(() => subscription.lastEventId).toBeDefined();
  await new Promise((resolve) => setImmediate(resolve));
}

test.each<[how: string, look: (subscription: Subscription) => unknown]>([
  ['it', () => undefined],
  ['live again', ({ live }) => void live],
  ['ended, for which nobody waits', ({ ended }) => void ended],
])('live resolved, then it fails: who looks at %s finds the error in the console', async (_how, look) => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  await failLive(look);
  await expect.poll(() => printed.mock.calls).toEqual([['a subscription of Courier has ended', broken]]);
  expect(unhandled).toEqual([]);
});

test.each<[how: string, wait: (ended: Promise<void>) => Promise<unknown>]>([
  ['await', async (ended) => await ended],
  ['then', (ended) => ended.then()],
  ['catch', (ended) => ended.catch((error) => Promise.reject(error))],
  ['finally', (ended) => ended.finally(() => undefined)],
  ['Promise.all', (ended) => Promise.all([ended])],
])('live resolved, then it fails: who waits for ended with %s is told there only', async (_how, wait) => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  const told: unknown[] = [];
  await failLive(({ ended }) => wait(ended).catch((error) => told.push(error)));
  expect(told).toEqual([broken]);
  expect(printed).not.toHaveBeenCalled();
  expect(unhandled).toEqual([]);
});

const CARELESS: readonly [how: string, callback: () => unknown][] = [
  [
    'throws',
    () => {
      throw broken;
    },
  ],
  ['rejects', () => Promise.reject(broken)],
];

test.each(CARELESS)('an onError that %s is told in the console', async (_how, onError) => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  await failLive(() => undefined, { onError });
  await expect.poll(() => printed.mock.calls).toEqual([['a callback of a Courier client has failed', broken]]);
  expect(unhandled).toEqual([]);
});

test.each(CARELESS)('no other callback that %s ends anything, or goes unheard', async (_how, callback) => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  const fail = callback as () => void;
  await using client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't', onRetry: fail });
  const retried = new Promise<void>((resolve) => client.connection.subscribe((state) => 'error' in state && resolve()));
  client.connect().catch(() => undefined);
  await retried;
  client.connection.subscribe(fail);
  await using publisher = new BackgroundPublisher(client, { onError: fail });
  publisher.submit(null as never);
  await client.close();
  // One of onRetry, at least, one of the listener, one of the publisher.
  await expect.poll(() => printed.mock.calls.length).toBeGreaterThan(2);
  expect(new Set(printed.mock.calls.map((call) => call[0]))).toEqual(new Set(['a callback of a Courier client has failed']));
  expect(unhandled).toEqual([]);
});

test('where nobody looks the error is printed', async () => {
  const printed = vi.spyOn(console, 'error').mockReturnValue();
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  client.subscribe('forge.job.*', () => undefined);
  await expect.poll(() => printed.mock.calls).toEqual([['a subscription of Courier has ended', forbidden]]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

test('what else nobody looks at ends nothing either', async () => {
  await using gateway = await startGateway();
  const client = await clientOf(gateway);
  const iterator = client.subscribe('forge.job.*');
  await expect(iterator.next()).rejects.toEqual(forbidden);
  // Nobody asks this one for anything.
  client.subscribe('forge.job.*');
  const subscription = client.subscribe('backtest.*', () => undefined);
  await client.connect();
  await subscription.live;
  await client.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});
