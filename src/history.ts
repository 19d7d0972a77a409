/** Reads published events: one page of the log, with the filter that a subscription would have. */
import type { Connection } from './connections/connection.ts';
import type { Gap } from './contract/envelope.ts';
import type { HistoryPage } from './contract/types.ts';
import type { Delivery } from './delivery/batch.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { type CourierError, invalidField } from './errors.ts';
import { type EventLog, PAGE_BYTES } from './log/log.ts';
import type { Positions } from './log/positions.ts';
import { positionFrom, readableFilter } from './subscribe.ts';

export const DEFAULT_HISTORY_LIMIT = 100;
export const MAX_HISTORY_LIMIT = 1000;
/** Rows looked at for one page, at most, when a filter by type leaves most of them out. */
const MAX_ROWS = 10_000;

export const HISTORY_ORDERS = ['oldest', 'newest'] as const;
export type HistoryOrder = (typeof HISTORY_ORDERS)[number];

export interface HistoryRequest {
  /** Channel names and patterns. */
  readonly channels: readonly string[];
  readonly types?: readonly string[] | undefined;
  /** Which come first: the oldest when absent. */
  readonly order?: HistoryOrder | undefined;
  /** Oldest first: give what comes after this position; from the oldest retained event when absent. */
  readonly after?: string | undefined;
  /** Newest first: give what comes before this position; from the last event when absent. */
  readonly before?: string | undefined;
  readonly limit?: number | undefined;
}

/**
 * Reads a page. It ends with the event that brings it to PAGE_BYTES, whatever its limit.
 *
 * @throws {CourierError} BAD_REQUEST for a malformed channel, pattern or position, or one of the other order; FORBIDDEN.
 */
export async function history(
  { contract, log, deliveryOf, usage }: Pick<Pipeline, 'contract' | 'log' | 'deliveryOf' | 'usage'>,
  connection: Pick<Connection, 'principal' | 'identity'>,
  request: HistoryRequest,
  signal: AbortSignal,
): Promise<HistoryPage<Delivery>> {
  const filter = readableFilter(contract, connection.principal, request);
  const limit = request.limit ?? DEFAULT_HISTORY_LIMIT;
  const newestFirst = request.order === 'newest';
  const events: Delivery[] = [];
  let bytes = 0;
  let { seq, gap } = await (newestFirst ? findNewest(log, request) : findOldest(log, request));
  usage.selected(connection, filter);
  for (let rows = 0; ; ) {
    const want = Math.min(limit - events.length, MAX_ROWS - rows);
    const page = await log.read({ ...(newestFirst ? { beforeSeq: seq } : { afterSeq: seq }), ...filter, limit: want }, signal);
    if (!newestFirst && page.first > seq + 1 && gap === null && request.after !== undefined) {
      gap = { reason: 'expired', requested: request.after, resumed_from: log.positions.at(page.first - 1) };
    }
    for (const event of page.events) {
      const delivery = deliveryOf(event);
      if (delivery.isReadable) {
        events.push(delivery);
        // Its present form may be larger than what is stored.
        bytes += Buffer.byteLength(delivery.json);
        const has_more = newestFirst ? event.seq > page.first : event.seq < page.head;
        if (bytes >= PAGE_BYTES) return { events, next: log.positions.at(event.seq), has_more, gap };
      } else {
        const wider = events.length === 0 ? withUnreadable(gap, log.positions, event.seq, newestFirst) : undefined;
        // A page has one gap, before its events: the next begins here.
        if (wider === undefined) return { events, next: log.positions.at(event.seq + (newestFirst ? 1 : -1)), has_more: true, gap };
        gap = wider;
      }
    }
    seq = page.endSeq;
    rows += want;
    const has_more = newestFirst ? seq > page.first : seq < page.head;
    if (has_more && events.length < limit && rows < MAX_ROWS) continue;
    // Where nothing is retained, the first number is one that was not given out yet: no position.
    return { events, next: log.positions.at(Math.min(seq, page.head)), has_more, gap };
  }
}

/**
 * The gap with an event at its end that cannot be read; undefined when it needs another gap. With the newest first a gap of another
 * kind takes it in, as before the end of the log there is no position to ask for next.
 */
function withUnreadable(gap: Gap | null, positions: Positions, seq: number, newestFirst: boolean): Gap | undefined {
  if (gap === null) return { reason: 'unreadable', requested: positions.at(seq - 1), resumed_from: positions.at(seq) };
  if (gap.reason !== 'unreadable') return newestFirst ? { ...gap, resumed_from: positions.at(seq - 1) } : undefined;
  return newestFirst ? { ...gap, requested: positions.at(seq - 1) } : { ...gap, resumed_from: positions.at(seq) };
}

/** The number that the page starts at, and why it is not that of the requested position. */
interface Start {
  readonly seq: number;
  readonly gap: Gap | null;
}

async function findOldest(log: EventLog, { after: from, before }: HistoryRequest): Promise<Start> {
  if (before !== undefined) throw withOtherOrder('before', 'newest');
  const { first, head } = await log.bounds();
  if (from === undefined) return { seq: first - 1, gap: null };
  const position = positionFrom('after', from);
  const { gap: reason, afterSeq = 0 } = log.positions.resume(position, head);
  // The last event that both histories have may be past retention.
  const seq = reason === undefined ? afterSeq : Math.max(afterSeq, first - 1);
  return { seq, gap: reason === undefined ? null : { reason, requested: from, resumed_from: log.positions.at(seq) } };
}

async function findNewest(log: EventLog, { after, before }: HistoryRequest): Promise<Start> {
  if (after !== undefined) throw withOtherOrder('after', 'oldest');
  const { head } = await log.bounds();
  if (before === undefined) return { seq: head + 1, gap: null };
  const position = positionFrom('before', before);
  const { gap: reason } = log.positions.resume(position, head);
  if (reason === undefined) return { seq: position.seq, gap: null };
  return { seq: head + 1, gap: { reason, requested: before, resumed_from: log.positions.at(head) } };
}

function withOtherOrder(field: 'after' | 'before', order: HistoryOrder): CourierError {
  return invalidField(field, `goes with order ${order}`);
}
