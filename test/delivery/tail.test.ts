/** The tail: whatever reaches it, and in whatever order, every event is dispatched once, in sequence order. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LiveSubscriber } from '../../src/delivery/groups.ts';
import type { Hub } from '../../src/delivery/hub.ts';
import type { StoredEvent } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { startPipeline } from '../helpers/pipeline.ts';
import { EVERYTHING } from '../helpers/trade.ts';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function listen(hub: Hub) {
  const seqs: number[] = [];
  const interrupted: number[] = [];
  let wake: () => void = () => undefined;
  const subscriber: LiveSubscriber = {
    sink: {
      writable: true,
      drained: () => Promise.resolve(),
      deliver: ({ deliveries }) => {
        for (const { seq } of deliveries) seqs.push(seq);
        wake();
      },
    },
    onBehind: (seq) => {
      interrupted.push(seq);
      hub.join(filter, subscriber, 0);
      wake();
    },
  };
  const filter = { channels: EVERYTHING, types: undefined };
  hub.join(filter, subscriber, 0);
  const until = (done: () => boolean) =>
    new Promise<void>((resolve) => {
      wake = () => {
        if (done()) resolve();
      };
      wake();
    });
  return { seqs, interrupted, until };
}

test('what arrives dropped, repeated and out of order is dispatched 1 to N', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      async (count, random) => {
        const chance = () => random.next().value as number;
        const late: StoredEvent[][] = [];
        await using pipeline = await startPipeline({
          reorderWaitMs: 1,
          headCheckMs: 5,
          deliver: (events, offer) => {
            if (chance() < 0.1) return;
            if (chance() < 0.1) late.push([...events]);
            else offer(events);
            if (chance() < 0.1) offer(events);
            if (chance() < 0.3) for (const batch of late.splice(0)) offer(batch);
          },
        });
        const { seqs, until } = listen(pipeline.hub);
        for (let index = 0; index < count; index += 1) await pipeline.append('global');
        await until(() => seqs.length >= count);
        expect(seqs).toEqual(range(1, count));
      },
    ),
    { numRuns: 50 },
  );
});

describe('when nobody tells it', () => {
  test('the head check finds the last event', async () => {
    await using pipeline = await startPipeline({ headCheckMs: 5, deliver: () => undefined });
    const { seqs, until } = listen(pipeline.hub);
    await pipeline.append('global', 3);
    await until(() => seqs.length === 3);
    expect(seqs).toEqual([1, 2, 3]);
  });

  test('a hole is filled from the log after the wait for reordering', async () => {
    await using pipeline = await startPipeline({
      reorderWaitMs: 1,
      headCheckMs: 60_000,
      deliver: (events, offer) => {
        if (events[0]?.seq !== 2) offer(events);
      },
    });
    const { seqs, until } = listen(pipeline.hub);
    for (let index = 0; index < 3; index += 1) await pipeline.append('global');
    expect(seqs).toEqual([1]);
    await until(() => seqs.length === 3);
    expect(seqs).toEqual([1, 2, 3]);
  });
});

test('a log that cannot be read is reported, and read again at the next check', async () => {
  const log = openMemoryLog();
  const errors: unknown[] = [];
  let broken = true;
  const flaky = new Proxy(log, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (name === 'read' && broken) {
        return () => {
          broken = false;
          return Promise.reject(new Error('away'));
        };
      }
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  await using pipeline = await startPipeline({
    log: flaky,
    headCheckMs: 5,
    deliver: () => undefined,
    onError: (error) => errors.push(error),
  });
  const { seqs, until } = listen(pipeline.hub);
  await pipeline.append('global');
  await until(() => seqs.length === 1);
  expect(errors).toEqual([new Error('away')]);
});

test('events that were trimmed before they could be read interrupt the live subscribers', async () => {
  const log = openMemoryLog({ now: () => 1000 });
  await using pipeline = await startPipeline({ log, headCheckMs: 60_000, deliver: () => undefined });
  const { seqs, interrupted, until } = listen(pipeline.hub);
  await pipeline.append('global', 5);
  await log.trim(-1000, 3);
  pipeline.tail.checkHead();
  await until(() => seqs.length === 2);
  expect(interrupted).toEqual([0]);
  expect(seqs).toEqual([4, 5]);
});

test('the events in memory are the latest, up to the bound', async () => {
  await using pipeline = await startPipeline({ windowBytes: 8000 });
  await pipeline.append('global', 100);
  const held = [...pipeline.tail.window.after(0)].map(({ seq }) => seq);
  expect(held.at(-1)).toBe(100);
  expect(held.length).toBeLessThan(30);
  expect(pipeline.tail.window.covers((held[0] ?? 0) - 1, 100)).toBe(true);
  expect(pipeline.tail.window.covers((held[0] ?? 0) - 2, 100)).toBe(false);
  expect([...pipeline.tail.window.after(97)].map(({ seq }) => seq)).toEqual([98, 99, 100]);
});
