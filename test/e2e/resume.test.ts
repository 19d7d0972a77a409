/** Resuming with unmodified clients, and what a subscription refuses. */
import { expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import { startGateway, type TradeEvent, worker } from '../helpers/trade.ts';

type Item = { id: string; data: TradeEvent };

test('garbage is refused with BAD_REQUEST, and the connection stays up', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('reader', 'service'));
  for (const [input, field] of [
    [{ channels: ['**'], lastEventId: 'garbage' }, 'lastEventId'],
    [{ channels: [] }, 'channels'],
    [{ channels: Array(101).fill('global') }, 'channels'],
    [{ channels: ['global', 'a..b'] }, 'channels.1'],
    [{ channels: ['global'], types: ['nope'] }, 'types.0'],
    [{ channels: ['global'], surprise: 1 }, 'surprise'],
  ] as const) {
    using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe(input as never, observer));
    await expect(received.count(1)).rejects.toMatchObject({ data: { code: 'BAD_REQUEST', issues: [{ path: field }] } });
  }
  expect(await client.trpc.auth.whoami.query()).toMatchObject({ sub: 'reader' });
});

test('an event that matches several of the channels is delivered once', async () => {
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token(worker.service, 'service'));
  const { publish } = worker.over(client.trpc);
  const first = await publish.mutate(worker.measure());
  const channels = [worker.channel('j'), worker.everything, '**', '**.j', 'global'];
  using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels, from: 'earliest' }, observer));
  await received.count(2);
  const { id } = await publish.mutate(worker.report());
  await received.until((items) => items.at(-1)?.id === id);
  expect(received.items.map((item) => item.data.type)).toEqual([worker.measured.type, 'courier.live', worker.reported.type]);
  expect(received.items[0]?.id).toBe(first.id);
});

test('a client whose connection was cut resumes by itself, and misses nothing', async () => {
  await using gateway = await startGateway();
  await using reader = gateway.webSocketClient(await gateway.token('reader', 'service'));
  await using writer = gateway.webSocketClient(await gateway.token(worker.service, 'service'));
  const publish = (text: string) => worker.over(writer.trpc).publish.mutate(worker.note(text));
  const notes = () => worker.notesIn(received.items.map(({ data }) => data));
  using received = collect<Item>((observer) => reader.trpc.events.subscribe.subscribe({ channels: [worker.everything] }, observer));
  await received.count(1);
  await publish('before');
  await received.count(2);
  reader.ws.connection?.ws.close();
  await publish('while away');
  await received.until(() => notes().includes('while away'));
  await publish('after');
  await received.until(() => notes().length === 3);
  expect(notes()).toEqual(['before', 'while away', 'after']);
});
