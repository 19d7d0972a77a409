/** The contract for machines says of every event what the gateway does, whoever reads it. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { contractDocument } from '../../src/contract/document.ts';
import { CHANNEL_FAMILIES, EVENT_TYPES, type EventType, familiesOf } from '../../src/contract/index.ts';
import { runCli } from '../helpers/cli.ts';
import { startGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { SAMPLES } from '../helpers/samples.ts';

/** As somebody reads it who has nothing else. */
async function readDocument(url: string) {
  const response = await fetch(`${url}/contract.json`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
  const document = (await response.json()) as ReturnType<typeof contractDocument>;
  return { document, schemaOf: (type: string) => z.fromJSONSchema(document.$defs[type] as Parameters<typeof z.fromJSONSchema>[0]) };
}

test('every event and notice that is delivered fits its schema, and no other', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}&last_event_id=another-1`);
  await using client = gateway.webSocketClient(token);
  for (const draft of Object.values(SAMPLES)) {
    await client.trpc.events.publish.mutate({ ...draft, metadata: { correlation_id: 'c', user_id: 'u' } } as (typeof SAMPLES)[EventType]);
  }
  const events = (await socket.count(EVENT_TYPES.length + 2)).map((text) => JSON.parse(text) as { type: string; data: object });
  const { schemaOf } = await readDocument(gateway.url);
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set([...EVENT_TYPES, 'courier.gap', 'courier.live']));
  for (const event of events) {
    const schema = schemaOf(event.type);
    expect(schema.safeParse(event).error).toBeUndefined();
    // A later Courier may add to it.
    expect(schema.safeParse({ ...event, data: { ...event.data, added_later: 1 } }).success).toBe(true);
    for (const broken of [
      { ...event, data: {} },
      { ...event, channel: 'nowhere.x' },
      { ...event, type: 'other' },
      { ...event, id: 7 },
    ])
      expect([event.type, schema.safeParse(broken).success]).toEqual([event.type, false]);
  }
});

test('channels and services are listed with what they carry', async () => {
  const document = contractDocument();
  expect(Object.keys(document['x-channels'])).toEqual([...CHANNEL_FAMILIES]);
  for (const family of CHANNEL_FAMILIES) {
    const carried = EVENT_TYPES.filter((type) => familiesOf(type).includes(family));
    expect(document['x-channels'][family].types).toEqual(carried);
  }
  expect(Object.values(document['x-services']).flat()).toEqual(EVENT_TYPES);
  expect(document.oneOf).toHaveLength(EVENT_TYPES.length + 2);
});

test('the command line prints what the gateway gives', async () => {
  await using gateway = await startGateway();
  await using run = runCli(['contract', 'export', '--format', 'json-schema']);
  expect(await run.exit).toBe(0);
  expect(JSON.parse(run.stdout.join(''))).toEqual((await readDocument(gateway.url)).document);
});
