/** Events on their way to subscribers: their correlation ids, whatever else is in them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventDelivery } from '../../src/delivery/event-delivery.ts';
import { gapNotice, liveNotice, readyNotice, unreadableEvent } from '../../src/delivery/notices.ts';
import { newEpochName, Positions } from '../../src/log/positions.ts';

const ID = '9gcxylzg4fdd-42';
const METADATA = '"metadata":{"timestamp":"2026-01-02T03:04:05.678Z","source":"a"';

interface Fields {
  readonly channel: string;
  readonly type: string;
  readonly metadata: { readonly source: string; readonly timestamp: string; readonly correlation_id?: string };
  readonly data: unknown;
}

/** What is told of an event that is stored with these fields, in this order. */
function told({ channel, type, metadata, data }: Fields, isRead = true): unknown {
  const body = JSON.stringify({ channel, type, metadata, data });
  const text = isRead ? { body } : { body: '', later: { units: body.length, read: () => body } };
  return JSON.parse(new EventDelivery(ID, { seq: 42, channel, family: 'global', type, ...text }).json);
}

const arbitraryText = fc.string({ unit: fc.oneof(fc.constantFrom('"', '\\', ',', ':', '{', '}', '\n', '\u2028', 'é', '🚢'), fc.string()) });
/** Texts that look like what is beside them. */
const arbitraryLike = fc.constantFrom(METADATA, ',"correlation_id":"x"', `{${METADATA}}`, '","source":');
const arbitraryFields = fc.record({
  channel: fc.constantFrom('global', 'forge.job.j1', `user.${'u'.repeat(64)}`),
  type: fc.constantFrom('a', 'forge.job.started'),
  metadata: fc
    .tuple(arbitraryText, fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }))
    .chain(([source, at]) =>
      fc.record(
        {
          timestamp: fc.constant(at.toISOString()),
          source: fc.oneof(fc.constant(source), arbitraryLike),
          correlation_id: fc.oneof(arbitraryText, arbitraryLike),
          causation_id: fc.constant('e-1'),
          user_id: fc.oneof(arbitraryText, arbitraryLike),
          traceparent: fc.constant('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
        },
        { requiredKeys: ['timestamp', 'source'] },
      ),
    ),
  data: fc.oneof(fc.record({ text: arbitraryText }), fc.record({ [METADATA]: arbitraryLike, correlation_id: arbitraryLike })),
});

test('an event has the correlation id that is stored with it, else its own id, and nothing else is changed', () => {
  fc.assert(
    fc.property(arbitraryFields, fc.boolean(), (fields, isRead) => {
      const { timestamp, source, ...others } = fields.metadata;
      expect(told(fields, isRead)).toEqual({ id: ID, ...fields, metadata: { timestamp, source, correlation_id: ID, ...others } });
    }),
    { numRuns: 1000 },
  );
});

test('its json is the same however often it is asked for', () => {
  const body = `{"channel":"global","type":"a",${METADATA}},"data":{}}`;
  const delivery = new EventDelivery(ID, { seq: 42, channel: 'global', family: 'global', type: 'a', body });
  expect([delivery.json, delivery.json]).toEqual(
    Array(2).fill(`{"id":"${ID}","channel":"global","type":"a",${METADATA},"correlation_id":"${ID}"},"data":{}}`),
  );
});

test('notices have none', () => {
  const positions = new Positions([{ name: newEpochName(), first: 1 }]);
  const stored = {
    seq: 1,
    channel: 'global',
    family: 'global',
    type: 'a',
    version: 2,
    body: `{"channel":"global","type":"a",${METADATA}},"data":{}}`,
  };
  const notices = [liveNotice(positions, 1, 0), gapNotice(positions, 'expired', 'e-1', 1), readyNotice(positions, positions.at(1), 1, 0)];
  const all = [...notices.flatMap(({ deliveries }) => deliveries), unreadableEvent(positions, stored)];
  for (const { json } of all) expect(JSON.parse(json).metadata).toEqual({ timestamp: expect.any(String), source: 'courier' });
});
