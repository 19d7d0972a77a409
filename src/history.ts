/** Reading what was published before: one page of the log, filtered as a subscription would be. */
import type { Principal } from './auth/principal.ts';
import type { GapNotice } from './contract/events/index.ts';
import { Delivery } from './delivery/delivery.ts';
import type { EventLog } from './log/log.ts';
import { positionFrom, readableSelector } from './subscribe.ts';

export const DEFAULT_HISTORY_LIMIT = 100;
export const MAX_HISTORY_LIMIT = 1000;
/** Rows looked at for one page, at most, when a filter by type leaves most of them out. */
const MAX_ROWS = 10_000;

export interface HistoryRequest {
  /** Channel names and patterns. */
  readonly channels: readonly string[];
  readonly types?: readonly string[] | undefined;
  /** Give what comes after this position; from the oldest retained event when absent. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** One page, oldest first. */
export interface HistoryPage<TEvent> {
  events: TEvent[];
  /** Where the next page starts: hand it in as `after`. At the end of the log it is the position to go on from later. */
  next: string;
  /** Whether there is more after `next` now. */
  has_more: boolean;
  /** Set when events after the requested position are missing, with the reason; as in a `courier.gap` notice. */
  gap: GapNotice['data'] | null;
}

/**
 * Reads a page.
 *
 * @throws {CourierError} BAD_REQUEST for a malformed channel, pattern or position; FORBIDDEN.
 */
export async function history(
  log: EventLog,
  principal: Principal,
  request: HistoryRequest,
  signal: AbortSignal,
): Promise<HistoryPage<Delivery>> {
  const selector = readableSelector(principal, request.channels);
  const types = request.types && new Set(request.types);
  const limit = request.limit ?? DEFAULT_HISTORY_LIMIT;
  const start = await findStart(log, request.after);
  const events: Delivery[] = [];
  let { after, gap } = start;
  for (let rows = 0; ; ) {
    const want = Math.min(limit - events.length, MAX_ROWS - rows);
    const page = await log.read({ after, selector, types, limit: want }, signal);
    if (page.first > after + 1 && gap === null && request.after !== undefined) {
      gap = { reason: 'expired', requested: request.after, resumed_from: log.positions.at(page.first - 1) };
    }
    events.push(...page.events.map((event) => new Delivery(log.positions.at(event.seq), event)));
    after = Math.max(after, page.through);
    rows += want;
    const has_more = page.through < page.head;
    if (!has_more || events.length >= limit || rows >= MAX_ROWS) return { events, next: log.positions.at(after), has_more, gap };
  }
}

async function findStart(log: EventLog, requested: string | undefined): Promise<{ after: number; gap: GapNotice['data'] | null }> {
  const bounds = await log.bounds();
  if (requested === undefined) return { after: bounds.first - 1, gap: null };
  const position = positionFrom('after', requested);
  const reason = log.positions.problemWith(position, bounds.head);
  if (reason === undefined) return { after: position.seq, gap: null };
  // A position of another log says nothing about this one: begin with the oldest. One past the end begins at the end.
  const after = reason === 'ahead' ? bounds.head : bounds.first - 1;
  return { after, gap: { reason, requested, resumed_from: log.positions.at(after) } };
}
