/** The background publisher: it never holds up and never breaks the service that hands it events. */
import { expect, test } from 'vitest';
import { BackgroundPublisher, CourierClient, type CourierError, type EventDraft } from '../../client/src/index.ts';
import { startGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';
import { gatewayThat } from './publishes.ts';

const QUICK = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };

const progress = (bars_processed: number): EventDraft => ({
  type: 'backtest.progress',
  channel: 'backtest.b1',
  data: { backtest_id: 'b1', progress: 0, bars_processed },
});

/** A publisher whose gateway nobody has started, and what it tells. */
function away(options: { maxQueued: number; maxQueuedBytes?: number; whenFull?: 'drop-oldest' | 'drop-newest' }) {
  const client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't', retry: QUICK, timeoutMs: 20 });
  const lost: { code: string; bars: unknown }[] = [];
  const publisher = new BackgroundPublisher(client, {
    ...options,
    onError: ({ code }, event) => {
      lost.push({ code, bars: 'bars_processed' in event.data ? event.data.bars_processed : undefined });
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
  expect(publisher.counts).toEqual({ published: 50, dropped: 0, refused: 0, pending: 0 });
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
    expect(lost).toEqual([0, 1, 2].map((bars) => ({ code: 'QUEUE_FULL', bars })));
    expect(publisher.counts).toEqual({ published: 0, dropped: 3, refused: 0, pending: 3 });
    expect(await publisher.flush({ timeoutMs: 30 })).toBe(false);
    await publisher.close({ timeoutMs: 1 });
    expect(publisher.counts).toEqual({ published: 0, dropped: 6, refused: 0, pending: 0 });
    publisher.submit(progress(7));
    expect(lost.slice(3).map(({ code }) => code)).toEqual(Array(4).fill('CLOSED'));
    await client.close();
  }
  const { client, lost, publisher } = away({ maxQueued: 3, whenFull: 'drop-newest' });
  for (let bar = 0; bar < 6; bar += 1) publisher.submit(progress(bar));
  expect(lost.map(({ bars }) => bars)).toEqual([3, 4, 5]);
  await publisher.close({ timeoutMs: 1 });
  await client.close();
});

test('events wait up to a size together, and one that is larger by itself is dropped alone', async () => {
  const large = (bars_processed: number, size: number): EventDraft => ({
    type: 'backtest.progress',
    channel: 'backtest.b1',
    data: { backtest_id: '€'.repeat(size / 3), progress: 0, bars_processed },
  });
  for (const [whenFull, dropped] of [
    ['drop-oldest', [9, 0, 1, 2]],
    ['drop-newest', [9, 3, 4, 5]],
  ] as const) {
    const { client, lost, publisher } = away({ maxQueued: 100, maxQueuedBytes: 10_000, whenFull });
    for (const bar of [0, 1, 2]) publisher.submit(large(bar, 3000));
    publisher.submit(large(9, 12_000));
    for (const bar of [3, 4, 5]) publisher.submit(large(bar, 3000));
    expect(lost).toEqual(dropped.map((bars) => ({ code: 'QUEUE_FULL', bars })));
    // Small ones have room beside the large ones.
    publisher.submit(progress(6));
    expect(publisher.counts).toEqual({ published: 0, dropped: 4, refused: 0, pending: 4 });
    // One large event takes the place of as many as it needs.
    publisher.submit(large(7, 6000));
    expect(lost.slice(4).map(({ bars }) => bars)).toEqual(whenFull === 'drop-oldest' ? [3, 4] : [7]);
    await publisher.close({ timeoutMs: 0 });
    await client.close();
  }
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

const numbers = (count: number) => Array.from({ length: count }, (_, bar) => bar);

test('what waits goes in batches, each no larger than the gateway takes', async () => {
  await using gateway = await gatewayThat(() => undefined);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client, { maxQueued: 2000 });
  for (const bar of numbers(1200)) publisher.submit(progress(bar));
  expect(await publisher.flush()).toBe(true);
  expect(gateway.calls.map(({ length }) => length)).toEqual([500, 500, 200]);
  expect(gateway.stored).toEqual(numbers(1200));
});

test('large events go in as many messages as they need', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin'), retry: QUICK });
  const refused: string[] = [];
  await using publisher = new BackgroundPublisher(client, { onError: ({ message }) => refused.push(message) });
  for (const job of numbers(25)) {
    const data = { job_id: `j${job}`, result: { text: '€'.repeat(30_000) } };
    publisher.submit({ type: 'forge.job.completed', channel: `forge.job.j${job}`, data });
  }
  expect(await publisher.flush({ timeoutMs: 20_000 })).toBe(true);
  expect(refused).toEqual([]);
  expect(publisher.counts).toEqual({ published: 25, dropped: 0, refused: 0, pending: 0 });
  expect(client.connection.get().status).toBe('connected');
});

test('events that the gateway refuses do not take those of the same batch with them', async () => {
  const wrong = new Set([0, 41, 42, 99]);
  await using gateway = await gatewayThat((published) =>
    published.map((bar) => (wrong.has(bar as number) ? { code: 'FORBIDDEN', message: 'this one' } : undefined)),
  );
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const refused: unknown[] = [];
  await using publisher = new BackgroundPublisher(client, {
    onError: ({ code }, { data }) => refused.push([code, 'bars_processed' in data && data.bars_processed]),
  });
  for (const bar of numbers(100)) publisher.submit(progress(bar));
  expect(await publisher.flush()).toBe(true);
  expect(gateway.stored).toEqual(numbers(100).filter((bar) => !wrong.has(bar)));
  expect(gateway.calls).toEqual([numbers(100)]);
  expect(refused).toEqual([...wrong].map((bar) => ['FORBIDDEN', bar]));
  expect(publisher.counts).toEqual({ published: 96, dropped: 0, refused: 4, pending: 0 });
});

test('more events than a limit admits at once are stored all the same, in order', async () => {
  await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify({ service: { publishPerSecond: 50 } }) });
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('cartographe', 'service'), retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  for (const bar of numbers(120)) publisher.submit(progress(bar));
  expect(await publisher.flush({ timeoutMs: 30_000 })).toBe(true);
  expect(publisher.counts).toEqual({ published: 120, dropped: 0, refused: 0, pending: 0 });
  const { events } = await client.history('backtest.b1', { limit: 200 });
  expect(events.map(({ data }) => 'bars_processed' in data && data.bars_processed)).toEqual(numbers(120));
});

test('what is published directly and in the background keeps one order on its channel', async () => {
  const first = Promise.withResolvers<undefined>();
  const second = Promise.withResolvers<undefined>();
  await using gateway = await gatewayThat(([bar]) => (bar === 1 ? first.promise : bar === 2 ? second.promise : undefined));
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  const publish = (bar: number, id = 'b1') =>
    client.publish(`backtest.${id}`, 'backtest.progress', { backtest_id: id, progress: 0, bars_processed: bar });
  publisher.submit(progress(1));
  const published = publish(2);
  publisher.submit(progress(3));
  const elsewhere = publish(4, 'b2');
  await elsewhere;
  // The other channel's event has overtaken them; of this one's, only the first was sent.
  await expect.poll(() => gateway.calls).toEqual(expect.arrayContaining([[1], [4]]));
  expect(gateway.calls).toHaveLength(2);
  first.resolve(undefined);
  await expect.poll(() => gateway.calls.at(-1)).toEqual([2]);
  second.resolve(undefined);
  await published;
  expect(await publisher.flush()).toBe(true);
  expect(gateway.stored).toEqual([4, 1, 2, 3]);
});

test('a direct publish that waits for background events is told in time that it was not sent', async () => {
  const never = Promise.withResolvers<undefined>();
  await using gateway = await gatewayThat(() => never.promise);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  await client.connect();
  const publisher = new BackgroundPublisher(client);
  publisher.submit(progress(1));
  await expect.poll(() => gateway.calls).toEqual([[1]]);
  const published = client.publish('backtest.b1', 'backtest.progress', progressOf(), { timeoutMs: 50, idempotencyKey: 'k' });
  await expect(published).rejects.toMatchObject({
    code: 'UNREACHABLE',
    idempotencyKey: 'k',
    message: expect.stringContaining('not sent within 50 ms'),
  });
  await publisher.close({ timeoutMs: 0 });
  expect(publisher.counts).toEqual({ published: 0, dropped: 1, refused: 0, pending: 0 });
  expect(gateway.calls).toEqual([[1]]);
});

test.each([
  ['the publisher', (publisher: BackgroundPublisher, _client: CourierClient) => publisher.close({ timeoutMs: 0 })],
  ['the client', (_publisher: BackgroundPublisher, client: CourierClient) => client.close()],
])('when %s closes, an event on its way is told apart from one that was never sent', async (closed, close) => {
  const never = Promise.withResolvers<undefined>();
  await using gateway = await gatewayThat(() => never.promise);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const dropped: unknown[] = [];
  const publisher = new BackgroundPublisher(client, {
    onError: ({ code, message, mayBeStored }, { data }) =>
      dropped.push([code, message, mayBeStored, 'bars_processed' in data && data.bars_processed]),
  });
  publisher.submit(progress(1));
  await expect.poll(() => gateway.calls).toEqual([[1]]);
  publisher.submit(progress(2));
  await close(publisher, client);
  await publisher.close();
  expect(dropped).toEqual([
    ['CLOSED', `${closed} was closed (the event may have been stored: an attempt had no answer)`, true, 1],
    ['CLOSED', `${closed} was closed`, false, 2],
  ]);
});

test('an event whose answer was lost may have been stored, whatever refuses it later', async () => {
  const attempts: unknown[] = [];
  await using gateway = await gatewayThat((published) => {
    attempts.push(published);
    return attempts.length === 1 ? { code: 'INTERNAL_SERVER_ERROR' } : { code: 'FORBIDDEN', message: 'not any more' };
  });
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const refused: unknown[] = [];
  await using publisher = new BackgroundPublisher(client, { onError: ({ code, mayBeStored }) => refused.push([code, mayBeStored]) });
  publisher.submit(progress(1));
  publisher.submit(progress(2));
  expect(await publisher.flush()).toBe(true);
  expect(attempts).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(refused).toEqual([
    ['FORBIDDEN', true],
    ['FORBIDDEN', true],
  ]);
});

test('a batch is refused as a whole while the gateway refuses the client', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: 'no token', retry: QUICK });
  const token = await gateway.token('cartographe', 'service');
  const refused: unknown[] = [];
  await using publisher = new BackgroundPublisher(client, {
    onError: ({ code, mayBeStored }) => {
      refused.push([code, mayBeStored]);
      void client.setToken(token);
    },
  });
  for (const bar of numbers(4)) publisher.submit(progress(bar));
  expect(await publisher.flush()).toBe(true);
  expect(refused).toEqual(Array(4).fill(['UNAUTHORIZED', false]));
  publisher.submit(progress(5));
  expect(await publisher.flush()).toBe(true);
  expect(publisher.counts).toEqual({ published: 1, dropped: 0, refused: 4, pending: 0 });
});

test('an event is stored as it was when it was submitted', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin'), retry: QUICK });
  await using publisher = new BackgroundPublisher(client);
  const timestamp = new Date('2026-01-02T03:04:05.678Z');
  const data = { strategy_id: 's1', parameters: { deep: { list: [1] } } };
  const event = { type: 'strategy.generation.started', channel: 'strategy.s1', data, metadata: { timestamp, user_id: 'ada' } };
  publisher.submit(event as EventDraft);
  publisher.submit({ ...event, metadata: { timestamp: '2026-01-02T03:04:05.678Z' } } as EventDraft);
  data.parameters.deep.list.push(2);
  timestamp.setTime(0);
  event.metadata.user_id = 'eve';
  event.channel = 'strategy.s2';
  expect(await publisher.flush()).toBe(true);
  const [stored, second] = (await client.history('strategy.*')).events;
  expect(stored).toMatchObject({ channel: 'strategy.s1', data: { parameters: { deep: { list: [1] } } } });
  expect(stored?.metadata).toMatchObject({ timestamp: new Date('2026-01-02T03:04:05.678Z'), user_id: 'ada' });
  expect(second?.metadata.timestamp).toEqual(stored?.metadata.timestamp);
});

test('what is no event is refused at once, and never thrown', async () => {
  await using client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't' });
  const refused: string[] = [];
  await using publisher = new BackgroundPublisher(client, { onError: ({ code, message }) => refused.push(`${code} ${message}`) });
  publisher.submit({ type: 'backtest.progress', channel: 'backtest.b1', data: progressOf(Number.NaN) });
  publisher.submit({ ...progress(1), metadata: { timestamp: new Date(Number.NaN) } });
  publisher.submit(null as unknown as EventDraft);
  expect(refused).toEqual([
    'INVALID_ARGUMENT data.progress: must be a finite number',
    expect.stringMatching(/^INVALID_ARGUMENT timestamp: must be a valid Date/),
    expect.stringMatching(/^INVALID_ARGUMENT event: /),
  ]);
  expect(publisher.counts).toEqual({ published: 0, dropped: 0, refused: 3, pending: 0 });
});

test('close publishes what waits, takes no more, and waits for what is being published', async () => {
  const answered = Promise.withResolvers<undefined>();
  await using gateway = await gatewayThat(() => answered.promise);
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const publisher = new BackgroundPublisher(client);
  publisher.submit(progress(1));
  await expect.poll(() => gateway.calls).toEqual([[1]]);
  publisher.submit(progress(2));
  const closed = publisher.close();
  publisher.submit(progress(3));
  expect(publisher.counts).toEqual({ published: 0, dropped: 1, refused: 0, pending: 2 });
  answered.resolve(undefined);
  await closed;
  expect(gateway.stored).toEqual([1, 2]);
  expect(publisher.counts).toEqual({ published: 2, dropped: 1, refused: 0, pending: 0 });
});

test('what is dropped at the end says what its last attempt failed with', async () => {
  const failed = Promise.withResolvers<void>();
  const options = { retry: QUICK, timeoutMs: 20, onRetry: () => failed.resolve() };
  await using client = new CourierClient({ url: 'http://127.0.0.1:9', token: 't', ...options });
  const lost: CourierError[] = [];
  const publisher = new BackgroundPublisher(client, { onError: (error) => lost.push(error) });
  publisher.submit(progress(1));
  await failed.promise;
  await publisher.close({ timeoutMs: 100 });
  expect(lost.map(({ code, message, hint }) => [code, message, hint])).toEqual([
    [
      'CLOSED',
      expect.stringMatching(/^the publisher was closed; its last attempt failed: publish: ws:\/\/127\.0\.0\.1:9\/trpc was not reached/),
      'see to that, or give `close` more `timeoutMs`',
    ],
  ]);
});

test('after the client has closed, events are dropped, which says what to close first', async () => {
  await using gateway = await gatewayThat(() => undefined);
  const client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const hints: string[] = [];
  await using publisher = new BackgroundPublisher(client, { onError: ({ hint }) => hints.push(hint) });
  await client.close();
  publisher.submit(progress(1));
  expect(await publisher.flush()).toBe(true);
  expect(publisher.counts).toEqual({ published: 0, dropped: 1, refused: 0, pending: 0 });
  expect(hints).toEqual(['close the publisher before its client']);
});
