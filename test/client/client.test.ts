/** The TypeScript client against real gateways: what it promises, in good and bad days. */
import { createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import type {
  ConnectionState,
  CourierClientOptions,
  CourierError,
  Cursor,
  EventOn,
  IterationOptions,
  Subscription,
} from '../../client/src/index.ts';
import { BackgroundPublisher, CONTRACT_HASH, CourierClient } from '../../client/src/index.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';
import { startScriptedServer } from '../vectors/server.ts';

/** Short delays, so that nobody waits long for an attempt. */
const QUICK = { minDelayMs: 5, maxDelayMs: 50, busyDelayMs: 5 };

function clientOf(gateway: TestGateway, token: string | (() => string | null | Promise<string | null>)) {
  return new CourierClient({ url: gateway.url, token, retry: QUICK });
}

/** Resolves once the connection is in such a state. */
function state<S extends ConnectionState['status']>(
  client: Pick<CourierClient, 'connection'>,
  status: S,
): Promise<Extract<ConnectionState, { status: S }>> {
  return new Promise((resolve) => {
    const check = (now: ConnectionState) => {
      if (now.status !== status) return;
      stop();
      resolve(now as Extract<ConnectionState, { status: S }>);
    };
    const stop = client.connection.subscribe(check);
    check(client.connection.get());
  });
}

/** What a promise was rejected with. */
function failure(promise: Promise<unknown>): Promise<CourierError> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error as CourierError,
  );
}

test('what is published is received, typed by its channel, with dates as dates', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('cartographe', 'service'));
  const received: { type: string; at: number }[] = [];
  const subscription = client.subscribe(
    'backtest.b1',
    (event) => {
      received.push({ type: event.type, at: event.metadata.timestamp.getTime() });
      if (event.type === 'backtest.progress') received.push({ type: `${event.data.progress}`, at: 0 });
    },
    { onGap: 'fail' },
  );
  await subscription.live;
  const timestamp = new Date('2026-01-02T03:04:05.678Z');
  const receipt = await client.publish('backtest.b1', 'backtest.progress', progressOf(0.5), { timestamp, correlationId: 'run-7' });
  expect(receipt).toMatchObject({ channel: 'backtest.b1', type: 'backtest.progress', timestamp, duplicate: false });
  const page = await client.history('backtest.*');
  expect(page.events.map(({ id, metadata }) => [id, metadata.correlation_id])).toEqual([[receipt.id, 'run-7']]);
  const [first] = await take(client.subscribe('backtest.b1', { from: 'earliest', onGap: 'fail' }), 1);
  expect(first?.id).toBe(receipt.id);
  expect(received).toEqual([
    { type: 'backtest.progress', at: timestamp.getTime() },
    { type: '0.5', at: 0 },
  ]);
  expect(subscription.lastEventId).toBe(receipt.id);
});

test('an event says what led to it, and belongs to the piece of work of that where it names none', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('cartographe', 'service') });
  await using background = new BackgroundPublisher(client);
  const first = await client.publish('backtest.b1', 'backtest.started', { backtest_id: 'b1' });
  const caused = await client.publish('backtest.b1', 'backtest.progress', progressOf(0.5), { causationId: first.id });
  const event = { channel: 'backtest.b1', type: 'backtest.progress', data: progressOf(1) } as const;
  await client.publishBatch([{ ...event, metadata: { causation_id: caused.id, correlation_id: 'run-7' } }]);
  background.submit({ ...event, metadata: { causation_id: first.id } });
  expect(await background.flush()).toBe(true);
  const { events } = await client.history('backtest.b1');
  expect(events.map(({ metadata }) => [metadata.correlation_id, metadata.causation_id])).toEqual([
    [first.id, undefined],
    [first.id, first.id],
    ['run-7', caused.id],
    [first.id, first.id],
  ]);
  const refused = await failure(client.publish('backtest.b1', 'backtest.progress', progressOf(1), { causationId: 'event 1' }));
  expect(refused).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'metadata.causation_id' }] });
});

test('history is read from either end, page by page', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('cartographe', 'service'));
  const ids: string[] = [];
  for (const fraction of [0.1, 0.2, 0.3]) ids.push((await client.publish('backtest.b1', 'backtest.progress', progressOf(fraction))).id);
  const idsOf = ({ events }: { events: readonly { id: string }[] }) => events.map(({ id }) => id);
  const oldest = await client.history('backtest.b1', { limit: 2 });
  expect(idsOf(oldest)).toEqual(ids.slice(0, 2));
  expect(idsOf(await client.history('backtest.b1', { after: oldest.next }))).toEqual(ids.slice(2));
  const newest = await client.history('backtest.b1', { order: 'newest', limit: 2 });
  expect(idsOf(newest)).toEqual([ids[2], ids[1]]);
  expect(newest).toMatchObject({ has_more: true, gap: null });
  const rest = await client.history('backtest.b1', { order: 'newest', before: newest.next });
  expect(idsOf(rest)).toEqual([ids[0]]);
  expect(rest.has_more).toBe(false);
  await expect(client.history('backtest.b1', { before: newest.next })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    issues: [{ path: 'before', message: 'goes with order newest' }],
  });
});

test('history is iterated over to its end, and a gap is told in the way that was chosen', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const ids: string[] = [];
  for (const fraction of [0.1, 0.2, 0.3, 0.4, 0.5]) {
    ids.push((await client.publish('backtest.b1', 'backtest.progress', progressOf(fraction))).id);
  }
  const all = async (options: IterationOptions<EventOn<'backtest.b1'>['type']>) => {
    const read: string[] = [];
    for await (const { id } of client.iterateHistory('backtest.b1', options)) read.push(id);
    return read;
  };
  expect(await all({ pageSize: 2 })).toEqual(ids);
  expect(await all({ pageSize: 1000, after: ids[1] })).toEqual(ids.slice(2));
  expect(await all({ types: ['backtest.failed'] })).toEqual([]);
  const elsewhere = 'anotherepoch-7';
  const gap = { code: 'GAP', gap: { reason: 'epoch', requested: elsewhere } };
  expect(await failure(all({ after: elsewhere }))).toMatchObject(gap);
  expect(await all({ after: elsewhere, onGap: 'continue' })).toEqual(ids);
  const order: string[] = [];
  const told = client.iterateHistory('backtest.b1', { after: elsewhere, onGap: async ({ reason }) => void order.push(reason) });
  for await (const { id } of told) order.push(id);
  expect(order).toEqual(['epoch', ...ids]);
  await using decided = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin'), onGap: 'continue' });
  expect((await decided.iterateHistory('backtest.b1', { after: elsewhere }).next()).value?.id).toBe(ids[0]);
  const abort = new AbortController();
  const aborted = client.iterateHistory('backtest.b1', { pageSize: 1, signal: abort.signal });
  await aborted.next();
  abort.abort(new Error('enough'));
  expect(await failure(aborted.next())).toMatchObject({ message: 'enough' });
});

test('the shortest program works as it stands', async () => {
  await using gateway = await startGateway();
  const { port } = new URL(gateway.url);
  const token = await gateway.token('ada', 'admin');
  await using client = new CourierClient({ url: `ws://localhost:${port}`, token });
  await client.connect();
  const received = Promise.withResolvers<string>();
  const subscription = client.subscribe('backtest.abc', (event) => received.resolve(event.id));
  await subscription.live;
  const { id } = await client.publish('backtest.abc', 'backtest.progress', { backtest_id: 'abc', progress: 0.5 });
  expect(await received.promise).toBe(id);
});

async function take<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  if (count === 0) return taken;
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

test('without a choice a gap ends the subscription; the client may choose for all', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const ahead = (await client.publish('backtest.b1', 'backtest.progress', progressOf(0))).id.replace(/\d+$/, '9999');
  const gap = { code: 'GAP', gap: { reason: 'ahead', requested: ahead } };
  expect(await failure(client.subscribe('backtest.b1', { lastEventId: ahead }).next())).toMatchObject(gap);
  const onError = vi.fn();
  await failure(client.subscribe('backtest.b1', () => undefined, { lastEventId: ahead, onError }).ended);
  expect(onError.mock.calls).toMatchObject([[gap]]);
  await using decided = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin'), onGap: 'continue' });
  await decided.subscribe('backtest.b1', () => undefined, { lastEventId: ahead }).live;
  const wrong = { url: gateway.url, token: 't', onGap: 'ignore' } as unknown as CourierClientOptions;
  expect(() => new CourierClient(wrong)).toThrow(/onGap: must be 'continue'/);
});

test('a gap is told, in the way that was chosen, before what follows', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const { id } = await client.publish('backtest.b1', 'backtest.progress', progressOf(0));
  const ahead = id.replace(/\d+$/, '9999');
  const order: string[] = [];
  const subscription = client.subscribe('backtest.b1', ({ id: received }) => void order.push(received), {
    lastEventId: ahead,
    from: 'earliest',
    onGap: async (gap) => {
      await Promise.resolve();
      order.push(gap.reason);
    },
  });
  await subscription.live;
  expect(order).toEqual(['ahead', id]);
  const strict = client.subscribe('backtest.b1', { lastEventId: ahead, onGap: 'fail' });
  expect(await failure(strict.next())).toMatchObject({
    code: 'GAP',
    retryable: false,
    hint: expect.stringContaining('missing'),
    gap: { reason: 'ahead', requested: ahead },
  });
  const lenient = client.subscribe('backtest.b1', { lastEventId: ahead, from: 'earliest', onGap: 'continue' });
  expect((await take(lenient, 1)).map((event) => event.id)).toEqual([id]);
});

test('subscriptions to the same channels share one on the wire, in whatever order they are named', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const seen: string[] = [];
  const options = { onGap: 'fail' } as const;
  const subscriptions: Subscription[] = [
    client.subscribe(['backtest.b1', 'global'], () => void seen.push('a'), options),
    client.subscribe(['global', 'backtest.b1'], () => void seen.push('b'), options),
  ];
  await Promise.all(subscriptions.map(({ live }) => live));
  subscriptions.push(client.subscribe(['global', 'backtest.b1'], () => void seen.push('c'), options));
  await subscriptions[2]?.live;
  expect(gateway.pipeline.hub.subscribers).toBe(1);
  await client.publish('global', 'backtest.progress', progressOf(0));
  expect(seen.sort()).toEqual(['a', 'b', 'c']);
  for (const subscription of subscriptions) subscription.unsubscribe();
  await Promise.all(subscriptions.map(({ ended }) => ended));
  // The gateway answers in order: by the time of this answer it has heard of the end.
  await client.trpc.auth.whoami.query();
  expect(gateway.pipeline.hub.subscribers).toBe(0);
});

test('one object and one date may stand in several events of a batch', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const timestamp = new Date('2026-01-02T03:04:05.678Z');
  const shared = { type: 'backtest.started', channel: 'backtest.b1', data: { backtest_id: 'b1' }, metadata: { timestamp } } as const;
  await client.publishBatch([shared, shared, { ...shared, metadata: { timestamp, user_id: 'ada' } }]);
  const { events } = await client.history('backtest.b1');
  expect(events.map(({ data, metadata }) => [data, metadata.timestamp])).toEqual(Array(3).fill([{ backtest_id: 'b1' }, timestamp]));
});

test('a slow consumer holds no more than its bound, and misses nothing', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const slow = client.subscribe('backtest.b1', { from: 'earliest', onGap: 'fail', maxBufferedEvents: 10 });
  const total = 500;
  for (let start = 0; start < total; start += 100) {
    await client.publishBatch(
      Array.from({ length: 100 }, (_, index) => ({
        type: 'backtest.progress',
        channel: 'backtest.b1',
        data: { backtest_id: 'b1', progress: 0, bars_processed: start + index },
      })),
    );
  }
  const bars: (number | undefined)[] = [];
  for await (const event of slow) {
    if (event.type !== 'backtest.progress') continue;
    bars.push(event.data.bars_processed);
    if (bars.length % 50 === 0) await client.trpc.auth.whoami.query();
    if (bars.length === total) break;
  }
  expect(bars).toEqual(Array.from({ length: total }, (_, index) => index));
});

test('a handler is waited for, and one that fails ends its subscription with the last event that was handled', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const { id: first } = await client.publish('backtest.b1', 'backtest.progress', progressOf(0.1));
  await client.publish('backtest.b1', 'backtest.progress', progressOf(0.2));
  let running = 0;
  const subscription = client.subscribe(
    'backtest.b1',
    async (event) => {
      running += 1;
      expect(running).toBe(1);
      await client.trpc.auth.whoami.query();
      running -= 1;
      if (event.type === 'backtest.progress' && event.data.progress === 0.2) throw new RangeError('no more');
    },
    { from: 'earliest', onGap: 'fail', onError: () => undefined },
  );
  await expect(subscription.ended).rejects.toThrow('no more');
  expect(subscription.lastEventId).toBe(first);
});

test('a cursor keeps what was handled, and another client goes on from there', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const ids: string[] = [];
  for (const fraction of [0.1, 0.2, 0.3]) ids.push((await client.publish('backtest.b1', 'backtest.progress', progressOf(fraction))).id);
  let kept: string | undefined;
  const cursor: Cursor = {
    load: () => Promise.resolve(kept),
    save: async (position) => {
      await Promise.resolve();
      kept = position;
    },
  };
  const options = { from: 'earliest', cursor, onGap: 'fail' } as const;
  const events = client.subscribe('backtest.*', options);
  expect((await events.next()).value?.id).toBe(ids[0]);
  expect(kept).toBeUndefined();
  expect((await events.next()).value?.id).toBe(ids[1]);
  expect(kept).toBe(ids[0]);
  await events.return();
  // The second was given, and nobody said that it was handled.
  expect((await take(client.subscribe('backtest.*', options), 2)).map(({ id }) => id)).toEqual(ids.slice(1));
  const broken = client.subscribe('backtest.*', {
    ...options,
    cursor: { load: () => kept, save: () => Promise.reject(new Error('disk full')) },
  });
  await broken.next();
  await expect(broken.next()).rejects.toThrow('disk full');
});

test('an event whose handler ends the subscription counts as handled', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const { id } = await client.publish('backtest.b1', 'backtest.progress', progressOf(0));
  const saved: string[] = [];
  const cursor: Cursor = { load: () => null, save: (position) => void saved.push(position) };
  const subscription: Subscription = client.subscribe('backtest.b1', () => subscription.unsubscribe(), {
    from: 'earliest',
    cursor,
    onGap: 'fail',
  });
  await subscription.ended;
  expect(saved).toEqual([id]);
  expect(subscription.lastEventId).toBe(id);
});

test('a signal ends a subscription in peace, also one that has aborted before', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const abort = new AbortController();
  const subscription = client.subscribe('global', () => undefined, { onGap: 'fail', signal: abort.signal });
  await subscription.live;
  abort.abort();
  await subscription.ended;
  expect(await take(client.subscribe('global', { onGap: 'fail', signal: abort.signal }), 1)).toEqual([]);
});

test('a refused publish is not repeated, and its error names the field and the next step', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('cartographe', 'service'));
  const invalid = await failure(client.publish('backtest.b1', 'backtest.progress', progressOf(2)));
  expect(invalid).toMatchObject({
    name: 'CourierError',
    code: 'BAD_REQUEST',
    retryable: false,
    issues: [{ path: 'data.progress' }],
    requestId: expect.any(String),
    idempotencyKey: expect.any(String),
  });
  expect(invalid.hint).toContain('issues');
  const foreign = client.publish('strategy.s1', 'order.cancelled', { order_id: 'o', reason: 'no' });
  expect(await failure(foreign)).toMatchObject({ code: 'FORBIDDEN' });
  const huge = client.publish('backtest.b1', 'backtest.failed', { backtest_id: 'b1', code: 'x', message: 'x'.repeat(200_000) });
  expect(await failure(huge)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', issues: [{ path: 'data' }] });
  // All over the same connection, which nothing of this has closed.
  expect(client.connection.get().status).toBe('connected');
});

test('a gateway of another contract is a state, and is named where it refuses an event for its form', async () => {
  await using server = await startScriptedServer();
  const data = progressOf();
  const refusal = { code: 'BAD_REQUEST', message: 'data.percent: is missing', issues: [{ path: 'data.percent', message: 'is missing' }] };
  const run = server.play({
    name: 'another-contract',
    why: 'a client that is older than the gateway',
    gateway: { contract: '0123456789abcdef' },
    publish: { channel: 'backtest.b1', type: 'backtest.progress', data },
    answers: [{ error: refusal }],
    result: { error: refusal },
  });
  await using client = new CourierClient({ url: run.url, token: 't1' });
  await client.connect();
  expect(client.connection.get()).toMatchObject({ contract: { client: CONTRACT_HASH, gateway: '0123456789abcdef', same: false } });
  const refused = await failure(client.publish('backtest.b1', 'backtest.progress', progressOf(0.5)));
  expect(refused.hint).toMatch(new RegExp(`issues.*${CONTRACT_HASH}.*0123456789abcdef`));
  expect(run.seen()).toMatchObject({ mismatches: [] });
});

test('one idempotency key, given or made, stores an event once', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const options = { idempotencyKey: 'once' };
  const first = await client.publish('backtest.b1', 'backtest.progress', progressOf(0.5), options);
  const again = await client.publish('backtest.b1', 'backtest.progress', progressOf(0.5), options);
  expect(again).toEqual({ ...first, duplicate: true });
});

test('hundreds of publishes and subscriptions that begin at once all succeed', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const message = 'x'.repeat(900);
  const events = client.subscribe('backtest.b1', { onGap: 'fail', from: 'earliest' });
  const receipts = await Promise.all(
    Array.from({ length: 300 }, () => client.publish('backtest.b1', 'backtest.failed', { backtest_id: 'b1', code: 'x', message })),
  );
  expect((await take(events, 300)).map(({ id }) => id).sort()).toEqual(receipts.map(({ id }) => id).sort());
});

test('a batch that is too much for one message is refused, and the connection stays', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  await client.connect();
  const data = { job_id: 'j1', result: { text: 'x'.repeat(6000) } };
  const batch = Array.from({ length: 300 }, () => ({ type: 'forge.job.completed', channel: 'forge.job.j1', data }) as const);
  expect(await failure(client.publishBatch(batch))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', hint: expect.stringContaining('smaller') });
  expect(await client.publishBatch(batch.slice(0, 150))).toHaveLength(150);
  expect(client.connection.get().status).toBe('connected');
});

test('a listener may open the way again as soon as it hears of a refusal', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, 'not.a.token');
  const good = await gateway.token('ada', 'admin');
  client.connection.subscribe(({ status }) => {
    if (status === 'refused') void client.setToken(good);
  });
  await client.connect().catch(() => undefined);
  await state(client, 'connected');
  await client.publish('backtest.b1', 'backtest.progress', progressOf(0));
});

test('at most so many publishes wait for their answers', async () => {
  await using gateway = await startGateway();
  await using client = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin'), maxPendingPublishes: 2 });
  const publish = () => client.publish('backtest.b1', 'backtest.progress', progressOf(0));
  const results = await Promise.allSettled([publish(), publish(), publish()]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(results[2]).toMatchObject({ reason: { code: 'QUEUE_FULL' } });
});

test.each(['http', 'ws'].flatMap((scheme) => ['', '/'].map((ending) => [scheme, ending])))(
  'a gateway below a path is reached by %s, with "%s" at the end',
  async (scheme, ending) => {
    await using gateway = await startGateway({ COURIER_BASE_PATH: '/tools/courier' });
    expect(gateway.url).toMatch(/\/tools\/courier$/);
    const url = `${gateway.url.replace('http', scheme as string)}${ending}`;
    await using client = new CourierClient({ url, token: await gateway.token('root', 'admin'), retry: QUICK });
    const { id } = await client.publish('forge.job.j', 'forge.job.started', { job_id: 'j', kind: 'k' });
    expect((await client.history('forge.job.j')).events.map((event) => event.id)).toEqual([id]);
  },
);

test('wrong options are refused at once, by name', () => {
  const refused = (options: object, message: RegExp) =>
    expect(() => new CourierClient(options as ConstructorParameters<typeof CourierClient>[0])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  refused({ url: 'not an address', token: 't' }, /^url: must be an address such as/);
  refused({ url: 'ftp://host', token: 't' }, /^url: .*http/);
  refused({ url: 'http://host' }, /^token:/);
});

test('a gateway that is away is told within the time, and reached when it is there', async () => {
  // A port on which nobody listens for now.
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const token: { value: string } = { value: 'none yet' };
  await using client = new CourierClient({ url: `http://127.0.0.1:${port}`, token: () => token.value, retry: QUICK });
  const away = await failure(client.connect({ timeoutMs: 50 }));
  expect(away).toMatchObject({ code: 'UNREACHABLE', hint: expect.stringContaining('COURIER_ALLOWED_ORIGINS') });
  expect(away.message).toContain(`127.0.0.1:${port}`);
  const abort = new AbortController();
  const aborted = failure(client.connect({ signal: abort.signal }));
  abort.abort(new Error('enough'));
  expect(await aborted).toMatchObject({ message: 'enough' });
  const late = await failure(client.publish('backtest.b1', 'backtest.progress', progressOf(0), { timeoutMs: 50 }));
  expect(late).toMatchObject({
    code: 'UNREACHABLE',
    idempotencyKey: expect.any(String),
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
  const published = client.publish('backtest.b1', 'backtest.progress', progressOf(0), { idempotencyKey: late.idempotencyKey });
  await using gateway = await startGateway({ COURIER_PORT: String(port) });
  token.value = await gateway.token('ada', 'admin');
  await client.connect();
  expect(await published).toMatchObject({ duplicate: false });
});

test('a refused token ends the attempts, fails what waits, and is a state; with another one everything goes on', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, 'not.a.token');
  const waiting = client.subscribe('global', () => undefined, { onGap: 'fail', whenRefused: 'wait' });
  const ending = client.subscribe('global', { onGap: 'fail' });
  const refused = await failure(client.connect());
  expect(refused).toMatchObject({ code: 'UNAUTHORIZED', closeCode: 1008, retryable: false, hint: expect.stringContaining('token') });
  expect(client.connection.get()).toEqual({ status: 'refused', error: refused });
  expect(await failure(client.publish('backtest.b1', 'backtest.progress', progressOf(0)))).toMatchObject({ code: 'UNAUTHORIZED' });
  expect(await failure(client.trpc.auth.whoami.query())).toMatchObject({ cause: refused });
  expect(await failure(ending.next())).toBe(refused);
  await client.setToken(await gateway.token('ada', 'admin'));
  await waiting.live;
  expect((await state(client, 'connected')).identity).toMatchObject({ sub: 'ada', role: 'admin' });
});

test('a token function is asked again once after a refusal, and no more', async () => {
  await using gateway = await startGateway();
  const tokens = ['wrong', await gateway.token('ada', 'admin')];
  let asked = 0;
  await using client = clientOf(gateway, () => tokens[asked++] ?? 'wrong');
  await client.connect();
  expect(asked).toBe(2);
  let wrong = 0;
  await using hopeless = clientOf(gateway, () => `wrong ${wrong++}`);
  expect(await failure(hopeless.connect())).toMatchObject({ code: 'UNAUTHORIZED' });
  expect(wrong).toBe(2);
  await using same = clientOf(gateway, () => 'wrong');
  expect(await failure(same.connect())).toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining('no other') });
  await using none = clientOf(gateway, () => null);
  expect(await failure(none.connect())).toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining('there is no token') });
});

test('a token function that fails is asked again', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('ada', 'admin');
  const retried: string[] = [];
  let asked = 0;
  await using client = new CourierClient({
    url: gateway.url,
    token: async () => {
      asked += 1;
      if (asked < 3) throw new Error('the identity provider is away');
      return token;
    },
    retry: QUICK,
    onRetry: ({ code, message }) => retried.push(`${code}: ${message}`),
  });
  await client.connect();
  expect(retried).toEqual(Array(2).fill('TOKEN_UNAVAILABLE: the token function failed: the identity provider is away'));
});

test('a token function that never answers counts as failed, and the client closes all the same', async () => {
  const retried = Promise.withResolvers<CourierError>();
  const token = () => new Promise<string>(() => undefined);
  await using client = new CourierClient({ url: 'http://127.0.0.1:1', token, retry: QUICK, timeoutMs: 20, onRetry: retried.resolve });
  expect(await failure(client.connect({ timeoutMs: 10 }))).toMatchObject({ code: 'TOKEN_UNAVAILABLE' });
  expect(await retried.promise).toMatchObject({ code: 'TOKEN_UNAVAILABLE', message: expect.stringContaining('no answer within 20 ms') });
});

test('a token is renewed over the same connection before it expires', async () => {
  await using gateway = await startGateway();
  let asked = 0;
  await using client = clientOf(gateway, () => {
    asked += 1;
    return gateway.token('ada', 'admin', { expiresInSeconds: asked === 1 ? 5 : 60 });
  });
  await client.connect();
  const before = await client.trpc.auth.whoami.query();
  const renewed = await new Promise<ConnectionState>((resolve) => client.connection.subscribe(resolve));
  expect(renewed).toMatchObject({ status: 'connected' });
  expect((await client.trpc.auth.whoami.query()).expires_at.getTime()).toBeGreaterThan(before.expires_at.getTime());
  expect(asked).toBe(2);
  expect(gateway.pipeline.hub.subscribers).toBe(0);
});

test('a token that cannot be renewed ends with the connection, and is told', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'admin', { expiresInSeconds: 1 }));
  const events = client.subscribe('global', { onGap: 'fail' });
  expect(await failure(events.next())).toMatchObject({ code: 'UNAUTHORIZED', closeCode: 1008 });
});

test('setToken changes the rights of the connection at once, and refuses the token of another', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, await gateway.token('ada', 'user', { subscribe: ['backtest.*'] }));
  const events = client.subscribe('backtest.b1', () => undefined, { onGap: 'fail', onError: () => undefined });
  await events.live;
  await state(client, 'connected');
  expect(await failure(client.setToken(await gateway.token('eve', 'admin')))).toMatchObject({ code: 'UNAUTHORIZED' });
  await client.setToken(await gateway.token('ada'));
  expect(await failure(events.ended)).toMatchObject({ code: 'FORBIDDEN' });
});

test('a client that was disconnected comes back by itself and resumes', async () => {
  await using gateway = await startGateway();
  await using admin = clientOf(gateway, await gateway.token('root', 'admin'));
  await using client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const received: (number | undefined)[] = [];
  const subscription = client.subscribe(
    'backtest.b1',
    (event) => void received.push(event.type === 'backtest.progress' ? event.data.bars_processed : undefined),
    { onGap: 'fail' },
  );
  await subscription.live;
  const publish = (bars_processed: number) =>
    admin.publish('backtest.b1', 'backtest.progress', { backtest_id: 'b1', progress: 0, bars_processed });
  for (let round = 0; round < 5; round += 1) {
    await state(client, 'connected');
    await publish(round * 2);
    const [connection] = (await admin.trpc.admin.connections.query({ sub: 'ada' })).connections;
    await admin.trpc.admin.disconnect.mutate({ connection_id: String(connection?.connection_id) });
    await publish(round * 2 + 1);
    await state(client, 'connecting');
  }
  await publish(10);
  await expect.poll(() => received.length).toBe(11);
  expect(received).toEqual(Array.from({ length: 11 }, (_, index) => index));
});

test('close answers what was sent, ends subscriptions in peace, and refuses what comes after', async () => {
  await using gateway = await startGateway();
  const client = clientOf(gateway, await gateway.token('ada', 'admin'));
  const subscription = client.subscribe('global', () => undefined, { onGap: 'fail' });
  await subscription.live;
  const sent = client.publish('backtest.b1', 'backtest.progress', progressOf(0));
  const reading = client.subscribe('global', { onGap: 'fail' }).next();
  await client.close();
  expect(await sent).toMatchObject({ duplicate: false });
  await subscription.ended;
  expect(await reading).toEqual({ done: true, value: undefined });
  expect(client.connection.get()).toEqual({ status: 'closed' });
  expect(await failure(client.publish('backtest.b1', 'backtest.progress', progressOf(0)))).toMatchObject({ code: 'CLOSED' });
  expect(await failure(client.connect())).toMatchObject({ code: 'CLOSED' });
  expect(() => client.subscribe('global', { onGap: 'fail' })).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  expect(gateway.pipeline.hub.subscribers).toBe(0);
});

test('a client that was never used opens nothing', async () => {
  await using gateway = await startGateway();
  await using client = clientOf(gateway, 'whatever');
  expect(client.connection.get()).toEqual({ status: 'idle' });
});

test('where nothing comes, the position moves with what others publish, and is kept', async () => {
  await using gateway = await startGateway({}, { retentionMs: 500 });
  await using client = clientOf(gateway, await gateway.token('cartographe', 'service'));
  const saved: string[] = [];
  const cursor: Cursor = { load: () => undefined, save: (position) => void saved.push(position) };
  const subscription = client.subscribe('backtest.quiet', () => undefined, { onGap: 'fail', cursor });
  await subscription.live;
  const { id } = await client.publish('backtest.b1', 'backtest.progress', progressOf(0.5));
  await expect.poll(() => subscription.lastEventId).toBe(id);
  expect(saved.at(-1)).toBe(id);
});
