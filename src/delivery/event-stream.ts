/**
 * What a subscription procedure returns. To tRPC it is an async iterable of tracked events, so it works over every
 * link, for in-process callers and in tests; a transport that knows it attaches its socket instead and spares one
 * iterator per subscriber.
 */
import { type TrackedEnvelope, tracked } from '@trpc/server';
import type { Batch, Delivery, Sink } from './batch.ts';

/** An iterator with so many events, or so many bytes of them, in its queue is full: its subscriber reads the log when there is room. */
const MAX_QUEUED_EVENTS = 64;
const MAX_QUEUED_BYTES = 256 * 1024;

const brand = Symbol('EventStream');

export interface EventStream extends AsyncIterable<TrackedEnvelope<unknown>, void, unknown> {
  readonly [brand]: true;
  /**
   * Delivers into `sink` until `signal` aborts (then it resolves) or the subscription cannot go on (then it rejects
   * with the error to show). Either this or the iterator may be used, once.
   */
  attach(sink: Sink, signal: AbortSignal): Promise<void>;
}

export function isEventStream(value: unknown): value is EventStream {
  return typeof value === 'object' && value !== null && brand in value;
}

/** @param signal ends the stream when it is consumed as an iterator. */
export function eventStream(attach: EventStream['attach'], signal: AbortSignal | undefined): EventStream {
  return { [brand]: true, attach, [Symbol.asyncIterator]: () => iterate(attach, signal) };
}

/**
 * Iterates over what `attach` delivers, from the first `next` on; one `next` at a time. The iteration ends when `signal`
 * aborts or the consumer returns, and the subscription with it; an error of the subscription is thrown from `next`. No
 * generator, which would hold its last event until there is another.
 */
function iterate(attach: EventStream['attach'], signal: AbortSignal | undefined): AsyncIterator<TrackedEnvelope<unknown>, void> {
  const stop = new AbortController();
  const queue = new QueueSink();
  let ended: Promise<void> | undefined;
  const begin = () =>
    attach(queue, signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])).then(
      () => queue.end(undefined),
      (error: unknown) => queue.end({ error }),
    );
  return {
    next: async () => {
      if (stop.signal.aborted) return { done: true, value: undefined };
      ended ??= begin();
      const delivery = await queue.next();
      if (delivery === undefined) return { done: true, value: undefined };
      return { done: false, value: tracked(delivery.id, eventOf(delivery)) };
    },
    return: async () => {
      stop.abort();
      await ended;
      return { done: true, value: undefined };
    },
  };
}

/** An event as tRPC hands it to clients: with its timestamp as a Date. */
export function eventOf(delivery: Delivery): unknown {
  const event = JSON.parse(delivery.json);
  if (!delivery.hasTimestamp) return event;
  event.metadata.timestamp = new Date(event.metadata.timestamp);
  return event;
}

class QueueSink implements Sink {
  #queue: Delivery[] = [];
  #bytes = 0;
  #end: { readonly failure: { readonly error: unknown } | undefined } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  get writable(): boolean {
    return this.#queue.length < MAX_QUEUED_EVENTS && this.#bytes < MAX_QUEUED_BYTES;
  }

  deliver({ deliveries, bytes }: Batch): void {
    this.#queue.push(...deliveries);
    this.#bytes += bytes;
    this.#wakeReader?.();
  }

  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      this.#wakeWriter = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
    });
  }

  end(failure: { readonly error: unknown } | undefined): void {
    this.#end = { failure };
    this.#wakeReader?.();
  }

  /** The next delivery; undefined at the end. Rejects with the failure that ended it. */
  async next(): Promise<Delivery | undefined> {
    while (this.#queue.length === 0) {
      if (this.#end?.failure !== undefined) throw this.#end.failure.error;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    const delivery = this.#queue.shift();
    this.#bytes -= delivery?.bytes ?? 0;
    if (this.#queue.length === 0) this.#wakeWriter?.();
    return delivery;
  }
}
