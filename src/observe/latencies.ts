/** How long something took, counted in ranges that grow by a half each: of any number of times only so many numbers are kept. */
import type { Latency } from '../contract/admin.ts';

/** Where the first range ends, in ms. */
const FIRST_MS = 0.05;
const GROWTH = 1.5;
/** The last but one ends at about a minute and a half; the last has no end. */
const RANGES = 37;

/** How many times fell into each range. They add up, over time and over instances. */
export type LatencyCounts = readonly number[];

export const NO_LATENCIES: LatencyCounts = Array(RANGES).fill(0);

export class LatencyCounter {
  readonly #counts: number[] = [...NO_LATENCIES];

  observe(seconds: number): void {
    const ms = seconds * 1000;
    const range = ms <= FIRST_MS ? 0 : Math.min(RANGES - 1, Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH)));
    this.#counts[range] = (this.#counts[range] ?? 0) + 1;
  }

  /** What was counted since the start. */
  get counts(): LatencyCounts {
    return [...this.#counts];
  }
}

/** @returns null when nothing was counted. Within a range the times count as evenly spread. */
export function latencyOf(counts: LatencyCounts): Latency | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === 0 ? null : { p50: quantile(counts, total * 0.5), p99: quantile(counts, total * 0.99) };
}

function quantile(counts: LatencyCounts, rank: number): number {
  let before = 0;
  for (const [range, count] of counts.entries()) {
    if (before + count >= rank && count > 0) {
      const from = range === 0 ? 0 : endOf(range - 1);
      const ms = range === RANGES - 1 ? from : from + ((rank - before) / count) * (endOf(range) - from);
      return Number(ms.toPrecision(3));
    }
    before += count;
  }
  return 0;
}

function endOf(range: number): number {
  return FIRST_MS * GROWTH ** range;
}
