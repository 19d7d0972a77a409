/** Unmodified @trpc/client over its three links: every type is published and received, with its type and a Date. */
import type { TRPCClient } from '@trpc/client';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { AppRouter } from '../../src/router/index.ts';
import { collect } from '../helpers/collect.ts';
import { startGateway } from '../helpers/gateway.ts';
import { type CourierEvent, contract, EVENT_TYPES, type EventDraft, type Received } from '../helpers/lumiere.ts';
import { SAMPLES } from '../helpers/samples.ts';

type Client = TRPCClient<AppRouter>;
type Item = { id: string; data: Received<'**'> };

const publishAll = async (client: (service: string) => Promise<Client>) => {
  const receipts = [];
  for (const type of EVENT_TYPES) {
    const trpc = await client(contract.serviceOf(type) as string);
    receipts.push(await trpc.events.publish.mutate(SAMPLES[type] as EventDraft));
  }
  return receipts;
};

function expectAll(items: readonly Item[], receipts: readonly { id: string }[]): void {
  const [live, ...events] = items;
  expect(live?.data.type).toBe('courier.live');
  expect(events.map(({ id }) => id)).toEqual(receipts.map(({ id }) => id));
  for (const [index, type] of EVENT_TYPES.entries()) {
    const event = events[index]?.data as CourierEvent;
    expect(event).toMatchObject({ id: receipts[index]?.id, type, channel: SAMPLES[type].channel, data: SAMPLES[type].data });
    expect(event.metadata.source).toBe(contract.serviceOf(type));
    expect(event.metadata.timestamp).toBeInstanceOf(Date);
  }
}

describe('each of the 17 types', () => {
  test('over wsLink', async () => {
    await using gateway = await startGateway();
    await using clients = new AsyncDisposableStack();
    const connect = async (sub: string) => clients.use(gateway.webSocketClient(await gateway.token(sub, 'service'))).trpc;
    const reader = await connect('reader');
    using received = collect<Item>((observer) => reader.events.subscribe.subscribe({ channels: ['**'] }, observer));
    await received.count(1);
    const receipts = await publishAll(connect);
    expectAll(await received.count(EVENT_TYPES.length + 1), receipts);
  });

  test('over httpBatchLink and httpSubscriptionLink', async () => {
    await using gateway = await startGateway();
    const connect = async (sub: string) => gateway.httpClient(await gateway.token(sub, 'service'));
    const reader = await connect('reader');
    using received = collect<Item>((observer) => reader.events.subscribe.subscribe({ channels: ['**'] }, observer));
    await received.count(1);
    const receipts = await publishAll(connect);
    expectAll(await received.count(EVENT_TYPES.length + 1), receipts);
    const page = await reader.events.history.query({ channels: ['**'] });
    expect(page.events.map(({ id }) => id)).toEqual(receipts.map(({ id }) => id));
    expect(page.events[0]?.metadata.timestamp).toBeInstanceOf(Date);
    expect(page).toMatchObject({ has_more: false, gap: null, next: receipts.at(-1)?.id });
  });
});

test('the subscriptions by family are typed to what the family carries, and deliver it', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('root', 'admin'));
  const { trpc } = client;
  using backtest = collect<{ id: string; data: Received<'backtest.*'> }>((observer) =>
    trpc.backtest.onEvent.subscribe({ backtest_id: 'b1' }, observer),
  );
  using job = collect<{ id: string; data: Received<'forge.job.*'> }>((observer) => trpc.forge.onJob.subscribe({ job_id: 'j1' }, observer));
  using global = collect<{ id: string; data: Received<'global'> }>((observer) => trpc.global.onEvent.subscribe(undefined, observer));
  using user = collect<{ id: string; data: Received<'user.*'> }>((observer) => trpc.user.onEvent.subscribe({ user_id: 'u1' }, observer));
  using strategy = collect<{ id: string; data: Received<'strategy.*'> }>((observer) =>
    trpc.strategy.onEvent.subscribe({ strategy_id: 's1' }, observer),
  );
  await Promise.all([backtest, job, global, user, strategy].map((collected) => collected.count(1)));
  for (const type of EVENT_TYPES) await trpc.events.publish.mutate(SAMPLES[type] as EventDraft);
  const typesOf = (items: readonly { data: { type: string } }[]) => items.map(({ data }) => data.type).slice(1);
  expect(typesOf(await backtest.count(4))).toEqual(['backtest.started', 'backtest.progress', 'backtest.failed']);
  expect(typesOf(await job.count(5))).toEqual(['forge.job.started', 'forge.job.progress', 'forge.job.completed', 'forge.job.failed']);
  expect(typesOf(await global.count(2))).toEqual(['strategy.generation.failed']);
  expect(typesOf(await user.count(3))).toEqual(['strategy.generation.completed', 'position.updated']);
  expect(typesOf(await strategy.count(8))).toContain('trade.executed');
  expectTypeOf(backtest.items[0]?.data.type)
    .exclude<undefined>()
    .toEqualTypeOf<'backtest.started' | 'backtest.progress' | 'backtest.completed' | 'backtest.failed' | 'courier.gap' | 'courier.live'>();
});

test('user.onEvent without a user gives the channel of the caller', async () => {
  await using gateway = await startGateway();
  await using user = gateway.webSocketClient(await gateway.token('u1'));
  await using admin = gateway.webSocketClient(await gateway.token('root', 'admin'));
  using received = collect<{ id: string; data: Received<'user.*'> }>((observer) => user.trpc.user.onEvent.subscribe(undefined, observer));
  await received.count(1);
  await admin.trpc.events.publish.mutate({ ...SAMPLES['position.updated'], channel: 'user.u2' });
  await admin.trpc.events.publish.mutate(SAMPLES['position.updated']);
  expect((await received.count(2))[1]?.data).toMatchObject({ type: 'position.updated', channel: 'user.u1', metadata: { source: 'root' } });
  using other = collect((observer) => user.trpc.user.onEvent.subscribe({ user_id: 'u2' }, observer));
  await expect(other.count(1)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
});
