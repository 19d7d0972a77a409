/** Resuming, from every kind of position, over every transport. */
import { describe, expect, test } from 'vitest';
import type { Received } from '../../src/contract/index.ts';
import { collect } from '../helpers/collect.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

type Item = { id: string; data: Received<'**'> };
type Resume = (gateway: TestGateway, lastEventId: string) => Promise<Received<'**'>[]>;
const isLive = ({ type }: { type: string }) => type === 'courier.live';

const overTrpc = (
  connect: (gateway: TestGateway, token: string, stack: AsyncDisposableStack) => ReturnType<TestGateway['httpClient']>,
): Resume => {
  return async (gateway, lastEventId) => {
    await using stack = new AsyncDisposableStack();
    const trpc = connect(gateway, await gateway.token('reader', 'service'), stack);
    using received = collect<Item>((observer) => trpc.events.subscribe.subscribe({ channels: ['**'], lastEventId }, observer));
    return (await received.until((items) => items.some(({ data }) => isLive(data)))).map(({ data }) => data);
  };
};

const TRANSPORTS: Record<string, Resume> = {
  'tRPC over WebSocket': overTrpc((gateway, token, stack) => stack.use(gateway.webSocketClient(token)).trpc),
  'tRPC over server-sent events': overTrpc((gateway, token) => gateway.httpClient(token)),
  'plain WebSocket': async (gateway, lastEventId) => {
    const token = await gateway.token('reader', 'service');
    await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}&last_event_id=${lastEventId}`);
    for (let count = 1; ; count += 1) {
      const events = (await socket.count(count)).map((message) => JSON.parse(message) as Received<'**'>);
      if (events.some(isLive)) return events;
    }
  },
};

async function gatewayWithEvents(count: number) {
  const gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const data = { job_id: 'j', progress: index / count };
    ids.push((await client.trpc.forge.publish.mutate({ type: 'forge.job.progress', channel: 'forge.job.j', data })).id);
  }
  return { gateway, ids, epoch: ids[0]?.split('-')[0] ?? '' };
}

describe.each(Object.entries(TRANSPORTS))('over %s', (_name, resume) => {
  test('from the head, one before, and the beginning: just what came later', async () => {
    const { gateway, ids, epoch } = await gatewayWithEvents(5);
    await using _gateway = gateway;
    for (const [position, expected] of [
      [`${epoch}-5`, []],
      [`${epoch}-4`, ids.slice(4)],
      [`${epoch}-0`, ids],
    ] as const) {
      const received = await resume(gateway, position);
      expect(received.slice(0, -1).map(({ id }) => id)).toEqual(expected);
      expect(received.at(-1)).toMatchObject({ type: 'courier.live', id: `${epoch}-5`, data: { replayed: expected.length } });
    }
  });

  test('from past the end, or another log: a notice first', async () => {
    const { gateway, epoch } = await gatewayWithEvents(2);
    await using _gateway = gateway;
    for (const [requested, reason] of [
      [`${epoch}-9`, 'ahead'],
      ['another-1', 'epoch'],
    ] as const) {
      const received = await resume(gateway, requested);
      expect(received.map(({ type }) => type)).toEqual(['courier.gap', 'courier.live']);
      expect(received[0]).toMatchObject({ id: `${epoch}-2`, data: { reason, requested, resumed_from: `${epoch}-2` } });
    }
  });
});

test('garbage is refused with BAD_REQUEST, and the connection stays up', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('reader', 'service'));
  for (const [input, field] of [
    [{ channels: ['**'], lastEventId: 'garbage' }, 'lastEventId'],
    [{ channels: [] }, 'channels'],
    [{ channels: Array(101).fill('global') }, 'channels'],
    [{ channels: ['global', 'a..b'] }, 'channels'],
    [{ channels: ['global'], types: ['nope'] }, 'types.0'],
    [{ channels: ['global'], surprise: 1 }, 'surprise'],
  ] as const) {
    using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe(input as never, observer));
    await expect(received.count(1)).rejects.toMatchObject({ data: { code: 'BAD_REQUEST', issues: [{ path: field }] } });
  }
  expect(await client.trpc.auth.whoami.query()).toMatchObject({ sub: 'reader' });
});

test('an event that matches several of the channels is delivered once', async () => {
  const { gateway, ids } = await gatewayWithEvents(1);
  await using _gateway = gateway;
  await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
  const channels = ['forge.job.j', 'forge.**', '**', '**.j', 'global'];
  using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels, from: 'earliest' }, observer));
  await received.count(2);
  const { id } = await client.trpc.forge.publish.mutate({ type: 'forge.job.completed', channel: 'forge.job.j', data: { job_id: 'j' } });
  await received.until((items) => items.at(-1)?.id === id);
  expect(received.items.map((item) => item.data.type)).toEqual(['forge.job.progress', 'courier.live', 'forge.job.completed']);
  expect(received.items[0]?.id).toBe(ids[0]);
});

test('a client whose connection was cut resumes by itself, and misses nothing', async () => {
  await using gateway = await startGateway();
  await using reader = gateway.webSocketClient(await gateway.token('reader', 'service'));
  await using writer = gateway.webSocketClient(await gateway.token('forge', 'service'));
  const publish = (kind: string) =>
    writer.trpc.forge.publish.mutate({ type: 'forge.job.started', channel: 'forge.job.j', data: { job_id: 'j', kind } });
  using received = collect<Item>((observer) => reader.trpc.events.subscribe.subscribe({ channels: ['forge.**'] }, observer));
  await received.count(1);
  await publish('before');
  await received.count(2);
  reader.ws.connection?.ws.close();
  await publish('while away');
  await received.until((items) => items.some(({ data }) => data.type === 'forge.job.started' && data.data.kind === 'while away'));
  await publish('after');
  const kinds = () => received.items.flatMap(({ data }) => (data.type === 'forge.job.started' ? [data.data.kind] : []));
  await received.until(() => kinds().length === 3);
  expect(kinds()).toEqual(['before', 'while away', 'after']);
});
