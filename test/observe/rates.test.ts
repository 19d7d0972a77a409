/** Rates of the last minute and intervals of the last 15, on clocks that a test moves. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LatencyCounter, latencyOf, NO_LATENCIES } from '../../src/observe/latencies.ts';
import { type Counted, Rates, seriesOf } from '../../src/observe/rates.ts';

/** 5 s begin here, by the wall clock. */
const START = Date.UTC(2026, 0, 2, 3, 4, 5);

beforeEach(() => {
  vi.useFakeTimers({ now: START, toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function counting() {
  const totals = { published: 0, delivered: 0, replayed: 0, failures: 0, refused: 0 };
  const [publishes, deliveries] = [new LatencyCounter(), new LatencyCounter()];
  const read = (): Counted => ({
    totals: { ...totals },
    publishes: publishes.counts,
    deliveries: deliveries.counts,
    connections: 3,
    subscriptions: 4,
  });
  return { totals, publishes, deliveries, rates: new Rates(read) };
}

test('rates are those of the last minute, or since the start', () => {
  const { totals, rates } = counting();
  using _ = rates;
  totals.published = 10;
  vi.advanceTimersByTime(10_000);
  expect(rates.perSecond).toEqual({ published: 1, delivered: 0, replayed: 0, failures: 0 });
  vi.advanceTimersByTime(120_000);
  expect(rates.perSecond.published).toBe(0);
});

test('an interval has what was counted in it, and the latencies of it', () => {
  const { totals, publishes, deliveries, rates } = counting();
  using _ = rates;
  vi.advanceTimersByTime(5000);
  Object.assign(totals, { published: 50, delivered: 500, refused: 5 });
  for (let count = 0; count < 98; count += 1) publishes.observe(0.001);
  for (let count = 0; count < 2; count += 1) publishes.observe(1);
  vi.advanceTimersByTime(10_000);
  const { interval_ms, samples } = seriesOf([rates.intervals]);
  expect(interval_ms).toBe(5000);
  expect(samples.map(({ at }) => at.getTime() - START)).toEqual([5000, 10_000, 15_000]);
  const [before, within, after] = samples;
  expect(before?.publish_ms).toBeNull();
  expect(within).toMatchObject({
    rates: { published: 10, delivered: 100, replayed: 0, failures: 0, refused: 1 },
    connections: 3,
    subscriptions: 4,
    delivery_ms: null,
  });
  // A latency is known to within the half that a range is wide.
  expect(within?.publish_ms?.p50).toBeGreaterThan(0.66);
  expect(within?.publish_ms?.p50).toBeLessThan(1.5);
  expect(within?.publish_ms?.p99).toBeGreaterThan(660);
  expect(within?.publish_ms?.p99).toBeLessThan(1500);
  expect(after?.rates.published).toBe(0);
  deliveries.observe(0.5);
  vi.advanceTimersByTime(5000);
  expect(seriesOf([rates.intervals]).samples.at(-1)?.delivery_ms).not.toBeNull();
});

test('15 minutes are kept', () => {
  const { rates } = counting();
  using _ = rates;
  vi.advanceTimersByTime(20 * 60_000);
  expect(rates.intervals).toHaveLength(180);
  expect(rates.intervals.at(-1)?.at).toBe(START + 20 * 60_000);
});

test('a clock that is set back leaves no time twice, and none that is to come', () => {
  const { rates } = counting();
  using _ = rates;
  vi.advanceTimersByTime(20_000);
  vi.setSystemTime(START + 5000);
  vi.advanceTimersByTime(10_000);
  const { samples } = seriesOf([rates.intervals]);
  expect(samples.map(({ at, connections }) => [at.getTime() - START, connections])).toEqual([
    [5000, 3],
    [10_000, 3],
    [15_000, 3],
  ]);
});

test('instances add up, also when one has been there for longer, and when they come as JSON', () => {
  const [one, two] = [counting(), counting()];
  using _one = one.rates;
  using _two = two.rates;
  one.totals.published = 5;
  two.totals.published = 10;
  one.publishes.observe(0.001);
  two.publishes.observe(0.001);
  vi.advanceTimersByTime(10_000);
  const { samples } = seriesOf([one.rates.intervals.slice(1), JSON.parse(JSON.stringify(two.rates.intervals))]);
  expect(samples.map(({ rates, connections }) => [rates.published, connections])).toEqual([
    [2, 3],
    [0, 6],
  ]);
  expect(samples[0]?.publish_ms?.p50).toBeGreaterThan(0.66);
});

test('an interval that only some instances have closed is left out until the others have, or are further behind', () => {
  const { rates } = counting();
  using _ = rates;
  vi.advanceTimersByTime(15_000);
  const all = rates.intervals;
  const connections = (...instances: Parameters<typeof seriesOf>[0]) => seriesOf(instances).samples.map((sample) => sample.connections);
  expect(connections(all, all)).toEqual([6, 6, 6]);
  expect(connections(all, all.slice(0, 2))).toEqual([6, 6]);
  expect(connections(all, all.slice(0, 1))).toEqual([6, 3, 3]);
  expect(connections(all, [])).toEqual([3, 3, 3]);
  expect(connections([], [])).toEqual([]);
});

test('what took longer than all ranges is told as where the last begins, and no time as one of the first', () => {
  const counter = new LatencyCounter();
  expect(latencyOf(NO_LATENCIES)).toBeNull();
  counter.observe(10_000);
  expect(latencyOf(counter.counts)?.p99).toBeGreaterThan(60_000);
  const fast = new LatencyCounter();
  fast.observe(0);
  expect(latencyOf(fast.counts)?.p50).toBeLessThan(0.06);
});
