/** What every event log guarantees, as tests. Each implementation runs them all through a factory of its own. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHANNEL_FAMILIES, type ChannelSet, channelSetOf, EVERYTHING, familyOf, includesChannel } from '../../src/contract/channels.ts';
import { parsePosition } from '../../src/contract/position.ts';
import { type EventLog, IDEMPOTENCY_WINDOW_MS, type LogPage, PAGE_BYTES, type StoredEvent, TRIM_GRAIN_MS } from '../../src/log/log.ts';
import { newEvent, newEvents } from '../helpers/events.ts';

/** Makes logs for one test. Opening again gives the same log where it is durable. */
export interface LogFactory extends AsyncDisposable {
  open(options?: { now?: () => number }): Promise<EventLog>;
}

export interface LogSuite {
  readonly durable: boolean;
  readonly factory: () => Promise<LogFactory> | LogFactory;
  /** Runs of each property; fewer where opening a log is slow. */
  readonly runs: number;
}

const never = new AbortController().signal;
const DAY_MS = TRIM_GRAIN_MS;
const CHANNELS = ['global', 'user.u1', 'user.u2', 'strategy.s1', 'strategy.s2', 'backtest.b1', 'forge.job.j1', 'forge.job.j2'];
const TYPES = ['a', 'b', 'c'];

const seqsOf = (events: readonly { seq: number }[]) => events.map(({ seq }) => seq);
const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

async function readAll(
  log: EventLog,
  channels: ChannelSet,
  options: { afterSeq?: number; limit?: number; types?: ReadonlySet<string> | undefined } = {},
) {
  const { limit = 1000, types } = options;
  const events: StoredEvent[] = [];
  let afterSeq = options.afterSeq ?? 0;
  for (;;) {
    const page: LogPage = await log.read({ afterSeq, channels, types, limit }, never);
    events.push(...page.events);
    if (page.endSeq >= page.head) return events;
    expect(page.endSeq).toBeGreaterThan(afterSeq);
    afterSeq = page.endSeq;
  }
}

/** As readAll, newest first. */
async function readBack(
  log: EventLog,
  channels: ChannelSet,
  options: { beforeSeq?: number; limit?: number; types?: ReadonlySet<string> | undefined } = {},
) {
  const { limit = 1000, types } = options;
  const events: StoredEvent[] = [];
  let beforeSeq = options.beforeSeq ?? (await log.bounds()).head + 1;
  for (;;) {
    const page: LogPage = await log.read({ beforeSeq, channels, types, limit }, never);
    events.push(...page.events);
    if (page.endSeq <= page.first) return events;
    expect(page.endSeq).toBeLessThan(beforeSeq);
    beforeSeq = page.endSeq;
  }
}

const arbitraryEvent = fc
  .tuple(fc.constantFrom(...CHANNELS), fc.constantFrom(...TYPES))
  .map(([channel, type]) => newEvent(channel, { type }));
const arbitraryAppends = fc.array(fc.array(arbitraryEvent, { minLength: 1, maxLength: 5 }), { maxLength: 20 });
const arbitraryChannels = fc
  .subarray([...CHANNELS, 'user.*', 'strategy.*', 'backtest.*', 'forge.**', '**', '*', 'user.nobody', '*.u1'], { minLength: 1 })
  .map((patterns) => channelSetOf(patterns));

export function describeEventLog(name: string, { durable, factory, runs }: LogSuite): void {
  describe(name, () => {
    describe('appending', () => {
      test('numbers events 1, 2, 3 in the order given and returns them as stored', async () => {
        await using logs = await factory();
        await using log = await logs.open();
        const events = [newEvent('global'), newEvent('backtest.b1', { type: 'b' }), newEvent('user.u1', { size: 3 })];
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
      });
    });

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
        for (const family of CHANNEL_FAMILIES) {
          const read = await readAll(log, { families: new Set([family]), singles: new Set() });
          expect(read.map(({ channel }) => channel)).toEqual(CHANNELS.filter((channel) => familyOf(channel) === family));
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
