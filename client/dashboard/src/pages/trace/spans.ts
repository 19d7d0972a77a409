/** The spans of events: each strategy, backtest, job and order has a lane of its own. */
import type { CourierEvent } from '@lumiere/courier-client';

export interface Lane {
  /** `strategy sma-10-30`. */
  readonly name: string;
  readonly source: string;
  /** The events in the order of publishing. */
  readonly events: readonly CourierEvent[];
  /** The start and the end on the axis. */
  readonly from: number;
  readonly to: number;
}

/**
 * The axis of the events: time, or their order when the timestamps do not follow it, as a publisher may set an old timestamp.
 */
export interface Axis {
  readonly kind: 'time' | 'order';
  readonly first: number;
  readonly last: number;
  /** The place of an event on the axis: ms since 1970, or its number. */
  readonly at: (event: CourierEvent) => number;
}

/** How far a timestamp may be before that of the previous event, in ms: clocks differ, and services work side by side. */
const TOLERANCE_MS = 2000;

export function axisOf(events: readonly CourierEvent[]): Axis {
  const timeOf = ({ metadata }: CourierEvent) => metadata.timestamp.getTime();
  const times = events.map(timeOf);
  const isInOrder = times.every((time, index) => time >= (times[index - 1] ?? time) - TOLERANCE_MS);
  if (isInOrder) return { kind: 'time', first: Math.min(...times), last: Math.max(...times), at: timeOf };
  const numbers = new Map(events.map(({ id }, index) => [id, index + 1]));
  return { kind: 'order', first: 1, last: events.length, at: ({ id }) => numbers.get(id) ?? 0 };
}

/** The fields that name an event's subject: the first one that its data has counts. */
const SUBJECTS = [
  ['forge.job.', 'job_id', 'job'],
  ['strategy.', 'strategy_id', 'strategy'],
  ['backtest.', 'backtest_id', 'backtest'],
  ['position.', 'symbol', 'position'],
  ['', 'order_id', 'order'],
] as const;

/** Lanes in the order of their first events: a job, its strategies, their backtests, their trades. */
export function lanesOf(events: readonly CourierEvent[], { at }: Axis): Lane[] {
  const lanes = Map.groupBy(events, (event) => `${event.metadata.source}\n${subjectOf(event)}`);
  return [...lanes.values()]
    .map((own) => {
      const places = own.map(at);
      const [first] = own as [CourierEvent, ...CourierEvent[]];
      return { name: subjectOf(first), source: first.metadata.source, events: own, from: Math.min(...places), to: Math.max(...places) };
    })
    .sort((a, b) => a.from - b.from);
}

function subjectOf({ type, data }: CourierEvent): string {
  const subject = SUBJECTS.find(([prefix, field]) => type.startsWith(prefix) && field in data);
  if (subject === undefined) return type;
  const [, field, name] = subject;
  return `${name} ${String((data as unknown as Record<string, unknown>)[field])}`;
}
