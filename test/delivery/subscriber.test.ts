/** One subscription: exactly the matching events, in order, through catch-up, cut-over and live, however full the sink is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectorOf } from '../../src/contract/channels.ts';
import { type Feed, Subscriber } from '../../src/delivery/subscriber.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { startFeed, TestSink } from '../helpers/feed.ts';

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

function subscribeTo(feed: Feed, patterns: string[], cursor: number, sink: TestSink, types?: string[]) {
  const stop = new AbortController();
  const { listeners, topics } = feed.hub;
  const interest = { selector: selectorOf(patterns), types: types && new Set(types) };
  const ended = new Subscriber(feed, interest, cursor, sink).run(stop.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
      expect(feed.hub.listeners).toBe(listeners);
      expect(feed.hub.topics).toBe(topics);
    },
  };
}

test('from any position, what is in the log comes first, then what is published, with one notice between', async () => {
  // So little is held in memory that the log must be read.
  await using feed = await startFeed({ recentBytes: 200 });
  await feed.append('user.a', 10);
  await feed.append('user.b', 10);
  await feed.append('user.a', 10);
  const sink = new TestSink();
  await using _subscription = subscribeTo(feed, ['user.a'], 5, sink);
  await sink.until(() => sink.notices.length === 1);
  expect(sink.received.at(-1)).toMatchObject({ type: 'courier.live', id: feed.log.positions.at(30) });
  expect(JSON.parse(sink.received.at(-1)?.json ?? '').data).toEqual({ position: feed.log.positions.at(30), replayed: 15 });
  await feed.append('user.b');
  await feed.append('user.a');
  expect(sink.seqs).toEqual([...range(6, 10), ...range(21, 30), 32]);
  expect(sink.notices).toEqual(['courier.live']);
});

test('what was read from the log before the tail heard of it is not given again', async () => {
  const late: (() => void)[] = [];
  let isLate = false;
  await using feed = await startFeed({
    recentBytes: 200,
    deliver: (events, offer) => (isLate ? late.push(() => offer(events)) : offer(events)),
  });
  await feed.append('global', 5);
  isLate = true;
  await feed.append('global', 5);
  const sink = new TestSink();
  await using _subscription = subscribeTo(feed, ['global'], 0, sink);
  await sink.until(() => sink.seqs.length === 10);
  expect(feed.tail.position).toBe(5);
  await feed.append('global');
  for (const offer of late) offer();
  expect(feed.tail.position).toBe(11);
  await sink.until(() => sink.notices.length === 1);
  expect(sink.seqs).toEqual(range(1, 11));
});

test('at any seam between replay and live nothing is missed or repeated', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(40),
      fc.integer({ min: 100, max: 3000 }),
      fc.constantFrom(1, 300, 100_000),
      async (before, after, cursor, recentBytes, batchLength) => {
        await using feed = await startFeed({ recentBytes, batchLength });
        await feed.append('global', before);
        const start = Math.min(cursor, before);
        const sink = new TestSink();
        await using _subscription = subscribeTo(feed, ['**'], start, sink);
        for (let index = 0; index < after; index += 1) await feed.append('user.a');
        await sink.until(() => sink.seqs.length === before - start + after);
        expect(sink.seqs).toEqual(range(start + 1, before + after));
      },
    ),
    { numRuns: 200 },
  );
});

test('while events pour in faster than the log is read, a subscriber still catches up', async () => {
  await using feed = await startFeed();
  await feed.append('global', 2000);
  let publishing = true;
  const pouring = (async () => {
    let published = 2000;
    while (publishing) {
      await feed.append('global', 20);
      published += 20;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return published;
  })();
  const sink = new TestSink();
  await using _subscription = subscribeTo(feed, ['global'], 0, sink);
  await sink.until(() => sink.notices.includes('courier.live'));
  publishing = false;
  const published = await pouring;
  await sink.until(() => sink.seqs.length === published);
  expect(sink.seqs).toEqual(range(1, published));
});

describe('a sink that is full', () => {
  test('gets nothing until there is room, and then everything from the log', async () => {
    await using feed = await startFeed({ recentBytes: 500 });
    const sink = new TestSink(3);
    await using _subscription = subscribeTo(feed, ['**'], 0, sink);
    await sink.until(() => sink.notices.length === 1);
    await feed.append('global', 100);
    await sink.untilFull();
    // The notice and two events; the subscriber has left the hub and holds none of the others.
    expect(sink.seqs).toEqual([1, 2]);
    expect(feed.hub.listeners).toBe(0);
    sink.makeRoom(5);
    await sink.untilFull(2);
    expect(sink.seqs).toEqual(range(1, 7));
    sink.makeRoom(Number.POSITIVE_INFINITY);
    await sink.until(() => sink.seqs.length === 100);
    await feed.append('global');
    expect(sink.seqs).toEqual(range(1, 101));
    expect(sink.notices).toEqual(['courier.live']);
  });

  test('with any sequence of publishing and making room gets everything once, in order', async () => {
    const step = fc.oneof(
      fc.record({ publish: fc.integer({ min: 1, max: 20 }), channel: fc.constantFrom('user.a', 'user.b') }),
      fc.record({ room: fc.integer({ min: 1, max: 10 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 100, max: 2000 }),
        fc.constantFrom(1, 300, 100_000),
        async (steps, recentBytes, batchLength) => {
          await using feed = await startFeed({ recentBytes, batchLength });
          const sink = new TestSink(1);
          await using _subscription = subscribeTo(feed, ['user.a'], 0, sink);
          const expected: number[] = [];
          let seq = 0;
          for (const action of steps) {
            if ('room' in action) {
              sink.makeRoom(action.room);
              continue;
            }
            await feed.append(action.channel, action.publish);
            if (action.channel === 'user.a') expected.push(...range(seq + 1, seq + action.publish));
            seq += action.publish;
          }
          sink.makeRoom(Number.POSITIVE_INFINITY);
          await sink.until(() => sink.seqs.length >= expected.length && sink.notices.length > 0);
          expect(sink.seqs).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('leaves when it is stopped', async () => {
    await using feed = await startFeed();
    await feed.append('global', 10);
    const sink = new TestSink(1);
    {
      await using _subscription = subscribeTo(feed, ['**'], 0, sink);
      await sink.untilFull();
    }
    expect(sink.seqs).toEqual([1]);
  });
});

test.each([0, 1])('one that is stopped ends at once, also while it waits for a full sink (%i in it)', async (room) => {
  await using feed = await startFeed({ recentBytes: 100 });
  await feed.append('global', 10);
  const sink = new TestSink(room);
  const subscriber = new Subscriber(feed, { selector: selectorOf(['**']), types: undefined }, 0, sink);
  const ended = subscriber.run(new AbortController().signal);
  await sink.untilFull();
  subscriber.stop();
  await ended;
  sink.makeRoom(Number.POSITIVE_INFINITY);
  expect(sink.seqs).toHaveLength(room);
  expect(feed.hub.listeners).toBe(0);
});

test('one that is stopped while it is live gets nothing more', async () => {
  await using feed = await startFeed();
  const sink = new TestSink();
  const subscriber = new Subscriber(feed, { selector: selectorOf(['**']), types: undefined }, 0, sink);
  const ended = subscriber.run(new AbortController().signal);
  await sink.until(() => sink.notices.length === 1);
  await feed.append('global');
  subscriber.stop();
  await feed.append('global');
  await ended;
  expect(sink.seqs).toEqual([1]);
  expect(feed.hub.listeners).toBe(0);
});

test('types are filtered in replay and live', async () => {
  await using feed = await startFeed({ recentBytes: 100 });
  for (const type of ['a', 'b', 'a', 'b']) await feed.append('global', 1, type);
  const sink = new TestSink();
  await using _subscription = subscribeTo(feed, ['**'], 0, sink, ['b']);
  await sink.until(() => sink.notices.length === 1);
  for (const type of ['a', 'b']) await feed.append('global', 1, type);
  expect(sink.seqs).toEqual([2, 4, 6]);
});

test('what is trimmed while a subscriber is behind is told as a gap, after what had been read before', async () => {
  const log = openMemoryLog({ now: () => 1000 });
  await using feed = await startFeed({ log, recentBytes: 100 });
  await feed.append('global', 1500);
  const sink = new TestSink(2);
  await using _subscription = subscribeTo(feed, ['**'], 0, sink);
  await sink.untilFull();
  await log.trim(-1000, 1400);
  sink.makeRoom(Number.POSITIVE_INFINITY);
  await sink.until(() => sink.notices.includes('courier.live'));
  const last = sink.seqs.findLast((seq) => seq <= 1400) ?? 0;
  expect(sink.seqs).toEqual([...range(1, last), ...range(1401, 1500)]);
  const gap = sink.received.find(({ type }) => type === 'courier.gap');
  expect(JSON.parse(gap?.json ?? '')).toMatchObject({
    id: log.positions.at(1400),
    channel: 'courier',
    metadata: { source: 'courier' },
    data: { reason: 'expired', requested: log.positions.at(last), resumed_from: log.positions.at(1400) },
  });
  expect(sink.received.indexOf(gap as never)).toBe(last);
});

describe('a subscriber to which nothing comes', () => {
  const noticesOf = (sink: TestSink) => sink.received.filter(({ family }) => family === undefined).map(({ seq }) => seq);

  test('is told where it is before so many events of others have passed, and others are not', async () => {
    await using feed = await startFeed({ quietEvents: 100 });
    const [quiet, busy] = [new TestSink(), new TestSink()];
    await using _quiet = subscribeTo(feed, ['user.quiet'], 0, quiet);
    await quiet.until(() => quiet.notices.length === 1);
    await using _busy = subscribeTo(feed, ['global'], 0, busy);
    await busy.until(() => busy.notices.length === 1);
    for (let published = 0; published < 1000; published += 1) {
      await feed.append('global');
      expect(published + 1 - (noticesOf(quiet).at(-1) ?? 0)).toBeLessThan(100);
    }
    expect(noticesOf(quiet).length).toBeLessThan(35);
    expect(noticesOf(busy)).toHaveLength(1);
    // What comes after a notice is given after it.
    await feed.append('user.quiet');
    await quiet.until(() => quiet.seqs.length === 1);
    expect(quiet.received.map(({ seq }) => seq)).toEqual([...noticesOf(quiet), 1001]);
  });

  test('after having fallen behind others too', async () => {
    await using feed = await startFeed({ quietEvents: 100 });
    const sink = new TestSink(2);
    await using _subscription = subscribeTo(feed, ['user.a'], 0, sink);
    await sink.until(() => sink.notices.length === 1);
    await feed.append('user.a', 2);
    await sink.untilFull();
    await feed.append('global', 99);
    sink.makeRoom(10);
    await sink.until(() => sink.notices.length === 2);
    expect(sink.received.map(({ seq }) => seq)).toEqual([0, 1, 2, 101]);
  });

  test('when its sink was full at that moment, as soon as there is room', async () => {
    await using feed = await startFeed({ quietEvents: 99 });
    const sink = new TestSink(1);
    await using _subscription = subscribeTo(feed, ['user.quiet'], 0, sink);
    // The first notice fills it.
    await sink.until(() => sink.notices.length === 1);
    await feed.append('global', 70);
    expect(sink.notices).toHaveLength(1);
    await sink.untilFull();
    sink.makeRoom(10);
    await sink.until(() => sink.notices.length === 2);
    expect(noticesOf(sink)).toEqual([0, 70]);
  });

  test('and so never resumes from before what is retained, having missed nothing', async () => {
    await using feed = await startFeed({ quietMs: 20 });
    const sink = new TestSink();
    {
      await using _subscription = subscribeTo(feed, ['user.quiet'], 0, sink);
      await sink.until(() => sink.notices.length === 1);
      await feed.append('global', 10);
      await sink.until(() => sink.notices.length === 2);
    }
    while (await feed.log.trim(-1000, 100));
    expect(await feed.log.bounds()).toEqual({ first: 11, head: 10 });
    const again = new TestSink();
    await using _again = subscribeTo(feed, ['user.quiet'], sink.received.at(-1)?.seq ?? 0, again);
    await again.until(() => again.notices.length === 1);
    expect(again.notices).toEqual(['courier.live']);
  });
});

test('many that come back from a little behind take turns', async () => {
  await using feed = await startFeed({ batchLength: 64 * 1024 });
  for (let n = 0; n < 30; n += 1) await feed.append('global', 1000);
  const stop = new AbortController();
  const interest = { selector: selectorOf(['user.nobody']), types: undefined };
  const running = Array.from({ length: 40 }, () => new Subscriber(feed, interest, 0, new TestSink()).run(stop.signal));
  const live: number[] = [];
  while (feed.hub.listeners < running.length) {
    await new Promise((resolve) => setImmediate(resolve));
    live.push(feed.hub.listeners);
  }
  expect(Math.max(...live.map((count, turn) => count - (live[turn - 1] ?? 0)))).toBeLessThan(20);
  stop.abort();
  await Promise.all(running);
});
