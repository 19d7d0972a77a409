/** The background publisher and its channels: one that cannot be published on now does not hold up the others. */
import { expect, test } from 'vitest';
import { BackgroundPublisher, CourierClient, type CourierError, type EventDraft } from '../../client/src/index.ts';
import { startGateway, UNLIMITED } from '../helpers/gateway.ts';
import { gatewayThat } from './publishes.ts';

const QUICK = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };

const progress = (id: string, bars_processed: number): EventDraft => ({
  type: 'backtest.progress',
  channel: `backtest.${id}`,
  data: { backtest_id: id, progress: 0, bars_processed },
});

const full = (id: string, retry_after_ms: number) => ({ code: 'TOO_MANY_REQUESTS', channel: `backtest.${id}`, retry_after_ms });
/** Refuses the events of a channel, but for so many. */
const fullFor = (channels: readonly string[], id: string, retryAfterMs: number, places = 0) => {
  let left = places;
  return channels.map((channel) => (channel === `backtest.${id}` && left-- <= 0 ? full(id, retryAfterMs) : undefined));
};

test('a channel whose limit is reached does not hold up the others', async () => {
  const limits = { ...JSON.parse(UNLIMITED), channels: { 'backtest.hot': { publishPerSecond: null, publishPerMinute: 3 } } };
  await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify(limits) });
  const errors: CourierError[] = [];
  await using client = new CourierClient({
    url: gateway.url,
    token: await gateway.token('cartographe', 'service'),
    retry: QUICK,
    onRetry: (error) => errors.push(error),
  });
  const publisher = new BackgroundPublisher(client);
  for (let bar = 0; bar < 3; bar += 1) publisher.submit(progress('hot', bar));
  expect(await publisher.flush()).toBe(true);
  for (let bar = 3; bar < 6; bar += 1) {
    publisher.submit(progress('hot', bar));
    publisher.submit(progress(`cold-${bar}`, bar));
  }
  await expect.poll(() => publisher.counts).toEqual({ published: 6, dropped: 0, refused: 0, pending: 3 });
  expect(errors).toMatchObject([{ code: 'TOO_MANY_REQUESTS', channel: 'backtest.hot', retryAfterMs: expect.any(Number) }]);
  // What comes while the channel rests does not wait either.
  publisher.submit(progress('cold', 6));
  await expect.poll(() => publisher.counts).toMatchObject({ published: 7, pending: 3 });
  const { events } = await client.history('backtest.*');
  expect(events.map(({ channel }) => channel)).toEqual([
    ...Array(3).fill('backtest.hot'),
    'backtest.cold-3',
    'backtest.cold-4',
    'backtest.cold-5',
    'backtest.cold',
  ]);
  await publisher.close({ timeoutMs: 0 });
  expect(publisher.counts).toEqual({ published: 7, dropped: 3, refused: 0, pending: 0 });
});

test('a channel that has rested goes on in its order, before what came later', async () => {
  let refusals = 0;
  await using gateway = await gatewayThat((_published, channels) => {
    if (!channels.includes('backtest.hot') || refusals === 2) return undefined;
    refusals += 1;
    return fullFor(channels, 'hot', 500);
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  publisher.submit(progress('hot', 1));
  publisher.submit(progress('cold', 2));
  publisher.submit(progress('hot', 3));
  await expect.poll(() => gateway.stored).toEqual([2]);
  publisher.submit(progress('hot', 4));
  expect(await publisher.flush()).toBe(true);
  expect(gateway.stored).toEqual([2, 1, 3, 4]);
  expect(gateway.calls).toEqual([
    [1, 2, 3],
    [1, 3, 4],
    [1, 3, 4],
  ]);
});

test('a channel on which there is never more than one free place goes on all the same, in its order', async () => {
  const bars = [0, 1, 2, 3];
  await using gateway = await gatewayThat((_published, channels) => fullFor(channels, 'hot', 1, 1));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  for (const bar of bars) publisher.submit(progress('hot', bar));
  expect(await publisher.flush()).toBe(true);
  expect(gateway.calls).toEqual(bars.map((bar) => bars.slice(bar)));
  expect(gateway.stored).toEqual(bars);
});

test('what goes with a channel whose limit is reached is stored in the same call', async () => {
  await using gateway = await gatewayThat((_published, channels) => fullFor(channels, 'hot', 1, 1));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  for (const [id, bar] of [
    ['hot', 1],
    ['cold', 2],
    ['hot', 3],
    ['cold', 4],
    ['cold', 5],
  ] as const)
    publisher.submit(progress(id, bar));
  expect(await publisher.flush()).toBe(true);
  expect(gateway.calls).toEqual([[1, 2, 3, 4, 5], [3]]);
  expect(gateway.stored).toEqual([1, 2, 4, 5, 3]);
});

test('an event that goes alone rests too, and a channel that is not in the call holds up everything', async () => {
  let refusals = 0;
  await using gateway = await gatewayThat(([bar]) => {
    if (bar !== 1 || refusals === 2) return undefined;
    refusals += 1;
    if (refusals === 1) return full('hot', 1000);
    publisher.submit(progress('cold', 3));
    return full('elsewhere', 50);
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  publisher.submit(progress('hot', 1));
  await expect.poll(() => gateway.calls).toEqual([[1]]);
  publisher.submit(progress('cold', 2));
  await expect.poll(() => gateway.stored).toEqual([2]);
  expect(await publisher.flush()).toBe(true);
  expect(gateway.stored).toEqual([2, 1, 3]);
});

test("the publisher's own limit holds up everything", async () => {
  let refusals = 0;
  await using gateway = await gatewayThat(() => {
    refusals += 1;
    return refusals === 1 ? { code: 'TOO_MANY_REQUESTS', retry_after_ms: 50 } : undefined;
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  publisher.submit(progress('a', 1));
  publisher.submit(progress('b', 2));
  expect(await publisher.flush()).toBe(true);
  expect(gateway.calls).toEqual([
    [1, 2],
    [1, 2],
  ]);
});

test('of a batch with a refused event and a full channel, everything else is stored', async () => {
  let isFull = true;
  await using gateway = await gatewayThat((published, channels) => {
    const outcomes = fullFor(channels, 'hot', 60, isFull ? 0 : 12);
    return outcomes.map((outcome, index) => (published[index] === 5 ? { code: 'FORBIDDEN', message: 'this one' } : outcome));
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const refused: unknown[] = [];
  await using publisher = new BackgroundPublisher(client, {
    onError: ({ code }, { data }) => refused.push([code, 'bars_processed' in data && data.bars_processed]),
  });
  for (let bar = 0; bar < 12; bar += 1) publisher.submit(progress(bar % 3 === 0 ? 'hot' : 'cold', bar));
  await expect.poll(() => gateway.stored, { timeout: 10_000 }).toEqual([1, 2, 4, 7, 8, 10, 11]);
  expect(refused).toEqual([['FORBIDDEN', 5]]);
  isFull = false;
  expect(await publisher.flush()).toBe(true);
  expect(gateway.stored.slice(7)).toEqual([0, 3, 6, 9]);
  expect(publisher.counts).toEqual({ published: 11, dropped: 0, refused: 1, pending: 0 });
});

test('an event whose answer was lost before its channel rested may have been stored', async () => {
  let calls = 0;
  await using gateway = await gatewayThat(() => {
    calls += 1;
    return calls === 1 ? { code: 'INTERNAL_SERVER_ERROR' } : full('hot', 60_000);
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const dropped: unknown[] = [];
  const publisher = new BackgroundPublisher(client, {
    maxQueued: 2,
    onError: ({ code, mayBeStored }, { data }) => dropped.push([code, mayBeStored, 'bars_processed' in data && data.bars_processed]),
  });
  publisher.submit(progress('hot', 1));
  publisher.submit(progress('hot', 2));
  await expect.poll(() => gateway.calls).toHaveLength(2);
  publisher.submit(progress('hot', 3));
  await expect.poll(() => dropped).toEqual([['QUEUE_FULL', true, 1]]);
  await publisher.close({ timeoutMs: 0 });
  expect(dropped.slice(1)).toEqual([
    ['CLOSED', true, 2],
    ['CLOSED', false, 3],
  ]);
});

test('a direct publish under way holds up the background events of its channel, and no others', async () => {
  const answered = Promise.withResolvers<undefined>();
  await using gateway = await gatewayThat(([bar]) => (bar === 1 ? answered.promise : undefined));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  const published = client.publish('backtest.hot', 'backtest.progress', { backtest_id: 'hot', progress: 0, bars_processed: 1 });
  publisher.submit(progress('hot', 2));
  publisher.submit(progress('cold', 3));
  publisher.submit(progress('hot', 4));
  await expect.poll(() => gateway.stored).toEqual([3]);
  answered.resolve(undefined);
  await published;
  expect(await publisher.flush()).toBe(true);
  expect(gateway.stored).toEqual([3, 1, 2, 4]);
});
