/** The way of a subscription: filter, authorise, find the start, deliver. */
import { mayRead, type Principal } from './auth/principal.ts';
import type { Connection } from './connections/connection.ts';
import type { ChannelSet } from './contract/channels.ts';
import type { Contract } from './contract/contract.ts';
import type { GapReason } from './contract/envelope.ts';
import type { Filter } from './contract/filter.ts';
import { type Position, parsePosition } from './contract/position.ts';
import { eventSource } from './delivery/event-source.ts';
import { type EventStream, eventStream } from './delivery/event-stream.ts';
import { gapNotice } from './delivery/notices.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { Subscriber } from './delivery/subscriber.ts';
import { CourierError, cut, invalidField } from './errors.ts';

export interface SubscribeRequest {
  /** Channel names and patterns. */
  readonly channels: readonly string[];
  readonly types?: readonly string[] | undefined;
  /** Where to start without a position, or with one that cannot be resumed from: with the next event, or the oldest that is retained. */
  readonly from?: 'now' | 'earliest' | undefined;
  /** Resume after this position. */
  readonly lastEventId?: string | undefined;
}

/**
 * Opens a subscription. Every event after the start that its filter selects follows once, in order, or a `courier.gap` notice first.
 *
 * The stream fails with FORBIDDEN or UNAUTHORIZED when the connection may no longer read the channels, and with the error that the
 * connection was ended with.
 *
 * @param signal ends the stream when it is consumed as an iterator.
 *
 * @throws {CourierError} BAD_REQUEST for a malformed channel, pattern or position; FORBIDDEN.
 */
export function subscribe(pipeline: Pipeline, connection: Connection, request: SubscribeRequest, signal?: AbortSignal): EventStream {
  const filter = readableFilter(pipeline.contract, connection.principal, request);
  const { lastEventId } = request;
  const requested = lastEventId === undefined ? undefined : positionFrom('lastEventId', lastEventId);
  return eventStream(async (sink, ended) => {
    const start = await findStart(pipeline, requested, request.from ?? 'now');
    if (start.gap !== undefined && lastEventId !== undefined) {
      pipeline.meter.gap(start.gap);
      sink.deliver(gapNotice(pipeline.log.positions, start.gap, lastEventId, start.afterSeq));
    }
    // Not awaited: what waits keeps its state, for each of many thousand subscriptions.
    return whileAllowed(pipeline, connection, new Subscriber(eventSource(pipeline), filter, start.afterSeq, sink), filter, ended);
  }, signal);
}

/** Delivers until `ended` aborts; rejects when the connection loses the right to read, or ends. */
async function whileAllowed(
  { usage }: Pipeline,
  connection: Connection,
  subscriber: Subscriber,
  filter: Filter,
  ended: AbortSignal,
): Promise<void> {
  let lost: CourierError | undefined;
  const release = connection.subscribe(filter, subscriber, (error) => {
    lost = error;
    subscriber.stop();
  });
  usage.selected(connection, filter);
  try {
    await subscriber.run(ended);
  } finally {
    release();
  }
  if (lost !== undefined) throw lost;
}

/** The filter that a request asks for. @throws {CourierError} BAD_REQUEST; FORBIDDEN unless the principal may read all its channels. */
export function readableFilter(
  contract: Contract,
  principal: Principal,
  { channels, types }: { readonly channels: readonly string[]; readonly types?: readonly string[] | undefined },
): Filter {
  return { channels: readableChannels(contract, principal, channels), types: types && new Set(types) };
}

/**
 * The channels that `patterns` stand for, when the principal may read them all.
 *
 * @throws {CourierError} BAD_REQUEST naming the first that is none; FORBIDDEN naming those that may not be read, and no other.
 */
export function readableChannels(contract: Contract, principal: Principal, patterns: readonly string[]): ChannelSet {
  const channels = channelsTo(contract, principal, patterns);
  if (mayRead(principal, channels)) return channels;
  const refused = patterns.filter((pattern) => !mayRead(principal, channelsTo(contract, principal, [pattern])));
  throw new CourierError('FORBIDDEN', `${principal.role} ${JSON.stringify(principal.sub)} may not subscribe to ${cut(refused.join(', '))}`);
}

/** To others than those who may read everything `**` is what the contract has. @throws {CourierError} BAD_REQUEST */
function channelsTo(contract: Contract, { readable }: Principal, patterns: readonly string[]): ChannelSet {
  const named = channelSetFrom(contract, patterns);
  return { ...named, everything: named.everything && readable.everything };
}

function channelSetFrom(contract: Contract, patterns: readonly string[]): ChannelSet {
  try {
    return contract.channels.setOf(patterns);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const index = patterns.findIndex((pattern) => channelProblem(contract, pattern) !== undefined);
    throw invalidField(`channels.${index}`, cause.message);
  }
}

/** What is wrong with the name of a channel or a pattern. */
export function channelProblem({ channels }: Contract, pattern: string): string | undefined {
  try {
    channels.setOf([pattern]);
    return undefined;
  } catch (cause) {
    if (cause instanceof RangeError) return cause.message;
    throw cause;
  }
}

/** Reads a position that a caller handed in as `field`. @param received what has had it as its id, where the caller got it. */
export function positionFrom(field: string, text: string, received: 'an event' | 'an item' = 'an event'): Position {
  const position = parsePosition(text);
  if (position !== undefined) return position;
  throw invalidField(field, `${JSON.stringify(cut(text))} is not a position of Courier (the id of ${received} that was received)`);
}

async function findStart(
  { log, tail }: Pipeline,
  requested: Position | undefined,
  from: 'now' | 'earliest',
): Promise<{ readonly afterSeq: number; readonly gap: GapReason | undefined }> {
  if (requested !== undefined && log.positions.resume(requested, tail.seq).gap === undefined)
    return { afterSeq: requested.seq, gap: undefined };
  const { first, head } = await log.bounds();
  const fromSeq = from === 'earliest' ? first - 1 : tail.seq;
  if (requested === undefined) return { afterSeq: fromSeq, gap: undefined };
  // The tail may be behind the log for a moment, so only the log itself knows which positions are past its end.
  const { gap, afterSeq } = log.positions.resume(requested, head);
  // A position past the end says nothing of what its holder has.
  return { afterSeq: (gap === 'ahead' ? undefined : afterSeq) ?? fromSeq, gap };
}
