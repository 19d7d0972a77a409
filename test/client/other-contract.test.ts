/** The client against a gateway of another contract: what it does with the package's own, it does with any. */
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';
import { expect, test } from 'vitest';
import { BackgroundPublisher, CourierClient, type CourierError, type Gap } from '../../client/src/index.ts';
import type { RouterOf } from '../../src/router/routes.ts';
import { contractHash } from '../../src/version.ts';
import { contract } from '../harbour/contract.ts';
import { collect } from '../helpers/collect.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';

type Harbour = typeof contract;

const HASH = contractHash(contract);
const startHarbour = () => startGateway({}, {}, { contract });
const clientOf = async (gateway: TestGateway, service: string, options: { contractHash: string | null } = { contractHash: HASH }) =>
  new CourierClient<Harbour>({ url: gateway.url, token: await gateway.token(service, 'service'), ...options });

test('publishes, subscribes, reads the history from either end, and knows the contract of the gateway', async () => {
  await using gateway = await startHarbour();
  await using client = await clientOf(gateway, 'pilotage');
  const pulls: unknown[] = [];
  const subscription = client.subscribe('vessel.9074729', (event) => {
    if (event.type === 'vessel.arriving') pulls.push(event.data.tugs?.map(({ pull }) => pull));
  });
  await subscription.live;
  const arriving = { imo: '9074729', cargo: 'containers', tugs: [{ name: 'Bugsier 7', pull: 'bow' }] } as const;
  const first = await client.publish('vessel.9074729', 'vessel.arriving', { ...arriving, tugs: [...arriving.tugs] });
  const [second, third] = await client.publishBatch([
    { type: 'vessel.approaching', channel: 'berth.Q12', data: { imo: '9074729', way: 0.5 } },
    { type: 'vessel.turned_away', channel: 'vessel.9074729', data: { imo: '9074729', code: 'too_deep', message: 'wait' } },
  ]);
  const oldest = await client.history('vessel.*');
  expect(oldest.events.map(({ id }) => id)).toEqual([first.id, third?.id]);
  expect(oldest.events[0]).toMatchObject({ channel: 'vessel.9074729', metadata: { source: 'pilotage' }, data: arriving });
  const newest = await client.history(['vessel.*', 'berth.*'], { order: 'newest', limit: 2 });
  expect(newest.events.map(({ id }) => id)).toEqual([third?.id, second?.id]);
  const replayed: string[] = [];
  for await (const event of client.subscribe('**', { from: 'earliest', types: ['vessel.approaching', 'vessel.turned_away'] })) {
    replayed.push(event.type);
    if (replayed.length === 2) break;
  }
  expect(replayed).toEqual(['vessel.approaching', 'vessel.turned_away']);
  expect(pulls).toEqual([['bow']]);
  expect(client.connection.get()).toMatchObject({ status: 'connected', contract: { client: HASH, gateway: HASH, same: true } });
});

test('what is refused is told by the field, and by the two contracts when they differ', async () => {
  await using gateway = await startHarbour();
  await using client = await clientOf(gateway, 'yard');
  await using other = await clientOf(gateway, 'yard', { contractHash: 'a1b2c3d4e5f60718' });
  await using unknown = await clientOf(gateway, 'yard', { contractHash: null });
  const publish = (from: CourierClient<Harbour>) =>
    from.publish('yard.block.A7', 'yard.block.filled', { block: 'A7', filled: 2 }).catch((error: CourierError) => error);
  for (const each of [client, unknown]) {
    const error = await publish(each);
    expect(error).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: 'data.filled' }] });
    expect((error as CourierError).hint).not.toContain('contract');
  }
  expect(((await publish(other)) as CourierError).hint).toContain(`the gateway from ${HASH}`);
  await expect(client.publish('vessel.1', 'vessel.arriving', { imo: '1' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('a gap is told, and events go on behind it', async () => {
  await using gateway = await startHarbour();
  await using client = await clientOf(gateway, 'yard');
  await client.publish('yard.block.A7', 'yard.block.inspected', { block: 'A7', findings: { rust: [1, null] } });
  const gaps: Gap[] = [];
  for await (const event of client.subscribe('yard.block.*', {
    from: 'earliest',
    lastEventId: 'another-7',
    onGap: (gap) => void gaps.push(gap),
  })) {
    expect(event).toMatchObject({ type: 'yard.block.inspected', data: { findings: { rust: [1, null] } } });
    break;
  }
  expect(gaps).toMatchObject([{ reason: 'epoch', requested: 'another-7' }]);
  await expect(client.subscribe('yard.block.*', { lastEventId: 'another-7' }).next()).rejects.toMatchObject({ code: 'GAP' });
});

test('an event of an earlier version is read in the present form, and one that cannot be is a gap', async () => {
  await using gateway = await startHarbour();
  await using client = await clientOf(gateway, 'pilotage');
  const stored = (data: object) => {
    const [channel, type] = ['vessel.1', 'vessel.arriving'];
    const metadata = { timestamp: new Date().toISOString(), source: 'pilotage' };
    return { channel, family: 'vessel', type, version: 1, body: JSON.stringify({ channel, type, metadata, data }) };
  };
  await gateway.pipeline.log.append([stored({ imo: '1', draught_m: 14.5, tug: 'Bugsier 7' }), stored({ imo: '1', draught_m: 'deep' })]);
  const present = await client.publish('vessel.1', 'vessel.arriving', { imo: '1', draught_cm: 1600 });
  const gaps: string[] = [];
  const seen: unknown[] = [];
  for await (const event of client.subscribe('vessel.*', { from: 'earliest', onGap: ({ reason }) => void gaps.push(reason) })) {
    seen.push(event.data);
    if (event.id === present.id) break;
  }
  const tugs = [{ name: 'Bugsier 7', pull: 'stern' }];
  expect(seen).toEqual([
    { imo: '1', draught_cm: 1450, tugs },
    { imo: '1', draught_cm: 1600 },
  ]);
  expect(gaps).toEqual(['unreadable']);
  const page = await client.history('vessel.*');
  expect(page.events[0]?.data).toEqual(seen[0]);
});

test('the publisher in the background publishes in order, and tells what is refused', async () => {
  await using gateway = await startHarbour();
  await using client = await clientOf(gateway, 'port_office');
  const refused: string[] = [];
  await using publisher = new BackgroundPublisher<Harbour>(client, { onError: ({ code }, { type }) => refused.push(`${type} ${code}`) });
  publisher.submit({ type: 'berth.assigned', channel: 'berth.Q12', data: { berth_no: 'Q12', services: ['water'] } });
  publisher.submit({ type: 'berth.freed', channel: 'berth.Q13', data: { berth_no: 'Q12' } });
  publisher.submit({ type: 'tide.forecast', channel: 'global', data: { gauge: 'G', heights: [{ at: '2026-01-02T03:04:05Z', cm: -1 }] } });
  expect(await publisher.flush()).toBe(true);
  expect(refused).toEqual(['berth.freed BAD_REQUEST']);
  expect((await client.history('**')).events.map(({ type }) => type)).toEqual(['berth.assigned', 'tide.forecast']);
});

test("tRPC's procedures of services and families are there, over the client and over unmodified links", async () => {
  await using gateway = await startHarbour();
  await using client = await clientOf(gateway, 'yard');
  const connectionParams = { token: await gateway.token('reader', 'service') };
  const ws = createWSClient({ url: `${gateway.url.replace('http', 'ws')}/trpc`, connectionParams });
  const stock = createTRPCClient<RouterOf<Harbour>>({ links: [wsLink({ client: ws, transformer: superjson })] });
  using block = collect<{ id: string; data: { type: string } }>((observer) => stock.yard.onBlock.subscribe({ block: 'A7' }, observer));
  using vessel = collect<{ id: string; data: { type: string } }>((observer) => stock.vessel.onEvent.subscribe({ imo: '1' }, observer));
  await Promise.all([block.count(1), vessel.count(1)]);
  const draft = {
    type: 'container.stowed',
    channel: 'yard.block.A7',
    data: { block: 'A7', remark: 'r', slot: { row: 1, tier: 2 } },
  } as const;
  const { id } = await client.trpc.yard.publish.mutate(draft);
  expect((await block.count(2))[1]).toMatchObject({ id, data: { type: 'container.stowed', data: draft.data } });
  expect(vessel.items).toHaveLength(1);
  expect((await stock.events.history.query({ channels: ['yard.**'] })).events.map((event) => event.id)).toEqual([id]);
  await expect(stock.yard.publish.mutate(draft)).rejects.toMatchObject({ data: { code: 'FORBIDDEN' } });
  block.unsubscribe();
  vessel.unsubscribe();
  await ws.close();
});
