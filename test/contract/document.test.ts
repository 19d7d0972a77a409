/** The contract for machines says of every event what the gateway does, whoever reads it. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { idIn } from '../../src/contract/channels.ts';
import type { ContractDocument } from '../../src/contract/document.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { contract, DOCUMENT, EVENT_TYPES, FAMILIES, SAMPLES, startGateway } from '../helpers/trade.ts';

const familiesOf = (type: string) => contract.types.get(type)?.families ?? [];

/** As somebody reads it who has nothing else. */
async function readDocument(url: string) {
  const response = await fetch(`${url}/contract.json`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
  const document = (await response.json()) as ContractDocument;
  return { document, schemaOf: (type: string) => z.fromJSONSchema(document.$defs[type] as Parameters<typeof z.fromJSONSchema>[0]) };
}

test('every event and notice that is delivered fits its schema, and no other', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}&last_event_id=another-1`);
  await using client = gateway.webSocketClient(token);
  for (const draft of Object.values(SAMPLES)) {
    await client.trpc.events.publish.mutate({ ...draft, metadata: { correlation_id: 'c', user_id: 'u' } });
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

test('a draft fits its schema just when the gateway takes it', () => {
  const ajv = formats.default(new Ajv2020({ allowUnionTypes: true }));
  const drafts = DOCUMENT['x-drafts'];
  expect(Object.keys(drafts)).toEqual(EVENT_TYPES);
  const validators = Object.fromEntries(EVENT_TYPES.map((type) => [type, ajv.compile(drafts[type] ?? false)]));
  const gateway = contract.draft;
  const values = ['', 'x', 'a b', 'buy', '1.50', '-2', '2026-01-31', '2026-02-31', 0, 0.5, 2, -1, true, null, [], ['x'], {}, { x: 1 }];
  const times = ['2026-11-24T11:28:01Z', '2026-11-24T11:28:01+02:00', '2026-11-24', 'now'];
  const change = fc.record({
    part: fc.constantFrom<'draft' | 'data' | 'metadata'>('draft', 'data', 'metadata'),
    index: fc.nat(20),
    value: fc.option(fc.constantFrom<unknown>(...values, ...times), { nil: undefined }),
  });
  const seen = { taken: 0, refused: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...EVENT_TYPES),
      fc.constantFrom(...times),
      fc.array(change, { maxLength: 2 }),
      (type, timestamp, changes) => {
        const metadata = { timestamp, correlation_id: 'c', user_id: 'u' };
        const draft: Record<string, unknown> = structuredClone({ ...SAMPLES[type], metadata, idempotency_key: 'k' });
        for (const { part, index, value } of changes) {
          const target = (part === 'draft' ? draft : draft[part]) as Record<string, unknown> | undefined;
          if (typeof target !== 'object' || target === null) continue;
          const names = [...Object.keys(target), 'added'].filter((name) => name !== 'type');
          const name = names[index % names.length] as string;
          if (value === undefined) delete target[name];
          // A copy, as a later change may be in it.
          else target[name] = structuredClone(value);
        }
        const taken = gateway.safeParse(draft).success;
        // What a schema cannot say: the id in the channel and that in the data are one.
        const fits = validators[type]?.(draft) === true && idsAgree(draft as { channel: string; data: Record<string, unknown> });
        expect([draft, fits]).toEqual([draft, taken]);
        seen[taken ? 'taken' : 'refused'] += 1;
      },
    ),
    { numRuns: 3000 },
  );
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(300);
});

function idsAgree({ channel, data }: { readonly channel: string; readonly data: Readonly<Record<string, unknown>> }): boolean {
  const id = data[contract.families.get(contract.channels.familyOf(channel) ?? '')?.id ?? ''];
  return id === undefined || id === idIn(channel);
}

test('channels, services and notices are listed with what they carry', () => {
  const document = DOCUMENT;
  expect(Object.keys(document['x-channels'])).toEqual([...FAMILIES]);
  for (const family of FAMILIES) {
    const carried = EVENT_TYPES.filter((type) => familiesOf(type).includes(family));
    expect(document['x-channels'][family]?.types).toEqual(carried);
  }
  expect(Object.values(document['x-services']).flat()).toEqual(EVENT_TYPES);
  expect(document['x-notices']).toEqual(['courier.gap', 'courier.live']);
  expect(document.oneOf).toHaveLength(EVENT_TYPES.length + 2);
});

test('a type goes to the channels of the families that carry it, and to no other', () => {
  const { $defs, 'x-drafts': drafts, 'x-channels': channels } = DOCUMENT;
  for (const type of EVENT_TYPES) {
    const names = familiesOf(type).map((family) => channels[family]?.name);
    expect($defs[type]?.properties?.['channel']).toEqual({ anyOf: names });
    expect(drafts[type]?.properties?.['channel']).toEqual({ anyOf: names });
  }
});
