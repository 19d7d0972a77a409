/** The way of a subscription: select, authorise, find the start, deliver. */
import { mayRead, type Principal } from './auth/principal.ts';
import type { Connection } from './connections/connection.ts';
import { type Selector, selectorOf } from './contract/channels.ts';
import type { GapReason } from './contract/events/courier.ts';
import type { Notice } from './contract/events/index.ts';
import { type Position, parsePosition } from './contract/position.ts';
import { iterateEvents } from './delivery/event-iterator.ts';
import { type EventStream, eventStream } from './delivery/event-stream.ts';
import type { Interest } from './delivery/interest.ts';
import { gapNotice } from './delivery/notices.ts';
import { type Feed, Subscriber } from './delivery/subscriber.ts';
import { CourierError, cut, invalidField } from './errors.ts';

export interface SubscribeRequest {
  /** Channel names and patterns. */
  readonly channels: readonly string[];
  readonly types?: readonly string[] | undefined;
  /** Where to start without a position, or with one that says nothing of this log: with what comes next, or the oldest there is. */
  readonly from?: 'now' | 'earliest' | undefined;
  /** Resume after this position. */
  readonly lastEventId?: string | undefined;
}

/**
 * Opens a subscription. Every matching event after the start follows once, in order, or a `courier.gap` notice first.
 *
 * @param signal ends the stream when it is consumed as an iterator.
 * The stream fails with FORBIDDEN or UNAUTHORIZED when the connection may no longer read this, and with the reason of its end.
 *
 * @throws {CourierError} BAD_REQUEST for a malformed channel, pattern or position; FORBIDDEN.
 */
export function subscribe<TEvent>(
  feed: Feed,
  connection: Connection,
  request: SubscribeRequest,
  signal?: AbortSignal,
): EventStream<TEvent | Notice> {
  const selector = readableSelector(connection.principal, request.channels);
  const interest: Interest = { selector, types: request.types && new Set(request.types) };
  const { lastEventId } = request;
  const requested = lastEventId === undefined ? undefined : positionFrom('lastEventId', lastEventId);
  const attach: EventStream<TEvent | Notice>['attach'] = async (sink, ended) => {
    const start = await findStart(feed, requested, request.from ?? 'now');
    if (start.gap !== undefined && lastEventId !== undefined) {
      feed.meter.gap(start.gap);
      sink.deliver(gapNotice(feed.log.positions, start.gap, lastEventId, start.after));
    }
    await whileAllowed(connection, new Subscriber(feed, interest, start.after, sink), selector, ended);
  };
  return eventStream(() => iterateEvents<TEvent | Notice>(attach, signal), attach);
}

/** Delivers until `ended` aborts; rejects when the connection loses the right to read, or ends. */
async function whileAllowed(connection: Connection, subscriber: Subscriber, selector: Selector, ended: AbortSignal): Promise<void> {
  let lost: CourierError | undefined;
  const release = connection.subscribe(selector, subscriber, (error) => {
    lost = error;
    subscriber.stop();
  });
  try {
    await subscriber.run(ended);
  } finally {
    release();
  }
  if (lost !== undefined) throw lost;
}

/** The channels that `patterns` stand for, when the principal may read them all. */
export function readableSelector(principal: Principal, patterns: readonly string[]): Selector {
  const selector = selectorFrom(patterns);
  if (mayRead(principal, selector)) return selector;
  throw new CourierError(
    'FORBIDDEN',
    `${principal.role} ${JSON.stringify(principal.sub)} may not subscribe to ${cut(patterns.join(', '))}`,
  );
}

function selectorFrom(patterns: readonly string[]): Selector {
  try {
    return selectorOf(patterns);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new CourierError('BAD_REQUEST', cause.message, { issues: [{ path: 'channels', message: cause.message }], cause });
  }
}

/** Reads a position that a caller handed in as `field`. */
export function positionFrom(field: string, text: string): Position {
  const position = parsePosition(text);
  if (position !== undefined) return position;
  throw invalidField(field, `${JSON.stringify(cut(text))} is not a position of Courier (the id of an event that was received)`);
}

const NOWHERE = { gap: undefined, after: undefined };

async function findStart(
  { log, tail }: Feed,
  requested: Position | undefined,
  from: 'now' | 'earliest',
): Promise<{ readonly after: number; readonly gap: GapReason | undefined }> {
  if (requested !== undefined && log.positions.resume(requested, tail.position).gap === undefined)
    return { after: requested.seq, gap: undefined };
  const { first, head } = await log.bounds();
  // The tail may be behind the log for a moment, so only the log itself knows what lies ahead of it.
  const { gap, after } = requested === undefined ? NOWHERE : log.positions.resume(requested, head);
  // What is past the end says nothing of what its holder has.
  const known = gap === 'ahead' ? undefined : after;
  return { after: known ?? (from === 'earliest' ? first - 1 : tail.position), gap };
}
