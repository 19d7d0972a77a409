/** Replays leave publishers their time, and come to their end all the same. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pacing } from '../../src/delivery/pacing.ts';

const units = 300;

/** Reads pages while so many events are published in a ms. Resolves to what was read, published and rested. */
function replay({
  pages,
  numbers,
  readingMs,
  publishedPerMs,
}: {
  pages: number;
  numbers: number;
  readingMs: number;
  publishedPerMs: number;
}) {
  let now = 0;
  const pacing = new Pacing(() => now);
  const page = { numbers, deliveries: Array.from({ length: numbers }, () => ({ units })) };
  let published = 0;
  let restedMs = 0;
  for (let read = 0; read < pages; read += 1) {
    now += readingMs;
    const due = Math.floor(now * publishedPerMs);
    pacing.notePublished(due - published);
    published = due;
    const restMs = pacing.restAfter(page, 1);
    restedMs += restMs;
    now += restMs;
  }
  return { read: pages * numbers, published, restedMs, readingMs: pages * readingMs };
}

test('without publishers there is no rest, and beside few of them publishers have most of the time', () => {
  const common = { pages: 100, numbers: 500, readingMs: 1.5 };
  expect(replay({ ...common, publishedPerMs: 0 }).restedMs).toBe(0);
  const { restedMs, readingMs } = replay({ ...common, publishedPerMs: 5 });
  expect(restedMs / readingMs).toBeGreaterThan(4);
});

test('a replay goes on twice as fast as is published, or as fast as it can', () => {
  fc.assert(
    fc.property(
      fc.record({
        pages: fc.constant(1000),
        numbers: fc.integer({ min: 64, max: 500 }),
        readingMs: fc.double({ min: 0.5, max: 20, noNaN: true }),
        publishedPerMs: fc.double({ min: 0.01, max: 200, noNaN: true }),
      }),
      (load) => {
        const { read, published, restedMs } = replay(load);
        const canRead = load.numbers / load.readingMs;
        if (canRead > 2.5 * load.publishedPerMs) expect(read).toBeGreaterThan(1.8 * published);
        if (canRead < 1.8 * load.publishedPerMs) expect(restedMs).toBeLessThan(0.1 * load.pages * load.readingMs);
      },
    ),
  );
});
