/**
 * Reading a log backwards: ranges of numbers are read forwards, each before the one read last. A range that has more
 * matches than one read gives is halved; one that has few is followed by a longer one. So the cost is that of the events
 * that come out, and a few reads more for long stretches without any.
 */
import type { EventLog, LogQuery, StoredEvent } from './log.ts';

/** Rows looked at in one read, at most. */
const READ_ROWS = 1000;
/** Reads for one page, at most. */
const MAX_READS = 50;

export interface BackwardsQuery extends Omit<LogQuery, 'after' | 'limit'> {
  /** Read what comes before this number. */
  readonly before: number;
  /** Events in the page, at most; fewer when they are far apart. */
  readonly limit: number;
}

export interface BackwardsPage {
  /** Newest first. */
  readonly events: readonly StoredEvent[];
  /** Every retained match from here up to `before` is in `events`. */
  readonly down: number;
  /** Whether anything before `down` is retained. */
  readonly hasMore: boolean;
}

/** Reads one page. An aborted signal rejects with its reason. */
export async function readBackwards(
  log: EventLog,
  { before, selector, types, limit }: BackwardsQuery,
  signal: AbortSignal,
): Promise<BackwardsPage> {
  let first = (await log.bounds()).first;
  const events: StoredEvent[] = [];
  let down = before;
  let length = limit;
  for (let reads = 0; down > first && events.length < limit && reads < MAX_READS; reads += 1) {
    const after = Math.max(first, down - length) - 1;
    const page = await log.read({ after, selector, types, limit: Math.min(length, READ_ROWS) }, signal);
    first = page.first;
    if (page.through < down - 1) {
      length = Math.ceil(length / 2);
      continue;
    }
    const found = page.events.filter(({ seq }) => seq < down).reverse();
    const taken = found.slice(0, limit - events.length);
    events.push(...taken);
    down = taken.length < found.length ? (taken.at(-1) as StoredEvent).seq : after + 1;
    if (found.length < READ_ROWS / 4) length *= 2;
  }
  return { events, down, hasMore: down > first };
}
