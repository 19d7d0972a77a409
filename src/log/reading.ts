/** What reading is in every log: the numbers that a page goes over, the events of its rows, and where it ends. */
import { familyIn } from '../contract/channels.ts';
import { selectsType } from '../contract/filter.ts';
import { type LogBounds, type LogPage, type LogQuery, type LogStart, PAGE_BYTES, type Related, type StoredEvent } from './log.ts';

/** The numbers that a read goes over, in either order. */
export interface Span {
  /** The first number that is looked at; beyond `endSeq` when there is none. */
  readonly beginSeq: number;
  /** From one number to the next. */
  readonly step: 1 | -1;
  /** The `endSeq` of a page that reaches everything there is. */
  readonly endSeq: number;
}

export function spanOf({ afterSeq, beforeSeq }: LogStart, { first, head }: LogBounds): Span {
  if (beforeSeq === undefined) return { beginSeq: Math.max(afterSeq + 1, first), step: 1, endSeq: Math.max(afterSeq, head) };
  return { beginSeq: Math.min(beforeSeq - 1, head), step: -1, endSeq: Math.min(beforeSeq, first) };
}

/** How many numbers there are from its beginning to its end, as far as they are retained. */
export function lengthOf({ beginSeq, step, endSeq }: Span, { first, head }: LogBounds): number {
  return step === 1 ? Math.max(0, Math.min(endSeq, head) - beginSeq + 1) : Math.max(0, beginSeq - Math.max(endSeq, first) + 1);
}

export function isRelated(channels: LogQuery['channels']): channels is Related {
  return channels !== 'all' && ('correlationId' in channels || 'causes' in channels);
}

/** Whether every event is read, so that the numbers are dense. @param families of which the log has events. */
export function isEverything(channels: LogQuery['channels'], families: Iterable<string>): boolean {
  if (isRelated(channels)) return false;
  if (channels === 'all' || channels.everything) return true;
  for (const family of families) if (!channels.families.has(family)) return false;
  return true;
}

export interface PageOptions extends Pick<LogQuery, 'limit' | 'types'> {
  readonly span: Span;
  readonly bounds: LogBounds;
  /** Makes the error for an event that is not there, where everything is read. */
  readonly missing?: ((seq: number) => Error) | undefined;
  /** Asked now and then: the page ends where it is when others wait for their turn. */
  readonly isWaitedFor?: (() => boolean) | undefined;
}

/** Rows between two looks at who waits. */
const ROWS_BETWEEN_LOOKS = 64;

/** The page that ends with the last of `rows`, or before it is too large. @param rows all that the span has, in its order. */
export function fillPage<R>(
  rows: Iterable<R>,
  eventOf: (row: R) => StoredEvent,
  { span, bounds, limit, types, missing, isWaitedFor }: PageOptions,
): LogPage {
  const { beginSeq, step } = span;
  const events: StoredEvent[] = [];
  let count = 0;
  let bytes = 0;
  let { endSeq } = span;
  for (const row of rows) {
    const event = eventOf(row);
    const denseSeq = beginSeq + count * step;
    if (missing !== undefined && event.seq !== denseSeq) throw missing(denseSeq);
    count += 1;
    bytes += Buffer.byteLength(event.body);
    if (selectsType(types, event.type)) events.push(event);
    if (count === limit || bytes > PAGE_BYTES || (count % ROWS_BETWEEN_LOOKS === 0 && isWaitedFor?.() === true)) {
      endSeq = event.seq;
      break;
    }
  }
  if (missing !== undefined && count < lengthOf({ beginSeq, step, endSeq }, bounds)) throw missing(beginSeq + count * step);
  return { events, endSeq, ...bounds };
}

/** A row of a database, by its columns. */
export type Row = Readonly<Record<string, unknown>>;

/** @param row its channel says its family; the number that a table has for that is for indexes only. */
export function storedEvent(row: Row): StoredEvent {
  const channel = String(row['channel']);
  return {
    seq: Number(row['seq']),
    channel,
    family: familyIn(channel) ?? channel,
    type: String(row['type']),
    version: Number(row['version']),
    body: String(row['body']),
  };
}
