/** Resuming with unmodified clients, and what a subscription refuses. */
import { expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import { startGateway } from '../helpers/gateway.ts';
import type { Received } from '../helpers/lumiere.ts';
import { jobCompleted, jobStarted } from '../helpers/samples.ts';

type Item = { id: string; data: Received<'**'> };

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
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
  const data = { job_id: 'j', progress: 0.5 };
  const first = await client.trpc.forge.publish.mutate({ type: 'forge.job.progress', channel: 'forge.job.j', data });
  const channels = ['forge.job.j', 'forge.**', '**', '**.j', 'global'];
  using received = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels, from: 'earliest' }, observer));
  await received.count(2);
  const { id } = await client.trpc.forge.publish.mutate(jobCompleted());
  await received.until((items) => items.at(-1)?.id === id);
  expect(received.items.map((item) => item.data.type)).toEqual(['forge.job.progress', 'courier.live', 'forge.job.completed']);
  expect(received.items[0]?.id).toBe(first.id);
});

test('a client whose connection was cut resumes by itself, and misses nothing', async () => {
  await using gateway = await startGateway();
  await using reader = gateway.webSocketClient(await gateway.token('reader', 'service'));
  await using writer = gateway.webSocketClient(await gateway.token('forge', 'service'));
  const publish = (kind: string) => writer.trpc.forge.publish.mutate(jobStarted(kind));
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
