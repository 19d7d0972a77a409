/** Publishes that a client makes while one is on its way: they go together, and each has its own outcome. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CourierClient, type CourierError, type EventDraft } from '../../client/src/index.ts';
import { CourierError as GatewayError } from '../../src/errors.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { gatewayThat } from './publishes.ts';

const QUICK = { minDelayMs: 5, maxDelayMs: 20, busyDelayMs: 5 };
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: CourierError) => error,
  );

type Options = Parameters<CourierClient['publish']>[3];
const publish = (client: CourierClient, bar: number, id = 'b1', options: Options = {}) =>
  client.publish(`backtest.${id}`, 'backtest.progress', { backtest_id: id, progress: 0.5, bars_processed: bar }, options);
const progress = (bar: number, id = 'b1'): EventDraft => ({
  type: 'backtest.progress',
  channel: `backtest.${id}`,
  data: { backtest_id: id, progress: 0.5, bars_processed: bar },
});

async function clientOf(gateway: TestGateway, options: object = {}): Promise<CourierClient> {
  const client = new CourierClient({ url: gateway.url, token: await gateway.token('cartographe', 'service'), retry: QUICK, ...options });
  await client.connect();
  return client;
}

async function stored(gateway: TestGateway, channels = 'backtest.*'): Promise<unknown[]> {
  const trpc = gateway.httpClient(await gateway.token('root', 'admin'));
  const { events } = await trpc.events.history.query({ channels: [channels], limit: 1000 });
  return events.map(({ data }) => 'bars_processed' in data && data.bars_processed);
}

/** The calls that publish, as they go over sockets: the procedure of each, and how many events it has. */
function recordCalls(): [path: string, events: number][] {
  const calls: [string, number][] = [];
  const send = WebSocket.prototype.send;
  vi.spyOn(WebSocket.prototype, 'send').mockImplementation(function (this: WebSocket, data) {
    const messages = data === 'PING' || data === 'PONG' ? [] : [JSON.parse(String(data))].flat();
    for (const { method, params } of messages) if (method === 'mutation') calls.push([params.path, [params.input.json].flat().length]);
    send.call(this, data);
  });
  return calls;
}

/** Holds what the gateway appends next until it is released. */
function holdAppend({ pipeline: { log } }: TestGateway) {
  const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const append = log.append.bind(log);
  vi.spyOn(log, 'append').mockImplementationOnce(async (events) => {
    begun.resolve();
    await released.promise;
    return append(events);
  });
  return { begun: begun.promise, release: () => released.resolve() };
}

afterEach(() => {
  vi.restoreAllMocks();
});

test('one goes at once, those that are made meanwhile go together, and each has its receipt', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  const calls = recordCalls();
  const held = holdAppend(gateway);
  const first = publish(client, 0);
  await held.begun;
  const others = numbers(1, 9).map((bar) => publish(client, bar, `b${bar}`));
  held.release();
  const receipts = await Promise.all([first, ...others]);
  await publish(client, 10);
  expect(calls).toEqual([
    ['events.publish', 1],
    ['events.publishEach', 9],
    ['events.publish', 1],
  ]);
  expect(receipts.map(({ id }) => Number(id.split('-')[1]))).toEqual(numbers(1, 10));
  expect(receipts.map(({ channel }) => channel)).toEqual(['backtest.b1', ...numbers(1, 9).map((bar) => `backtest.b${bar}`)]);
  expect(receipts.every(({ timestamp, duplicate }) => timestamp instanceof Date && !duplicate)).toBe(true);
  expect(await stored(gateway)).toEqual(numbers(0, 10));
});

test('each has its own error, its own key and its own options', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  const timestamp = new Date('2026-01-02T03:04:05.678Z');
  const outcomes = await Promise.allSettled([
    publish(client, 1, 'b1', { timestamp, correlationId: 'work', idempotencyKey: 'k1' }),
    client.publish('backtest.b1', 'backtest.progress', { backtest_id: 'b1', progress: 2 }, { idempotencyKey: 'k2' }),
    client.publish('strategy.s1', 'order.cancelled', { order_id: 'o', reason: 'not its own' }, { idempotencyKey: 'k3' }),
    publish(client, 4, 'b1', { idempotencyKey: 'k1' }),
    publish(client, 5),
  ]);
  expect(outcomes).toMatchObject([
    { value: { timestamp, duplicate: false } },
    {
      reason: {
        code: 'BAD_REQUEST',
        issues: [{ path: 'data.progress' }],
        idempotencyKey: 'k2',
        mayBeStored: false,
        requestId: expect.any(String),
      },
    },
    { reason: { code: 'FORBIDDEN', message: expect.stringContaining('order.cancelled'), idempotencyKey: 'k3' } },
    { value: { timestamp, duplicate: true } },
    { value: { duplicate: false } },
  ]);
  expect(await stored(gateway)).toEqual([1, 5]);
});

test('a call has as many as the gateway takes, by number and by size, in their order', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway, { maxPendingPublishes: 2000 });
  const calls = recordCalls();
  await Promise.all(numbers(1, 1200).map((bar) => publish(client, bar)));
  expect(calls).toEqual([500, 500, 200].map((count) => ['events.publishEach', count]));
  const admin = new CourierClient({ url: gateway.url, token: await gateway.token('root', 'admin'), retry: QUICK });
  await using _ = admin;
  const large = numbers(1, 25).map((job) =>
    admin.publish(`forge.job.j${job}`, 'forge.job.completed', { job_id: `j${job}`, result: { text: '€'.repeat(30_000) } }),
  );
  expect((await Promise.all(large)).map(({ channel }) => channel)).toEqual(numbers(1, 25).map((job) => `forge.job.j${job}`));
  expect(calls.slice(3).reduce((sum, [, count]) => sum + count, 0)).toBe(25);
});

describe('one that waits', () => {
  test('and is given up is never sent, and the others are', async () => {
    await using gateway = await startGateway();
    await using client = await clientOf(gateway);
    const held = holdAppend(gateway);
    const first = publish(client, 1);
    await held.begun;
    const stop = new AbortController();
    const waiting = [publish(client, 2), publish(client, 3, 'b1', { signal: stop.signal }), publish(client, 4)];
    const late = await failure(publish(client, 5, 'b1', { timeoutMs: 30, idempotencyKey: 'k' }));
    expect(late).toMatchObject({ code: 'UNREACHABLE', mayBeStored: false, idempotencyKey: 'k' });
    expect(late?.message).toBe('publish: not sent within 30 ms, as earlier publishes have no answer yet');
    const reason = new Error('no longer wanted');
    stop.abort(reason);
    await expect(waiting[1]).rejects.toBe(reason);
    held.release();
    await Promise.all([first, waiting[0], waiting[2]]);
    expect(await stored(gateway)).toEqual([1, 2, 4]);
  });

  test('counts among those that are pending', async () => {
    await using gateway = await startGateway();
    await using client = await clientOf(gateway, { maxPendingPublishes: 3 });
    const held = holdAppend(gateway);
    const first = publish(client, 1);
    await held.begun;
    const waiting = [publish(client, 2), publish(client, 3)];
    expect(await failure(publish(client, 4))).toMatchObject({ code: 'QUEUE_FULL' });
    held.release();
    await Promise.all([first, ...waiting]);
  });

  test('is sent while the client closes; when there is no time for that, it is known not to be stored', async () => {
    await using gateway = await startGateway();
    {
      const client = await clientOf(gateway);
      const held = holdAppend(gateway);
      const both = [publish(client, 1)];
      await held.begun;
      both.push(publish(client, 2));
      const closed = client.close();
      held.release();
      await Promise.all([...both, closed]);
    }
    const client = await clientOf(gateway);
    const held = holdAppend(gateway);
    const sent = failure(publish(client, 3));
    await held.begun;
    const waiting = failure(publish(client, 4));
    await client.close({ timeoutMs: 10 });
    expect(await sent).toMatchObject({ code: 'CLOSED', mayBeStored: true });
    expect(await waiting).toMatchObject({ code: 'CLOSED', mayBeStored: false });
    held.release();
    expect((await stored(gateway)).slice(0, 2)).toEqual([1, 2]);
  });
});

describe('one on its way', () => {
  test('that is given up leaves the others of its call', async () => {
    const answered = Promise.withResolvers<undefined>();
    await using gateway = await gatewayThat(([bar]) => (bar === 1 ? answered.promise : undefined));
    await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
    const stop = new AbortController();
    const together = [publish(client, 1), publish(client, 2, 'b1', { signal: stop.signal }), publish(client, 3)];
    await expect.poll(() => gateway.calls).toEqual([[1, 2, 3]]);
    stop.abort(new Error('no longer wanted'));
    await expect(together[1]).rejects.toThrow('no longer wanted');
    const later = publish(client, 4);
    answered.resolve(undefined);
    await Promise.all([together[0], together[2], later]);
    expect(gateway.calls).toEqual([[1, 2, 3], [4]]);
  });

  test('does not hold back those behind it once nobody waits for its call', async () => {
    const never = Promise.withResolvers<undefined>();
    await using gateway = await gatewayThat(([bar]) => (bar === 1 ? never.promise : undefined));
    await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
    const stop = new AbortController();
    const given = [
      failure(publish(client, 1, 'b1', { timeoutMs: 60, idempotencyKey: 'k' })),
      failure(publish(client, 2, 'b1', { signal: stop.signal })),
    ];
    await expect.poll(() => gateway.calls).toEqual([[1, 2]]);
    const next = publish(client, 3);
    stop.abort();
    expect(await given[0]).toMatchObject({ code: 'TIMEOUT', mayBeStored: true, idempotencyKey: 'k' });
    expect((await given[1])?.name).toBe('AbortError');
    await next;
    expect(gateway.calls).toEqual([[1, 2], [3]]);
  });
});

describe('the order of a channel', () => {
  test('is kept where earlier publishes are repeated, and other channels do not wait', async () => {
    await using gateway = await startGateway();
    await using client = await clientOf(gateway);
    const append = vi.spyOn(gateway.pipeline.log, 'append');
    append.mockRejectedValueOnce(new GatewayError('SERVICE_UNAVAILABLE', 'not now', { retryAfterMs: 100 }));
    const first = [publish(client, 1), publish(client, 2), publish(client, 3)];
    await expect.poll(() => append.mock.calls.length).toBe(1);
    await publish(client, 5, 'other');
    const last = publish(client, 4);
    await Promise.all([...first, last]);
    expect(await stored(gateway, 'backtest.b1')).toEqual([1, 2, 3, 4]);
    expect(await stored(gateway)).toEqual([5, 1, 2, 3, 4]);
  });

  test('is kept where a limit lets some of them through', async () => {
    const channels = { 'backtest.b1': { publishPerSecond: 4 } };
    await using gateway = await startGateway({ COURIER_LIMITS: JSON.stringify({ channels }) });
    await using client = await clientOf(gateway);
    await Promise.all(numbers(1, 10).map((bar) => publish(client, bar)));
    expect(await stored(gateway)).toEqual(numbers(1, 10));
  });

  test('lets the next ones go when an earlier one is refused for good, or given up', async () => {
    let calls = 0;
    await using gateway = await gatewayThat(() => {
      calls += 1;
      return calls === 1 ? { code: 'SERVICE_UNAVAILABLE', retry_after_ms: 20_000 } : undefined;
    });
    await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
    const stop = new AbortController();
    const first = failure(publish(client, 1, 'b1', { signal: stop.signal }));
    await expect.poll(() => gateway.calls).toEqual([[1]]);
    const second = publish(client, 2);
    await publish(client, 3, 'other');
    stop.abort();
    expect((await first)?.name).toBe('AbortError');
    await second;
    expect(gateway.stored).toEqual([3, 2]);
  });

  test('is kept over a lost connection, and what was stored is stored once', async () => {
    await using gateway = await startGateway();
    await using client = await clientOf(gateway);
    const send = vi.spyOn(WebSocket.prototype, 'send');
    const held = holdAppend(gateway);
    const lost = [publish(client, 1), publish(client, 2)];
    await held.begun;
    const behind = publish(client, 3);
    const [socket] = send.mock.contexts as WebSocket[];
    const closed = new Promise((resolve) => socket?.addEventListener('close', resolve));
    socket?.close();
    await closed;
    held.release();
    const receipts = await Promise.all([...lost, behind]);
    expect(receipts.map(({ duplicate }) => duplicate)).toEqual([true, true, false]);
    expect(await stored(gateway)).toEqual([1, 2, 3]);
  });
});

test('a batch is a call of its own, behind the publishes that were made before it', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  const calls = recordCalls();
  const held = holdAppend(gateway);
  const all: Promise<unknown>[] = [publish(client, 1)];
  await held.begun;
  all.push(publish(client, 2), publish(client, 3), client.publishBatch([progress(4), progress(5)]), publish(client, 6));
  held.release();
  await Promise.all(all);
  expect(calls).toEqual([
    ['events.publish', 1],
    ['events.publishEach', 2],
    ['events.publishBatch', 2],
    ['events.publish', 1],
  ]);
  expect((await stored(gateway)).slice(0, 3)).toEqual([1, 2, 3]);
});

test('a batch waits for the publish of its channel that has to be repeated', async () => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  const { log } = gateway.pipeline;
  vi.spyOn(log, 'append').mockRejectedValueOnce(new GatewayError('SERVICE_UNAVAILABLE', 'not now', { retryAfterMs: 10 }));
  await Promise.all([publish(client, 1), client.publishBatch([progress(2), progress(3)])]);
  expect(await stored(gateway)).toEqual([1, 2, 3]);
});

test('a gateway that does not have the call is told apart from events that are wrong', async () => {
  await using gateway = await gatewayThat((published) =>
    published.length > 1 ? { code: 'NOT_FOUND', message: 'No procedure found on path "events.publishEach"' } : undefined,
  );
  await using client = new CourierClient({ url: gateway.url, token: 't', retry: QUICK });
  const errors = await Promise.all([failure(publish(client, 1)), failure(publish(client, 2))]);
  expect(errors).toMatchObject(
    Array(2).fill({
      code: 'NOT_FOUND',
      message: expect.stringContaining('events.publishEach'),
      hint: expect.stringContaining('one version'),
      mayBeStored: false,
    }),
  );
});

test.each([
  ['another value', (data: Record<string, unknown>) => Object.assign(data, { bars_processed: 99 })],
  ['more than a message holds', (data: Record<string, unknown>) => Object.assign(data, { message: 'x'.repeat(2 ** 21) })],
  ['what JSON has no form for', (data: Record<string, unknown>) => Object.assign(data, { bars_processed: 1n })],
])('an event is published as it was when it was handed in, whatever is changed meanwhile: %s', async (_, change) => {
  await using gateway = await startGateway();
  await using client = await clientOf(gateway);
  const data = { backtest_id: 'b1', progress: 0.5, bars_processed: 0 };
  const metadata = { timestamp: new Date('2026-01-31T12:00:00Z') };
  const publishing = numbers(1, 3).map((bar) => {
    data.bars_processed = bar;
    return client.publish('backtest.b1', 'backtest.progress', data, metadata);
  });
  const batch = client.publishBatch([{ type: 'backtest.progress', channel: 'backtest.b1', data, metadata }]);
  change(data);
  metadata.timestamp.setFullYear(1999);
  const receipts = [...(await Promise.all(publishing)), ...(await batch)];
  expect(receipts.map(({ timestamp }) => timestamp.getUTCFullYear())).toEqual([2026, 2026, 2026, 2026]);
  expect(await stored(gateway)).toEqual([1, 2, 3, 3]);
});
