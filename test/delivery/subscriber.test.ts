/** One subscription: exactly the matching events, in order, through catch-up, cut-over and live, however full the sink is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventSource } from '../../src/delivery/event-source.ts';
import type { Pipeline } from '../../src/delivery/pipeline.ts';
import { Subscriber } from '../../src/delivery/subscriber.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { startPipeline, TestSink } from '../helpers/pipeline.ts';
import { channelSetOf } from '../helpers/trade.ts';

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

function subscribeTo(pipeline: Pipeline, patterns: string[], cursor: number, sink: TestSink, types?: string[]) {
  const stop = new AbortController();
  const { subscribers, topics } = pipeline.hub;
  const filter = { channels: channelSetOf(patterns), types: types && new Set(types) };
  const ended = new Subscriber(eventSource(pipeline), filter, cursor, sink).run(stop.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
      expect(pipeline.hub.subscribers).toBe(subscribers);
      expect(pipeline.hub.topics).toBe(topics);
    },
  };
}

test('from any position, what is in the log comes first, then what is published, with one notice between', async () => {
  // So little is held in memory that the log must be read.
  await using pipeline = await startPipeline({ windowBytes: 200 });
  await pipeline.append('user.a', 10);
  await pipeline.append('user.b', 10);
  await pipeline.append('user.a', 10);
  const sink = new TestSink();
  await using _subscription = subscribeTo(pipeline, ['user.a'], 5, sink);
  await sink.until(() => sink.notices.length === 1);
  expect(sink.received.at(-1)).toMatchObject({ type: 'courier.live', id: pipeline.log.positions.at(30) });
  expect(JSON.parse(sink.received.at(-1)?.json ?? '').data).toEqual({ position: pipeline.log.positions.at(30), replayed: 15 });
  await pipeline.append('user.b');
  await pipeline.append('user.a');
  expect(sink.seqs).toEqual([...range(6, 10), ...range(21, 30), 32]);
  expect(sink.notices).toEqual(['courier.live']);
});

test('what was read from the log before the tail heard of it is not given again', async () => {
  const late: (() => void)[] = [];
  let isLate = false;
  await using pipeline = await startPipeline({
    windowBytes: 200,
    deliver: (events, offer) => (isLate ? late.push(() => offer(events)) : offer(events)),
  });
  await pipeline.append('global', 5);
  isLate = true;
  await pipeline.append('global', 5);
  const sink = new TestSink();
  await using _subscription = subscribeTo(pipeline, ['global'], 0, sink);
  await sink.until(() => sink.seqs.length === 10);
  expect(pipeline.tail.seq).toBe(5);
  await pipeline.append('global');
  for (const offer of late) offer();
  expect(pipeline.tail.seq).toBe(11);
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
      async (before, after, cursor, windowBytes, batchUnits) => {
        await using pipeline = await startPipeline({ windowBytes, batchUnits });
        await pipeline.append('global', before);
        const start = Math.min(cursor, before);
        const sink = new TestSink();
        await using _subscription = subscribeTo(pipeline, ['**'], start, sink);
        for (let index = 0; index < after; index += 1) await pipeline.append('user.a');
        await sink.until(() => sink.seqs.length === before - start + after);
        expect(sink.seqs).toEqual(range(start + 1, before + after));
      },
    ),
    { numRuns: 200 },
  );
});

test('while events pour in faster than the log is read, a subscriber still catches up', async () => {
  await using pipeline = await startPipeline();
  await pipeline.append('global', 2000);
  let publishing = true;
  const pouring = (async () => {
    let published = 2000;
    while (publishing) {
      await pipeline.append('global', 20);
      published += 20;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return published;
  })();
  const sink = new TestSink();
  await using _subscription = subscribeTo(pipeline, ['global'], 0, sink);
  await sink.until(() => sink.notices.includes('courier.live'));
  publishing = false;
  const published = await pouring;
  await sink.until(() => sink.seqs.length === published);
  expect(sink.seqs).toEqual(range(1, published));
});

describe('a sink that is full', () => {
  test('gets nothing until there is room, and then everything from the log', async () => {
    await using pipeline = await startPipeline({ windowBytes: 500 });
    const sink = new TestSink(3);
    await using _subscription = subscribeTo(pipeline, ['**'], 0, sink);
    await sink.until(() => sink.notices.length === 1);
    await pipeline.append('global', 100);
    await sink.untilFull();
    // The notice and two events; the subscriber has left the hub and holds none of the others.
    expect(sink.seqs).toEqual([1, 2]);
    expect(pipeline.hub.subscribers).toBe(0);
    sink.makeRoom(5);
    await sink.untilFull(2);
    expect(sink.seqs).toEqual(range(1, 7));
    sink.makeRoom(Number.POSITIVE_INFINITY);
    await sink.until(() => sink.seqs.length === 100);
    await pipeline.append('global');
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
        async (steps, windowBytes, batchUnits) => {
          await using pipeline = await startPipeline({ windowBytes, batchUnits });
          const sink = new TestSink(1);
          await using _subscription = subscribeTo(pipeline, ['user.a'], 0, sink);
          const expected: number[] = [];
          let seq = 0;
          for (const action of steps) {
            if ('room' in action) {
              sink.makeRoom(action.room);
              continue;
            }
            await pipeline.append(action.channel, action.publish);
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
    await using pipeline = await startPipeline();
    await pipeline.append('global', 10);
    const sink = new TestSink(1);
    {
      await using _subscription = subscribeTo(pipeline, ['**'], 0, sink);
      await sink.untilFull();
    }
    expect(sink.seqs).toEqual([1]);
  });
});

test.each([0, 1])('one that is stopped ends at once, also while it waits for a full sink (%i in it)', async (room) => {
  await using pipeline = await startPipeline({ windowBytes: 100 });
  await pipeline.append('global', 10);
  const sink = new TestSink(room);
  const subscriber = new Subscriber(eventSource(pipeline), { channels: channelSetOf(['**']), types: undefined }, 0, sink);
  const ended = subscriber.run(new AbortController().signal);
  await sink.untilFull();
  subscriber.stop();
  await ended;
  sink.makeRoom(Number.POSITIVE_INFINITY);
  expect(sink.seqs).toHaveLength(room);
  expect(pipeline.hub.subscribers).toBe(0);
});

test('one that is stopped while it is live gets nothing more', async () => {
  await using pipeline = await startPipeline();
  const sink = new TestSink();
  const subscriber = new Subscriber(eventSource(pipeline), { channels: channelSetOf(['**']), types: undefined }, 0, sink);
  const ended = subscriber.run(new AbortController().signal);
  await sink.until(() => sink.notices.length === 1);
  await pipeline.append('global');
  subscriber.stop();
  await pipeline.append('global');
  await ended;
  expect(sink.seqs).toEqual([1]);
  expect(pipeline.hub.subscribers).toBe(0);
});

test('types are filtered in replay and live', async () => {
  await using pipeline = await startPipeline({ windowBytes: 100 });
  for (const type of ['a', 'b', 'a', 'b']) await pipeline.append('global', 1, type);
  const sink = new TestSink();
  await using _subscription = subscribeTo(pipeline, ['**'], 0, sink, ['b']);
  await sink.until(() => sink.notices.length === 1);
  for (const type of ['a', 'b']) await pipeline.append('global', 1, type);
  expect(sink.seqs).toEqual([2, 4, 6]);
});

test('what is trimmed while a subscriber is behind is told as a gap, after what had been read before', async () => {
  const log = openMemoryLog({ now: () => 1000 });
  await using pipeline = await startPipeline({ log, windowBytes: 100 });
  await pipeline.append('global', 1500);
  const sink = new TestSink(2);
  await using _subscription = subscribeTo(pipeline, ['**'], 0, sink);
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
    await using pipeline = await startPipeline({ quietEvents: 100 });
    const [quiet, busy] = [new TestSink(), new TestSink()];
    await using _quiet = subscribeTo(pipeline, ['user.quiet'], 0, quiet);
    await quiet.until(() => quiet.notices.length === 1);
    await using _busy = subscribeTo(pipeline, ['global'], 0, busy);
    await busy.until(() => busy.notices.length === 1);
    for (let published = 0; published < 1000; published += 1) {
      await pipeline.append('global');
      expect(published + 1 - (noticesOf(quiet).at(-1) ?? 0)).toBeLessThan(100);
    }
    expect(noticesOf(quiet).length).toBeLessThan(35);
    expect(noticesOf(busy)).toHaveLength(1);
    // What comes after a notice is given after it.
    await pipeline.append('user.quiet');
    await quiet.until(() => quiet.seqs.length === 1);
    expect(quiet.received.map(({ seq }) => seq)).toEqual([...noticesOf(quiet), 1001]);
  });

  test('after having fallen behind others too', async () => {
    await using pipeline = await startPipeline({ quietEvents: 100 });
    const sink = new TestSink(2);
    await using _subscription = subscribeTo(pipeline, ['user.a'], 0, sink);
    await sink.until(() => sink.notices.length === 1);
    await pipeline.append('user.a', 2);
    await sink.untilFull();
    await pipeline.append('global', 99);
    sink.makeRoom(10);
    await sink.until(() => sink.notices.length === 2);
    expect(sink.received.map(({ seq }) => seq)).toEqual([0, 1, 2, 101]);
  });

  test('when its sink was full at that moment, as soon as there is room', async () => {
    await using pipeline = await startPipeline({ quietEvents: 99 });
    const sink = new TestSink(1);
    await using _subscription = subscribeTo(pipeline, ['user.quiet'], 0, sink);
    // The first notice fills it.
    await sink.until(() => sink.notices.length === 1);
    await pipeline.append('global', 70);
    expect(sink.notices).toHaveLength(1);
    await sink.untilFull();
    sink.makeRoom(10);
    await sink.until(() => sink.notices.length === 2);
    expect(noticesOf(sink)).toEqual([0, 70]);
  });

  test('and so never resumes from before what is retained, having missed nothing', async () => {
    await using pipeline = await startPipeline({ quietMs: 20 });
    const sink = new TestSink();
    {
      await using _subscription = subscribeTo(pipeline, ['user.quiet'], 0, sink);
      await sink.until(() => sink.notices.length === 1);
      await pipeline.append('global', 10);
      await sink.until(() => sink.notices.length === 2);
    }
    while (await pipeline.log.trim(-1000, 100));
    expect(await pipeline.log.bounds()).toEqual({ first: 11, head: 10 });
    const again = new TestSink();
    await using _again = subscribeTo(pipeline, ['user.quiet'], sink.received.at(-1)?.seq ?? 0, again);
    await again.until(() => again.notices.length === 1);
    expect(again.notices).toEqual(['courier.live']);
  });
});

test('many that come back from a little behind take turns', async () => {
  await using pipeline = await startPipeline({ batchUnits: 64 * 1024 });
  for (let n = 0; n < 30; n += 1) await pipeline.append('global', 1000);
  const stop = new AbortController();
  const filter = { channels: channelSetOf(['user.nobody']), types: undefined };
  const running = Array.from({ length: 40 }, () => new Subscriber(eventSource(pipeline), filter, 0, new TestSink()).run(stop.signal));
  const live: number[] = [];
  while (pipeline.hub.subscribers < running.length) {
    await new Promise((resolve) => setImmediate(resolve));
    live.push(pipeline.hub.subscribers);
  }
  expect(Math.max(...live.map((count, turn) => count - (live[turn - 1] ?? 0)))).toBeLessThan(20);
  stop.abort();
  await Promise.all(running);
});

test('a subscription that begins while the others with its filter fall behind hears what follows', async () => {
  // Events are gathered for the rest of a turn, in which the second subscription begins.
  await using pipeline = await startPipeline({ batchUnits: 64 * 1024 });
  const full = new TestSink(1);
  await using _slow = subscribeTo(pipeline, ['user.a'], 0, full);
  await full.until(() => full.notices.length === 1);
  const appended = pipeline.append('user.a');
  const sink = new TestSink();
  await using _beginning = subscribeTo(pipeline, ['user.a'], 0, sink);
  await appended;
  await pipeline.append('user.a');
  await sink.until(() => sink.seqs.length === 2);
  expect(sink.seqs).toEqual([1, 2]);
  full.makeRoom(10);
  await full.until(() => full.seqs.length === 2);
});
