/** Logs under test: how they are made, filled and read. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { type EventLog, type LogPage, type LogQuery, type StoredEvent, TRIM_GRAIN_MS } from '../../../src/log/log.ts';
import { newEvent } from '../../helpers/events.ts';
import { contract, FAMILIES, worker } from '../../helpers/trade.ts';

/** Makes logs for one test. Opening again gives the same log where it is durable. */
export interface LogFactory extends AsyncDisposable {
  open(options?: { now?: () => number }): Promise<EventLog>;
}

/** A log whose storage takes no events until it is mended. */
export interface FailingLog extends AsyncDisposable {
  readonly log: EventLog;
  mend(): Promise<void>;
}

export interface LogSuite {
  readonly durable: boolean;
  readonly factory: () => Promise<LogFactory> | LogFactory;
  readonly failing: () => Promise<FailingLog>;
  /** Runs of each property; fewer where opening a log is slow. */
  readonly runs: number;
}

/** Fills a log that has a bound. Removing what it has mends it. */
export async function filled(log: EventLog): Promise<FailingLog> {
  while (
    await log.append([largeEvent()]).then(
      () => true,
      () => false,
    )
  );
  const mend = async () => {
    while (await log.trim(Number.NEGATIVE_INFINITY, 100));
  };
  return { log, mend, [Symbol.asyncDispose]: () => log[Symbol.asyncDispose]() };
}

/** Nearly as large as an event may be. */
export const largeEvent = () => newEvent('global', { size: 50_000 });

export const never = new AbortController().signal;
export const DAY_MS = TRIM_GRAIN_MS;
export const CHANNELS = ['global', ...FAMILIES.slice(1).flatMap((family) => [`${family}.u1`, `${family}.u2`])];
export const TYPES = ['a', 'b', 'c'];

export const seqsOf = (events: readonly { seq: number }[]) => events.map(({ seq }) => seq);
export const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

export async function readAll(
  log: EventLog,
  channels: LogQuery['channels'],
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
export async function readBack(
  log: EventLog,
  channels: LogQuery['channels'],
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

export const arbitraryEvent = fc
  .tuple(fc.constantFrom(...CHANNELS), fc.constantFrom(...TYPES))
  .map(([channel, type]) => newEvent(channel, { type }));
export const arbitraryAppends = fc.array(fc.array(arbitraryEvent, { minLength: 1, maxLength: 5 }), { maxLength: 20 });
export const arbitraryChannels = fc
  .subarray(
    [...CHANNELS, ...FAMILIES.slice(1).map((family) => `${family}.*`), worker.everything, '**', '*', 'user.nobody', '*.u1', '**.u2'],
    { minLength: 1 },
  )
  .map((patterns) => contract.channels.setOf(patterns));
