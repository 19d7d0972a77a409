/** How a caller hears that a subscription has ended: in any way it likes, and never by the end of the process. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import type { Subscription } from '../../client/src/subscription.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';

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
