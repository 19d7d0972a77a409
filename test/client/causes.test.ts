/** What a handler publishes has its event for its cause, and belongs to the same piece of work, whoever else has work meanwhile. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import {
  BackgroundPublisher,
  CourierClient,
  type CourierEvent,
  type PublishOptions,
  withCause,
  withoutCause,
} from '../../client/src/index.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';

async function adminOf(gateway: TestGateway): Promise<CourierClient> {
  return new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin') });
}

/** What a test publishes in a handler, by a name of its own. */
const draft = (step: string) =>
  ({ channel: 'forge.job.j', type: 'forge.job.progress', data: { job_id: 'j', progress: 0.5, step } }) as const;

function publish(client: CourierClient, step: string, options: PublishOptions = {}) {
  const { channel, type, data } = draft(step);
  return client.publish(channel, type, data, options);
}

/** Publishes what a handler is called with. */
async function begin(client: CourierClient, id = 'b1', options: PublishOptions = {}): Promise<string> {
  return (await client.publish(`backtest.${id}`, 'backtest.started', { backtest_id: id }, options)).id;
}

/** Of what was published as `draft`, by its name: the correlation id and the cause. */
async function origins(client: CourierClient): Promise<Record<string, readonly [string | undefined, string | undefined]>> {
  const { events } = await client.history('forge.job.j', { types: ['forge.job.progress'], limit: 1000 });
  const named = events.map(({ id, data: { step }, metadata: { correlation_id, causation_id } }) => {
    return [step as string, [correlation_id === id ? 'its own' : correlation_id, causation_id] as const] as const;
  });
  return Object.fromEntries(named);
}

const NONE = ['its own', undefined];

/** Calls a handler for one event that was published with such options. Resolves to the event's id when the handler is done. */
async function handled(client: CourierClient, handler: (event: CourierEvent) => unknown, options: PublishOptions = {}): Promise<string> {
  const done = Promise.withResolvers<void>();
  using subscription = client.subscribe(
    'backtest.b1',
    async (event) => {
      try {
        await handler(event);
        done.resolve();
      } catch (error) {
        done.reject(error);
      }
    },
    { types: ['backtest.started'] },
  );
  await subscription.live;
  const id = await begin(client, 'b1', options);
  await done.promise;
  return id;
}

test('however and whenever a handler publishes, the event is the cause, in its piece of work', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  await using other = await adminOf(gateway);
  await using background = new BackgroundPublisher(client);
  const later = Promise.withResolvers<void>();
  const id = await handled(
    client,
    async () => {
      const atOnce = publish(client, 'at once');
      background.submit(draft('in the background'));
      await Promise.all([atOnce, client.publishBatch([draft('in a batch'), draft('in a batch too')])]);
      await publish(client, 'after an await');
      await sleep(1);
      await publish(client, 'after a timer');
      background.submit(draft('in the background after a timer'));
      await publish(other, 'with another client');
      await Promise.resolve().then(() => publish(client, 'in a promise'));
      setTimeout(() => setImmediate().then(() => publish(client, 'when the handler is done').then(() => later.resolve(), later.reject)));
    },
    { correlationId: 'run-7' },
  );
  await later.promise;
  expect(await background.flush()).toBe(true);
  const found = await origins(client);
  expect(Object.keys(found)).toHaveLength(10);
  for (const origin of Object.values(found)) expect(origin).toEqual(['run-7', id]);
});

test('an event without a name for its piece of work is the name', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  const id = await handled(client, () => publish(client, 'one'));
  expect(await origins(client)).toEqual({ one: [id, id] });
});

test('what the publisher says itself stands, each by itself', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  await using background = new BackgroundPublisher(client);
  const earlier = await begin(client, 'b2');
  const id = await handled(
    client,
    async () => {
      await publish(client, 'its work', { correlationId: 'own' });
      await publish(client, 'its cause', { causationId: earlier });
      await publish(client, 'both', { correlationId: 'own', causationId: earlier });
      await publish(client, 'neither', { correlationId: undefined, causationId: undefined });
      await client.publishBatch([
        { ...draft('its work in a batch'), metadata: { correlation_id: 'own' } },
        { ...draft('its cause in a batch'), metadata: { causation_id: earlier, user_id: 'ada' } },
      ]);
      background.submit({ ...draft('its work in the background'), metadata: { correlation_id: 'own' } });
      await withoutCause(() => publish(client, 'without'));
      withoutCause(() => background.submit(draft('without in the background')));
      await withoutCause(async () => {
        await setImmediate();
        await publish(client, 'without after an await');
      });
      await publish(client, 'with it again');
    },
    { correlationId: 'run' },
  );
  expect(await background.flush()).toBe(true);
  expect(await origins(client)).toEqual({
    'its work': ['own', id],
    'its cause': ['run', earlier],
    both: ['own', earlier],
    neither: ['run', id],
    'its work in a batch': ['own', id],
    'its cause in a batch': ['run', earlier],
    'its work in the background': ['own', id],
    without: NONE,
    'without in the background': NONE,
    'without after an await': NONE,
    'with it again': ['run', id],
  });
});

test('handlers that run at the same time keep their own, with one client and one background publisher', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  await using background = new BackgroundPublisher(client);
  const ids = Array.from({ length: 12 }, (_, index) => `b${index}`);
  let arrived = 0;
  let all = Promise.withResolvers<void>();
  /** Resolves once every handler is here, so that they go on in one turn. */
  const together = () => {
    const { promise } = all;
    arrived += 1;
    if (arrived % ids.length === 0) {
      all.resolve();
      all = Promise.withResolvers();
    }
    return promise;
  };
  const done: Promise<void>[] = [];
  for (const id of ids) {
    const own = Promise.withResolvers<void>();
    done.push(own.promise);
    const handle = async () => {
      for (const round of [1, 2, 3]) {
        await together();
        background.submit(draft(`${id}/${round}/background`));
        const published = publish(client, `${id}/${round}/before`);
        await together();
        await Promise.all([published, publish(client, `${id}/${round}/after`)]);
      }
    };
    await client.subscribe(`backtest.${id}`, () => handle().then(own.resolve, own.reject)).live;
  }
  const causes = new Map<string, string>();
  for (const id of ids) causes.set(id, await begin(client, id, { correlationId: `work-${id}` }));
  await Promise.all(done);
  expect(await background.flush()).toBe(true);
  const found = Object.entries(await origins(client));
  expect(found).toHaveLength(ids.length * 9);
  for (const [step, origin] of found) {
    const id = step.split('/')[0] as string;
    expect([step, ...origin]).toEqual([step, `work-${id}`, causes.get(id)]);
  }
});

test('what a handler leaves running keeps its cause while the next event is handled', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  const second = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const ids: string[] = [];
  using subscription = client.subscribe('backtest.b1', (event) => {
    ids.push(event.id);
    if (ids.length === 2) return publish(client, 'second').then(() => second.resolve());
    second.promise.then(() => publish(client, 'first, later')).then(() => left.resolve(), left.reject);
    return undefined;
  });
  await subscription.live;
  await begin(client);
  await begin(client);
  await left.promise;
  const [one, two] = ids;
  expect(await origins(client)).toEqual({ second: [two, two], 'first, later': [one, one] });
});

test('a handler that was subscribed by another has its own event for its cause', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  await using other = await adminOf(gateway);
  const inner = Promise.withResolvers<string>();
  const outer = await handled(
    client,
    async () => {
      // Its client connects while the first handler runs.
      const subscription = other.subscribe(
        'strategy.s1',
        async ({ id }) => {
          await publish(other, 'inner');
          inner.resolve(id);
        },
        { types: ['strategy.generation.started'] },
      );
      await subscription.live;
      await client.publish('strategy.s1', 'strategy.generation.started', { strategy_id: 's1' });
      await inner.promise;
      await publish(client, 'outer');
    },
    { correlationId: 'run' },
  );
  expect(await origins(client)).toEqual({ inner: ['run', await inner.promise], outer: ['run', outer] });
  const { events } = await client.history('strategy.s1');
  expect(events.map(({ metadata }) => metadata.causation_id)).toEqual([outer]);
  // That of an event that nobody made stays with nobody.
  await other.publish('strategy.s1', 'strategy.generation.progress', { strategy_id: 's1', progress: 1 });
  await publish(other, 'outside');
  expect((await origins(client))['outside']).toEqual(NONE);
});

test('a handler that throws leaves no cause behind', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  for (const [name, handler] of [
    ['at once', () => expect.fail('at once')],
    ['later', () => setImmediate().then(() => expect.fail('later'))],
  ] as const) {
    const told = Promise.withResolvers<void>();
    const subscription = client.subscribe('backtest.b1', handler, {
      onError: () => void publish(client, `told ${name}`).then(() => told.resolve(), told.reject),
    });
    await subscription.live;
    await begin(client);
    await expect(subscription.ended).rejects.toThrow(name);
    await publish(client, `after it threw ${name}`);
    await told.promise;
  }
  const found = await origins(client);
  expect(Object.keys(found)).toHaveLength(4);
  for (const origin of Object.values(found)) expect(origin).toEqual(NONE);
});

test('callbacks that are told of no event have no cause, though a handler has asked for them', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  await using other = await adminOf(gateway);
  const told = new Map<string, Promise<unknown>>();
  const tell = (name: string) => void (told.has(name) || told.set(name, publish(client, name)));
  const closed = new BackgroundPublisher(client, { onError: () => tell('onError of a background publisher') });
  await closed.close();
  await handled(client, async () => {
    closed.submit(draft('dropped'));
    other.connection.subscribe(() => tell('the connection'));
    const state = other.state('strategy.*', 'strategy');
    state.subscribe(() => tell('a state'));
    await state.ready;
    await client.publish('strategy.s1', 'strategy.generation.started', { strategy_id: 's1' });
    const gone = other.subscribe('backtest.b1', () => undefined, { lastEventId: 'another-1', onGap: () => tell('a gap') });
    await gone.live;
    for await (const _event of other.iterateHistory('backtest.b1', { after: 'another-1', onGap: () => tell('a gap of the history') }));
    await vi.waitUntil(() => told.size === 5);
  });
  await Promise.all(told.values());
  const found = await origins(client);
  expect(Object.keys(found).sort()).toEqual([
    'a gap',
    'a gap of the history',
    'a state',
    'onError of a background publisher',
    'the connection',
  ]);
  for (const [name, origin] of Object.entries(found)) expect([name, ...origin]).toEqual([name, ...NONE]);
});

test("a handler of tRPC's own client has the event that it is given for its cause", async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  const done = Promise.withResolvers<string>();
  const live = Promise.withResolvers<void>();
  const subscription = client.trpc.backtest.onEvent.subscribe(
    { backtest_id: 'b1' },
    {
      onData: ({ data }) => {
        if (data.type === 'courier.live') publish(client, 'live').then(() => live.resolve(), live.reject);
        else publish(client, 'event').then(() => done.resolve(data.id), done.reject);
      },
    },
  );
  await live.promise;
  await begin(client);
  const id = await done.promise;
  subscription.unsubscribe();
  expect(await origins(client)).toEqual({ live: NONE, event: [id, id] });
});

test('what an iterator gives is a cause where the caller says so', async () => {
  await using gateway = await startGateway();
  await using client = await adminOf(gateway);
  const id = await begin(client, 'b1', { correlationId: 'run' });
  await client.publish('strategy.s1', 'strategy.generation.started', { strategy_id: 's1' });
  for await (const event of client.subscribe('backtest.b1', { from: 'earliest' })) {
    await publish(client, 'by itself');
    const published = withCause(event, async () => {
      await setImmediate();
      return publish(client, 'told');
    });
    expect(await published).toMatchObject({ type: 'forge.job.progress' });
    await publish(client, 'behind it');
    break;
  }
  // As a queue keeps it.
  const kept = JSON.parse(JSON.stringify({ id, metadata: {} }));
  expect(withCause(kept, () => 5)).toBe(5);
  await withCause(kept, () => publish(client, 'of a queue'));
  expect(await origins(client)).toEqual({ 'by itself': NONE, told: ['run', id], 'behind it': NONE, 'of a queue': [id, id] });
  const [item] = await client.readState('strategy.s1', 'strategy');
  const notice = { id, channel: 'courier', metadata: {} };
  for (const wrong of [undefined, null, 5, id, {}, { id }, { id: '', metadata: {} }, item, notice]) {
    const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^event: must be an event/) };
    expect(() => withCause(wrong as never, () => 5)).toThrow(expect.objectContaining(refusal));
  }
  for (const call of [() => withCause(kept, 5 as never), () => withoutCause(undefined as never)]) {
    expect(call).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^call: must be a function/) }),
    );
  }
  expect(() => withCause(kept, () => expect.fail('its own'))).toThrow('its own');
});

test('an event of another gateway is the cause too', async () => {
  await using here = await startGateway();
  await using there = await startGateway();
  await using client = await adminOf(here);
  await using other = await adminOf(there);
  const id = await handled(client, () => publish(other, 'elsewhere'), { correlationId: 'run' });
  expect(await origins(other)).toEqual({ elsewhere: ['run', id] });
});

test('the cause in the background is that of the submission, however long the gateway is away', async () => {
  await using gateway = await startGateway();
  await using there = await startGateway();
  await using client = await adminOf(gateway);
  const token = Promise.withResolvers<string>();
  await using late = new CourierClient({ url: there.url, token: () => token.promise });
  await using background = new BackgroundPublisher(late);
  const first = await handled(client, () => background.submit(draft('first')), { correlationId: 'one' });
  const second = await handled(client, () => background.submit(draft('second')), { correlationId: 'two' });
  background.submit(draft('third'));
  expect(background.counts.pending).toBe(3);
  token.resolve(await there.token('ada', 'admin'));
  expect(await background.flush()).toBe(true);
  expect(await origins(late)).toEqual({ first: ['one', first], second: ['two', second], third: NONE });
});

test('where the runtime does not follow promises, the cause is there until the first await, and nowhere else', async () => {
  const { getBuiltinModule } = process;
  using _restored = {
    [Symbol.dispose]: () => {
      process.getBuiltinModule = getBuiltinModule;
      vi.resetModules();
    },
  };
  // As in a page, with and without what stands in for `process` there.
  for (const stand of [undefined, () => undefined]) {
    process.getBuiltinModule = stand as never;
    vi.resetModules();
    const own = await import('../../client/src/index.ts');
    await using gateway = await startGateway();
    await using client = new own.CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin') });
    await using background = new own.BackgroundPublisher(client);
    const reached = Promise.withResolvers<void>();
    const meanwhile = Promise.withResolvers<void>();
    const published: Promise<unknown>[] = [];
    using subscription = client.subscribe('backtest.b1', async () => {
      published.push(
        publish(client, 'at once'),
        own.withoutCause(() => publish(client, 'without')),
      );
      background.submit(draft('in the background'));
      await setImmediate();
      published.push(publish(client, 'after an await'));
      reached.resolve();
      await meanwhile.promise;
      throw new Error('its own');
    });
    const ended = subscription.ended.catch((error: Error) => error.message);
    await subscription.live;
    const id = await begin(client);
    await reached.promise;
    await publish(client, 'meanwhile');
    meanwhile.resolve();
    expect(await ended).toBe('its own');
    expect(() => own.withCause({ id, metadata: {} }, () => expect.fail('it throws'))).toThrow('it throws');
    await publish(client, 'afterwards');
    await Promise.all(published);
    expect(await background.flush()).toBe(true);
    expect(await origins(client)).toEqual({
      'at once': [id, id],
      without: NONE,
      'in the background': [id, id],
      'after an await': NONE,
      meanwhile: NONE,
      afterwards: NONE,
    });
  }
});
