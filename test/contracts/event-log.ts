/** What every event log guarantees, as tests. Each implementation runs them all through a factory of its own. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePosition } from '../../src/contract/position.ts';
import { type EventLog, IDEMPOTENCY_WINDOW_MS } from '../../src/log/log.ts';
import { newEvent, newEvents } from '../helpers/events.ts';
import { channelSetOf, EVERYTHING, traveller } from '../helpers/trade.ts';
import { describeForms } from './event-log/forms.ts';
import {
  arbitraryAppends,
  CHANNELS,
  DAY_MS,
  type LogSuite,
  largeEvent,
  never,
  range,
  readAll,
  readBack,
  seqsOf,
} from './event-log/logs.ts';
import { describeReading } from './event-log/reading.ts';
import { describeRelations } from './event-log/relations.ts';

export function describeEventLog(name: string, { durable, factory, failing, runs }: LogSuite): void {
  describe(name, () => {
    describe('appending', () => {
      test('numbers events 1, 2, 3 in the order given and returns them as stored', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        const events = [newEvent('global'), newEvent(traveller.channel('b1'), { type: 'b' }), newEvent('user.u1', { size: 3 })];
        const appended = await log.append(events);
        expect(appended).toEqual(events.map((event, index) => ({ event: { seq: index + 1, ...event }, duplicate: false })));
        expect(await log.append([])).toEqual([]);
        expect(await log.bounds()).toEqual({ first: 1, head: 3 });
        expect(parsePosition(log.positions.at(0))).toMatchObject({ seq: 0 });
      });

      test('concurrent appends get consecutive numbers each, without holes', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        await fc.assert(
          fc.asyncProperty(arbitraryAppends, async (appends) => {
            const { head } = await log.bounds();
            const results = await Promise.all(appends.map((events) => log.append(events)));
            for (const result of results) {
              const first = result[0]?.event.seq ?? 0;
              expect(seqsOf(result.map(({ event }) => event))).toEqual(range(first, first + result.length - 1));
            }
            const all = results.flatMap((result) => seqsOf(result.map(({ event }) => event))).sort((a, b) => a - b);
            expect(all).toEqual(range(head + 1, head + all.length));
            expect(await readAll(log, EVERYTHING, { afterSeq: head })).toHaveLength(all.length);
          }),
          { numRuns: runs },
        );
      });

      test('a listener hears each commit once, in order, before the appends resolve', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        const heard: number[] = [];
        const stop = log.onCommit((events) => heard.push(...seqsOf(events)));
        await Promise.all(
          range(1, 50).map(async () => {
            const [appended] = await log.append([newEvent('global')]);
            expect(heard).toContain(appended?.event.seq);
          }),
        );
        expect(heard).toEqual(range(1, 50));
        stop();
        await log.append([newEvent('global')]);
        expect(heard).toHaveLength(50);
      });

      test('after closing, everything is refused as unavailable', async () => {
        await using logs = await factory();
        const log = await logs.open();
        const waiting = log.append([newEvent('global')]);
        await log[Symbol.asyncDispose]();
        await log[Symbol.asyncDispose]();
        expect(await waiting).toHaveLength(1);
        await expect(log.append([newEvent('global')])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
        await expect(log.read({ afterSeq: 0, channels: EVERYTHING, limit: 1 }, never)).rejects.toMatchObject({
          code: 'SERVICE_UNAVAILABLE',
        });
        await expect(log.bounds()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
        await expect(log.probe()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
      });
    });

    describe('probing', () => {
      test('leaves a log that works as it was', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        const heard: unknown[] = [];
        log.onCommit((events) => heard.push(...events));
        await log.append([newEvent('global')]);
        for (let probes = 0; probes < 3; probes += 1) await log.probe();
        expect(log.problem).toBeUndefined();
        expect(await log.append([newEvent('global')])).toMatchObject([{ event: { seq: 2 }, duplicate: false }]);
        expect(heard).toHaveLength(2);
        expect(seqsOf(await readAll(log, EVERYTHING))).toEqual([1, 2]);
      });

      test('is refused as an append is while the storage fails, and notices that it does no more', async () => {
        await using failed = await failing();
        const { log, mend } = failed;
        const unavailable = { code: 'SERVICE_UNAVAILABLE' };
        await expect(log.append([largeEvent()])).rejects.toMatchObject(unavailable);
        const { head } = await log.bounds();
        const { problem } = log;
        expect(problem).toEqual(expect.any(String));
        await expect(log.probe()).rejects.toMatchObject(unavailable);
        expect(log.problem).toBe(problem);
        await expect(log.append([largeEvent()])).rejects.toMatchObject(unavailable);
        await mend();
        await log.probe();
        expect(log.problem).toBeUndefined();
        expect((await log.bounds()).head).toBe(head);
        expect(await log.append([largeEvent()])).toMatchObject([{ event: { seq: head + 1 }, duplicate: false }]);
      });
    });

    describeReading({ factory, runs });
    describeForms({ factory });
    describeRelations({ factory, runs, durable });

    describe('idempotency', () => {
      test('a repeated key stores nothing and returns what was stored first', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        const [first] = await log.append([newEvent('global', { key: 'k' })]);
        const [repeat] = await log.append([newEvent('user.u1', { key: 'k', type: 'b' })]);
        expect(repeat).toEqual({ event: first?.event, duplicate: true });
        const [other] = await log.append([newEvent('global', { key: 'k', principal: 'someone else' })]);
        expect(other).toMatchObject({ duplicate: false, event: { seq: 2 } });
      });

      test('equal keys at once, and within one append, store one event', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        const heard: number[] = [];
        log.onCommit((events) => heard.push(...seqsOf(events)));
        const events = newEvents(2, 'global', { key: 'k' });
        const results = (await Promise.all(range(1, 20).map(() => log.append(events)))).flat();
        expect(new Set(seqsOf(results.map(({ event }) => event)))).toEqual(new Set([1]));
        expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
        expect(heard).toEqual([1]);
      });

      test('a key is forgotten after its window, and then counts as new', async () => {
        await using logs = await factory();
        let now = 1_000_000;
        await using log = await logs.open({ now: () => now });
        await log.append([newEvent('global', { key: 'k' })]);
        now += IDEMPOTENCY_WINDOW_MS - 1;
        expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ duplicate: true, event: { seq: 1 } }]);
        now += 1;
        expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ duplicate: false, event: { seq: 2 } }]);
        expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ duplicate: true, event: { seq: 2 } }]);
      });

      test('trimming forgets keys past their window and keeps the others', async () => {
        await using logs = await factory();
        let now = 1_000_000;
        await using log = await logs.open({ now: () => now });
        await log.append([newEvent('global', { key: 'old' })]);
        now += IDEMPOTENCY_WINDOW_MS;
        await log.append([newEvent('global', { key: 'new' })]);
        await log.trim(Number.POSITIVE_INFINITY, 100);
        expect(await log.append([newEvent('global', { key: 'old' })])).toMatchObject([{ duplicate: false }]);
        expect(await log.append([newEvent('global', { key: 'new' })])).toMatchObject([{ duplicate: true, event: { seq: 2 } }]);
      });
    });

    // Some storage drops whole days only, so that is how far apart these events are.
    describe('trimming', () => {
      const trimAll = async (log: EventLog, keepMs: number, limit: number) => {
        while (await log.trim(keepMs, limit));
      };

      test('forgets the key of an event that is gone', async () => {
        await using logs = await factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        await log.append([newEvent('global', { key: 'k' })]);
        now += DAY_MS;
        await trimAll(log, 0, 100);
        expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ duplicate: false, event: { seq: 2 } }]);
      });

      test('removes only what is older, from the front, a step at a time', async () => {
        await using logs = await factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        for (const day of [1, 2, 3, 4, 5]) {
          now = day * DAY_MS + day;
          await log.append([newEvent('user.u1'), newEvent('global')]);
        }
        expect(await log.trim(now - 3 * DAY_MS, 2)).toBe(true);
        expect(await log.bounds()).toEqual({ first: 3, head: 10 });
        await trimAll(log, now - 3 * DAY_MS, 2);
        expect(await log.trim(now - 3 * DAY_MS, 2)).toBe(false);
        expect(await log.bounds()).toEqual({ first: 5, head: 10 });
        expect(seqsOf(await readAll(log, EVERYTHING))).toEqual(range(5, 10));
        expect(seqsOf(await readAll(log, channelSetOf(['user.u1'])))).toEqual([5, 7, 9]);
        expect(seqsOf(await readAll(log, channelSetOf(['global']), { limit: 1 }))).toEqual([6, 8, 10]);
        expect(seqsOf(await readBack(log, EVERYTHING))).toEqual(range(5, 10).reverse());
        expect(seqsOf(await readBack(log, channelSetOf(['global']), { limit: 1 }))).toEqual([10, 8, 6]);
        for (const channels of [EVERYTHING, channelSetOf(['user.u1'])])
          expect(await log.read({ beforeSeq: 3, channels, limit: 10 }, never)).toEqual({ events: [], endSeq: 3, first: 5, head: 10 });
      });

      test('never gives a number again, even when everything is gone', async () => {
        await using logs = await factory();
        let now = DAY_MS;
        await using log = await logs.open({ now: () => now });
        await log.append([newEvent('global'), newEvent('global')]);
        now = 5 * DAY_MS;
        await trimAll(log, 0, 100);
        expect(await log.bounds()).toEqual({ first: 3, head: 2 });
        const empty = { events: [], first: 3, head: 2 };
        expect(await log.read({ afterSeq: 0, channels: EVERYTHING, limit: 10 }, never)).toEqual({ ...empty, endSeq: 2 });
        expect(await log.read({ beforeSeq: 3, channels: EVERYTHING, limit: 10 }, never)).toEqual({ ...empty, endSeq: 3 });
        expect(await log.append([newEvent('global')])).toMatchObject([{ event: { seq: 3 } }]);
      });

      test('keeps what is newer when the clock goes back', async () => {
        await using logs = await factory();
        let now = 10 * DAY_MS;
        await using log = await logs.open({ now: () => now });
        await log.append([newEvent('global')]);
        now = 9 * DAY_MS;
        await log.append([newEvent('global')]);
        // The second was appended after the first, so it is at least as new.
        now = 11 * DAY_MS;
        await trimAll(log, 2 * DAY_MS, 100);
        expect(await log.bounds()).toEqual({ first: 1, head: 2 });
        now = 13 * DAY_MS;
        await trimAll(log, 2 * DAY_MS, 100);
        expect(await log.bounds()).toEqual({ first: 3, head: 2 });
      });
    });

    if (!durable) return;
    describe('reopening', () => {
      test('finds every event, key and bound again, each at its position', async () => {
        await using logs = await factory();
        let now = DAY_MS;
        const first = await logs.open({ now: () => now });
        await first.append([newEvent('global'), newEvent('user.u1')]);
        now = 2 * DAY_MS;
        await first.append(CHANNELS.map((channel) => newEvent(channel)));
        now = 3 * DAY_MS;
        await first.append([newEvent('global', { key: 'k' })]);
        const head = CHANNELS.length + 3;
        while (await first.trim(now - 2 * DAY_MS, 100));
        await first[Symbol.asyncDispose]();
        await using second = await logs.open({ now: () => now });
        for (const seq of range(1, head)) expect(second.positions.at(seq)).toBe(first.positions.at(seq));
        expect(await second.bounds()).toEqual({ first: 3, head });
        expect(seqsOf(await readAll(second, EVERYTHING))).toEqual(range(3, head));
        expect(await second.append([newEvent('global', { key: 'k' })])).toMatchObject([{ duplicate: true, event: { seq: head } }]);
        now = 0;
        await second.append([newEvent('global')]);
        now = 3.5 * DAY_MS;
        while (await second.trim(DAY_MS / 2, 100));
        expect(await second.bounds()).toEqual({ first: head, head: head + 1 });
      });
    });
  });
}
