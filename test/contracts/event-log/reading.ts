/** What is guaranteed of reading a log, in either order. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { familyIn, includesChannel } from '../../../src/contract/channels.ts';
import { PAGE_BYTES, type StoredEvent } from '../../../src/log/log.ts';
import { newEvent, newEvents } from '../../helpers/events.ts';
import { channelSetOf, EVERYTHING, FAMILIES } from '../../helpers/trade.ts';
import { arbitraryAppends, arbitraryChannels, CHANNELS, type LogSuite, never, range, readAll, readBack, seqsOf, TYPES } from './logs.ts';

export function describeReading({ factory, runs }: Pick<LogSuite, 'factory' | 'runs'>): void {
  describe('reading', () => {
    test('from any number, with any channels, types and page size, gives just what matches, in order', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      const model: StoredEvent[] = [];
      await fc.assert(
        fc.asyncProperty(
          arbitraryAppends,
          arbitraryChannels,
          fc.option(fc.subarray(TYPES, { minLength: 1 }), { nil: undefined }),
          fc.nat(),
          fc.integer({ min: 1, max: 20 }),
          async (appends, channels, types, seq, limit) => {
            for (const events of appends) model.push(...(await log.append(events)).map(({ event }) => event));
            const afterSeq = seq % (model.length + 3);
            const expected = model.filter(
              (event) =>
                event.seq > afterSeq && includesChannel(channels, event.family, event.channel) && (types?.includes(event.type) ?? true),
            );
            const read = await readAll(log, channels, { afterSeq, limit, ...(types && { types: new Set(types) }) });
            expect(read).toEqual(expected);
          },
        ),
        { numRuns: runs },
      );
    });

    test('a page ends before it is too large, but holds at least one event', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append(newEvents(5, 'global', { size: PAGE_BYTES }));
      const page = await log.read({ afterSeq: 0, channels: EVERYTHING, limit: 100 }, never);
      expect(page).toMatchObject({ endSeq: 1, first: 1, head: 5 });
      expect(await readAll(log, channelSetOf(['global']))).toHaveLength(5);
    });

    test('a page reaches the head when nothing more matches', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append([newEvent('global'), newEvent('user.u1'), newEvent('user.u1')]);
      const page = await log.read({ afterSeq: 0, channels: channelSetOf(['global']), limit: 10 }, never);
      expect(seqsOf(page.events)).toEqual([1]);
      expect(page.endSeq).toBe(3);
      expect((await log.read({ afterSeq: 3, channels: EVERYTHING, limit: 10 }, never)).events).toEqual([]);
    });

    test('an aborted read rejects with the reason', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      const reason = new Error('gone');
      await expect(log.read({ afterSeq: 0, channels: EVERYTHING, limit: 1 }, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test('every family can be read on its own', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append(CHANNELS.map((channel) => newEvent(channel)));
      for (const family of FAMILIES) {
        const read = await readAll(log, { everything: false, families: new Set([family]), singles: new Set() });
        expect(read.map(({ channel }) => channel)).toEqual(CHANNELS.filter((channel) => familyIn(channel) === family));
      }
    });
  });

  describe('reading backwards', () => {
    test('from any number, with any channels, types and page size, gives the reverse of what reading forwards gives', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await fc.assert(
        fc.asyncProperty(
          arbitraryAppends,
          arbitraryChannels,
          fc.option(fc.subarray(TYPES, { minLength: 1 }), { nil: undefined }),
          fc.nat(),
          fc.integer({ min: 1, max: 20 }),
          async (appends, channels, names, seq, limit) => {
            for (const events of appends) await log.append(events);
            const { head } = await log.bounds();
            const beforeSeq = seq % (head + 3);
            const types = names && new Set(names);
            const forwards = await readAll(log, channels, { types });
            expect(await readBack(log, channels, { beforeSeq, limit, types })).toEqual(
              forwards.filter((event) => event.seq < beforeSeq).reverse(),
            );
          },
        ),
        { numRuns: runs },
      );
    });

    test('a full page reaches the last row that was looked at', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append(range(1, 6).map((n) => newEvent(n % 2 === 0 ? 'global' : 'user.u1', { type: n === 4 ? 'b' : 'a' })));
      const page = await log.read({ beforeSeq: 7, channels: channelSetOf(['global']), types: new Set(['a']), limit: 2 }, never);
      expect(seqsOf(page.events)).toEqual([6]);
      expect(page).toMatchObject({ endSeq: 4, first: 1, head: 6 });
    });

    test('a page ends before it is too large, but holds at least one event', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append(newEvents(5, 'global', { size: PAGE_BYTES }));
      const page = await log.read({ beforeSeq: 6, channels: EVERYTHING, limit: 100 }, never);
      expect(seqsOf(page.events)).toEqual([5]);
      expect(page).toMatchObject({ endSeq: 5, first: 1, head: 5 });
      expect(seqsOf(await readBack(log, channelSetOf(['global'])))).toEqual([5, 4, 3, 2, 1]);
    });

    test('a page reaches the first event when nothing more matches, and there is nothing before that', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      const nothing = { events: [], endSeq: 1, first: 1, head: 0 };
      expect(await log.read({ beforeSeq: 1, channels: EVERYTHING, limit: 10 }, never)).toEqual(nothing);
      await log.append([newEvent('user.u1'), newEvent('global'), newEvent('user.u1')]);
      const page = await log.read({ beforeSeq: 4, channels: channelSetOf(['global']), limit: 10 }, never);
      expect(seqsOf(page.events)).toEqual([2]);
      expect(page.endSeq).toBe(1);
      for (const channels of [EVERYTHING, channelSetOf(['user.u1'])])
        expect(await log.read({ beforeSeq: 1, channels, limit: 10 }, never)).toEqual({ ...nothing, head: 3 });
    });

    test('begins at the head, however far past it', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      await log.append([newEvent('user.u1'), newEvent('global')]);
      for (const channels of [EVERYTHING, channelSetOf(['global', 'user.u1'])])
        expect(seqsOf((await log.read({ beforeSeq: 1000, channels, limit: 10 }, never)).events)).toEqual([2, 1]);
    });
  });
}
