/**
 * What a subscription procedure returns. To tRPC it is an async iterable of tracked events, so it works over every
 * link and in tests; a transport that knows it attaches its socket instead and spares one iterator per subscriber.
 */
import type { TrackedEnvelope } from '@trpc/server';
import type { Sink } from './sink.ts';

const brand = Symbol('EventStream');

export interface EventStream<TEvent> extends AsyncIterable<TrackedEnvelope<TEvent>, void, unknown> {
  readonly [brand]: true;
  /**
   * Delivers into `sink` until `signal` aborts (then it resolves) or the subscription cannot go on (then it rejects
   * with the error to show). Either this or the iterator may be used, once.
   */
  attach(sink: Sink, signal: AbortSignal): Promise<void>;
}

export function isEventStream(value: unknown): value is EventStream<unknown> {
  return typeof value === 'object' && value !== null && brand in value;
}

/** Makes a stream of the two ways to consume it. */
export function eventStream<TEvent>(
  iterate: () => AsyncIterator<TrackedEnvelope<TEvent>, void, unknown>,
  attach: EventStream<TEvent>['attach'],
): EventStream<TEvent> {
  return { [brand]: true, attach, [Symbol.asyncIterator]: iterate };
}
