/**
 * Rates over the last minute, and the last 15 minutes in intervals. Totals that only grow are looked at every second, so that
 * counting costs no more and asking costs nothing.
 */
import type { Sample, Series, Stats } from '../contract/admin.ts';
import { type LatencyCounts, latencyOf, NO_LATENCIES } from './latencies.ts';

const LOOK_MS = 1000;
const MINUTE_MS = 60_000;
/** Intervals begin at multiples of this, by the wall clock, so that all instances have the same ones. */
const INTERVAL_MS = 5000;
const INTERVALS = (15 * MINUTE_MS) / INTERVAL_MS;

type Key = keyof Sample['rates'];

/** The totals at one moment. */
export interface Counted {
  /** Since the start. */
  readonly totals: Readonly<Record<Key, number>>;
  readonly publishes: LatencyCounts;
  readonly deliveries: LatencyCounts;
  /** As they are. */
  readonly connections: number;
  readonly subscriptions: number;
}

/** What was counted in one interval; as JSON from another instance it is the same. */
export interface Interval extends Counted {
  /** When it ended, in ms since 1970. */
  readonly at: number;
  /** How long it was counted. */
  readonly seconds: number;
}

interface Look {
  /** On the monotonic clock, in ms. */
  readonly at: number;
  readonly counted: Counted;
}

export class Rates implements Disposable {
  readonly #read: () => Counted;
  /** Of the last minute, oldest first. */
  readonly #looks: Look[] = [];
  readonly #intervals: Interval[] = [];
  /** The interval that goes on, and what was there when it began. */
  #current: { readonly number: number; readonly from: Look };
  readonly #timer: NodeJS.Timeout;

  /** @param read gives what is counted as it is. */
  constructor(read: () => Counted) {
    this.#read = read;
    const from = this.#now();
    this.#current = { number: this.#intervalNumber, from };
    this.#looks.push(from);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** What each total grew by in a second, on average over the last minute or since the start. */
  get perSecond(): Stats['rates'] {
    const now = this.#now();
    const then = this.#looks[0] ?? now;
    const seconds = Math.max(now.at - then.at, LOOK_MS) / 1000;
    const rateOf = (key: Key) => rounded((now.counted.totals[key] - then.counted.totals[key]) / seconds);
    return { published: rateOf('published'), delivered: rateOf('delivered'), replayed: rateOf('replayed'), failures: rateOf('failures') };
  }

  /** The intervals that are over, oldest first. */
  get intervals(): readonly Interval[] {
    return this.#intervals;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const look = this.#now();
    this.#looks.push(look);
    if (this.#looks.length > MINUTE_MS / LOOK_MS + 1) this.#looks.shift();
    const number = this.#intervalNumber;
    if (number === this.#current.number) return;
    const interval = intervalOf(number * INTERVAL_MS, this.#current.from, look);
    // Once the clock was set back, the same time comes again.
    while ((this.#intervals.at(-1)?.at ?? 0) >= interval.at) this.#intervals.pop();
    this.#intervals.push(interval);
    if (this.#intervals.length > INTERVALS) this.#intervals.shift();
    this.#current = { number, from: look };
  }

  get #intervalNumber(): number {
    return Math.floor(Date.now() / INTERVAL_MS);
  }

  #now(): Look {
    return { at: performance.now(), counted: this.#read() };
  }
}

function intervalOf(at: number, { at: from, counted: before }: Look, { at: to, counted: after }: Look): Interval {
  const grown = (key: Key) => after.totals[key] - before.totals[key];
  return {
    at,
    seconds: (to - from) / 1000,
    totals: {
      published: grown('published'),
      delivered: grown('delivered'),
      replayed: grown('replayed'),
      failures: grown('failures'),
      refused: grown('refused'),
    },
    publishes: after.publishes.map((count, range) => count - (before.publishes[range] ?? 0)),
    deliveries: after.deliveries.map((count, range) => count - (before.deliveries[range] ?? 0)),
    connections: after.connections,
    subscriptions: after.subscriptions,
  };
}

/** The intervals of all instances as one series. It ends with the last interval that all of them have told. */
export function seriesOf(instances: readonly (readonly Interval[])[]): Series {
  const until = toldUntil(instances);
  const byTime = Map.groupBy(
    instances.flat().filter(({ at }) => at <= until),
    ({ at }) => at,
  );
  const samples = [...byTime].sort(([a], [b]) => a - b).map(([at, intervals]) => sampleOf(at, intervals));
  return { interval_ms: INTERVAL_MS, samples: samples.slice(-INTERVALS) };
}

/**
 * Every instance closes an interval at a look of its own, so for a moment only some have the last one. Instances that are
 * further behind are not waited for: they have just started, hang, or have another time.
 */
function toldUntil(instances: readonly (readonly Interval[])[]): number {
  const ends = instances.flatMap((intervals) => intervals.at(-1)?.at ?? []);
  const last = Math.max(...ends);
  return Math.min(...ends.filter((end) => end >= last - INTERVAL_MS));
}

function sampleOf(at: number, intervals: readonly Interval[]): Sample {
  const sum = (of: (interval: Interval) => number) => intervals.reduce((total, interval) => total + of(interval), 0);
  const rateOf = (key: Key) => rounded(sum(({ totals, seconds }) => totals[key] / seconds));
  const latency = (of: (interval: Interval) => LatencyCounts) =>
    latencyOf(NO_LATENCIES.map((_, range) => sum((interval) => of(interval)[range] ?? 0)));
  return {
    at: new Date(at),
    rates: {
      published: rateOf('published'),
      delivered: rateOf('delivered'),
      replayed: rateOf('replayed'),
      failures: rateOf('failures'),
      refused: rateOf('refused'),
    },
    connections: sum(({ connections }) => connections),
    subscriptions: sum(({ subscriptions }) => subscriptions),
    publish_ms: latency(({ publishes }) => publishes),
    delivery_ms: latency(({ deliveries }) => deliveries),
  };
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100;
}
