/** What is guaranteed of events that belong together, and of when events were stored. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NewEvent, Related, StoredEvent } from '../../../src/log/log.ts';
import { newEvent } from '../../helpers/events.ts';
import { CHANNELS, DAY_MS, type LogSuite, never, range, readAll, readBack, seqsOf } from './logs.ts';

const WORK = ['run-1', 'run-2', 'Ünïcode 🚢'];

const arbitraryRelated = fc
  .record({
    channel: fc.constantFrom(...CHANNELS),
    correlationId: fc.option(fc.constantFrom(...WORK), { nil: undefined }),
    causeSeq: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
  })
  .map(({ channel, ...relations }) => newEvent(channel, relations));

export function describeRelations({ factory, runs, durable }: Pick<LogSuite, 'factory' | 'runs' | 'durable'>): void {
  describe('relations', () => {
    test('events of one piece of work, and those that some events caused, are read in either order, on pages of any size', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      const model: { readonly given: NewEvent; readonly stored: StoredEvent }[] = [];
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(arbitraryRelated, { minLength: 1, maxLength: 5 }), { maxLength: 10 }),
          fc.oneof(
            fc.constantFrom(...WORK, 'nothing').map((correlationId): Related => ({ correlationId })),
            fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 7 }).map((causes): Related => ({ causes })),
          ),
          fc.nat(),
          fc.integer({ min: 1, max: 20 }),
          async (appends, related, seq, limit) => {
            for (const events of appends) {
              const appended = await log.append(events);
              model.push(...appended.map(({ event }, index) => ({ given: events[index] as NewEvent, stored: event })));
            }
            const afterSeq = seq % (model.length + 3);
            const matching = model
              .filter(({ given: { correlationId, causeSeq } }) =>
                related.causes === undefined ? correlationId === related.correlationId : related.causes.includes(causeSeq ?? 0),
              )
              .map(({ stored }) => stored);
            expect(await readAll(log, related, { afterSeq, limit })).toEqual(matching.filter((event) => event.seq > afterSeq));
            const older = matching.filter((event) => event.seq < afterSeq);
            expect(await readBack(log, related, { beforeSeq: afterSeq, limit })).toEqual(older.reverse());
          },
        ),
        { numRuns: runs },
      );
    });

    test('an event that was there already keeps what it belongs to', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append([newEvent('global', { key: 'k', correlationId: 'first' })]);
      await log.append([newEvent('global', { key: 'k', correlationId: 'second' })]);
      expect(seqsOf(await readAll(log, { correlationId: 'first' }))).toEqual([1]);
      expect(await readAll(log, { correlationId: 'second' })).toEqual([]);
    });

    test('what retention has removed is not read, and has no time', async () => {
      await using logs = await factory();
      let now = DAY_MS;
      await using log = await logs.open({ now: () => now });
      await log.append([newEvent('global', { correlationId: 'run' })]);
      now += 2 * DAY_MS;
      await log.append([newEvent('global', { correlationId: 'run', causeSeq: 1 })]);
      expect(await log.storedAt([2, 1, 3, 2])).toEqual([3 * DAY_MS, DAY_MS, undefined, 3 * DAY_MS]);
      expect(await log.storedAt([])).toEqual([]);
      now += DAY_MS;
      while (await log.trim(1.5 * DAY_MS, 100));
      expect(seqsOf(await readAll(log, { correlationId: 'run' }))).toEqual([2]);
      expect(seqsOf(await readAll(log, { causes: [1] }))).toEqual([2]);
      expect(await log.storedAt([1, 2])).toEqual([undefined, 3 * DAY_MS]);
    });

    if (!durable) return;
    test('they are there after opening again', async () => {
      await using logs = await factory();
      {
        await using log = await logs.open();
        await log.append(range(1, 3).map((seq) => newEvent('global', { correlationId: 'run', causeSeq: seq === 1 ? undefined : 1 })));
      }
      await using log = await logs.open();
      expect(seqsOf(await readAll(log, { correlationId: 'run' }))).toEqual([1, 2, 3]);
      expect(seqsOf(await readBack(log, { causes: [1] }))).toEqual([3, 2]);
      expect((await log.read({ afterSeq: 0, channels: { causes: [] }, limit: 1 }, never)).events).toEqual([]);
    });
  });
}
