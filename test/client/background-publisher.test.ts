/** The background publisher: it never holds up and never breaks the service that hands it events. */
import { expect, test } from 'vitest';
import { BackgroundPublisher, CourierClient, type CourierError, type EventDraft } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';

const QUICK = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };

const progress = (bars_processed: number): EventDraft => ({
  type: 'backtest.progress',
  channel: 'backtest.b1',
  data: { backtest_id: 'b1', progress: 0, bars_processed },
});

/** A publisher whose gateway nobody has started, and what it tells. */
function away(options: { maxQueued: number; whenFull?: 'drop-oldest' | 'drop-newest' }) {
  const client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't', retry: QUICK, timeoutMs: 20 });
  const lost: { code: string; bars: unknown }[] = [];
  const publisher = new BackgroundPublisher(client, {
    ...options,
    onError: ({ code }, event) => {
      lost.push({ code, bars: 'bars_processed' in event.data ? event.data.bars_processed : undefined });
      throw new Error('a careless callback');
    },
  });
  return { client, lost, publisher };
}

test('publishes in order, with the time at which events were handed in', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('cartographe', 'service'), retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  const before = Date.now();
  for (let bar = 0; bar < 50; bar += 1) publisher.submit(progress(bar));
  const after = Date.now();
  expect(await publisher.flush()).toBe(true);
  expect(publisher.counts).toEqual({ published: 50, dropped: 0, refused: 0, queued: 0 });
  const { events } = await client.history('backtest.b1');
  expect(events.map(({ data }) => 'bars_processed' in data && data.bars_processed)).toEqual(Array.from({ length: 50 }, (_, bar) => bar));
  const times = events.map(({ metadata }) => metadata.timestamp.getTime());
  expect(Math.min(...times)).toBeGreaterThanOrEqual(before);
  expect(Math.max(...times)).toBeLessThanOrEqual(after);
});

test('an event that is refused is told, and does not hold up the next', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('cartographe', 'service'), retry: QUICK });
  const refused: [CourierError['code'], string][] = [];
  await using publisher = new BackgroundPublisher(client, { onError: ({ code }, { type }) => refused.push([code, type]) });
  publisher.submit(progress(1));
  publisher.submit({ type: 'backtest.progress', channel: 'backtest.b1', data: progressOf(2) });
  publisher.submit({ type: 'order.cancelled', channel: 'strategy.s1', data: { order_id: 'o', reason: 'not its own' } });
  publisher.submit(progress(2));
  expect(await publisher.flush()).toBe(true);
  expect(refused).toEqual([
    ['BAD_REQUEST', 'backtest.progress'],
    ['FORBIDDEN', 'order.cancelled'],
  ]);
  expect(publisher.counts).toMatchObject({ published: 2, refused: 2 });
});

test('while the gateway is away the oldest events are dropped beyond the bound, or the newest, and each is told', async () => {
  {
    const { client, lost, publisher } = away({ maxQueued: 3 });
    for (let bar = 0; bar < 6; bar += 1) publisher.submit(progress(bar));
    // The first is being published.
    expect(lost).toEqual([
      { code: 'QUEUE_FULL', bars: 1 },
      { code: 'QUEUE_FULL', bars: 2 },
    ]);
    expect(await publisher.flush({ timeoutMs: 30 })).toBe(false);
    await publisher.close({ timeoutMs: 1 });
    expect(publisher.counts).toEqual({ published: 0, dropped: 6, refused: 0, queued: 0 });
    publisher.submit(progress(7));
    expect(lost.slice(2).map(({ code }) => code)).toEqual(Array(5).fill('CLOSED'));
    await client.close();
  }
  const { client, lost, publisher } = away({ maxQueued: 3, whenFull: 'drop-newest' });
  for (let bar = 0; bar < 6; bar += 1) publisher.submit(progress(bar));
  expect(lost.map(({ bars }) => bars)).toEqual([4, 5]);
  await publisher.close({ timeoutMs: 1 });
  await client.close();
});

test('what waited for the gateway is published once it is there', async () => {
  await using first = await startGateway();
  const port = String(first.port);
  await using client = new CourierClient({
    url: first.url,
    token: await first.token('cartographe', 'service'),
    retry: QUICK,
    timeoutMs: 50,
  });
  await client.connect();
  await first[Symbol.asyncDispose]();
  await using publisher = new BackgroundPublisher(client);
  for (let bar = 0; bar < 10; bar += 1) publisher.submit(progress(bar));
  expect(await publisher.flush({ timeoutMs: 100 })).toBe(false);
  await using second = await startGateway({ COURIER_PORT: port });
  expect(await publisher.flush({ timeoutMs: 20_000 })).toBe(true);
  expect(publisher.counts).toMatchObject({ published: 10, dropped: 0 });
  expect(second.pipeline.tail.seq).toBe(10);
});
