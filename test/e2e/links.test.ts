/** Unmodified @trpc/client over its three links: every type is published and received, with its type and a Date. */
import { describe, expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import {
  contract,
  draftOf,
  EVENT_TYPES,
  FAMILIES,
  onEventOf,
  SAMPLES,
  startGateway,
  type TradeClient,
  type TradeDraft,
  type TradeEvent,
  worker,
} from '../helpers/trade.ts';

type Item = { id: string; data: TradeEvent };

const publishAll = async (client: (service: string) => Promise<TradeClient>) => {
  const receipts = [];
  for (const type of EVENT_TYPES) {
    const trpc = await client(contract.serviceOf(type) as string);
    receipts.push(await trpc.events.publish.mutate(SAMPLES[type] as TradeDraft));
  }
  return receipts;
};

function expectAll(items: readonly Item[], receipts: readonly { id: string }[]): void {
  const [live, ...events] = items;
  expect(live?.data.type).toBe('courier.live');
  expect(events.map(({ id }) => id)).toEqual(receipts.map(({ id }) => id));
  for (const [index, type] of EVENT_TYPES.entries()) {
    const event = events[index]?.data as TradeEvent;
    expect(event).toMatchObject({ id: receipts[index]?.id, type, channel: SAMPLES[type]?.channel, data: SAMPLES[type]?.data });
    expect(event.metadata.source).toBe(contract.serviceOf(type));
    expect(event.metadata.timestamp).toBeInstanceOf(Date);
  }
}

describe('each type', () => {
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

test('the subscription of each family gives what its channels carry, in their order, and nothing else', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('root', 'admin'));
  using stack = new DisposableStack();
  const inputOf = (family: string, id: string) => ({ [contract.families.get(family)?.id ?? 'from']: family === 'global' ? 'now' : id });
  const followed = FAMILIES.map((family) => {
    const follow = onEventOf(client.trpc, family);
    return { family, items: stack.use(collect<Item>((observer) => follow.subscribe(inputOf(family, 'x1'), observer))) };
  });
  for (const { items } of followed) await items.count(1);
  for (const type of EVENT_TYPES) {
    for (const family of contract.types.get(type)?.families ?? []) {
      // Another channel of the family, whose events nobody asked for, unless the family has one channel.
      for (const id of family === 'global' ? ['x1'] : ['x2', 'x1']) await client.trpc.events.publish.mutate(draftOf(type, family, id));
    }
  }
  for (const { family, items } of followed) {
    const carried = EVENT_TYPES.filter((type) => contract.types.get(type)?.families.includes(family));
    const received = (await items.count(carried.length + 1)).slice(1).map(({ data }) => data);
    expect(received.map(({ type }) => type)).toEqual(carried);
    expect(new Set(received.map(({ channel }) => channel))).toEqual(new Set([family === 'global' ? 'global' : `${family}.x1`]));
  }
});

test('user.onEvent without a user gives the channel of the caller', async () => {
  await using gateway = await startGateway();
  await using user = gateway.webSocketClient(await gateway.token('u1'));
  await using admin = gateway.webSocketClient(await gateway.token('root', 'admin'));
  using received = collect<Item>((observer) => user.trpc.user.onEvent.subscribe(undefined, observer));
  await received.count(1);
  await admin.trpc.events.publish.mutate({ ...worker.note(), channel: 'user.u2' });
  await admin.trpc.events.publish.mutate({ ...worker.note(), channel: 'user.u1' });
  const own = { type: worker.noted.type, channel: 'user.u1', metadata: { source: 'root' } };
  expect((await received.count(2))[1]?.data).toMatchObject(own);
  using other = collect<Item>((observer) => user.trpc.user.onEvent.subscribe({ user_id: 'u2' }, observer));
  await expect(other.count(1)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
});
