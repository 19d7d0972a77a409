/** What callers hand in, and what it makes of the types of what they get. */
import type { OnGap } from './consumer.ts';
import type { EventType } from './contract.ts';
import type { Cursor } from './cursor.ts';
import type { CourierError } from './errors.ts';
import type { Channels, EventOn } from './events.ts';
import type { RetryOptions } from './retry.ts';
import type { EventIterator, Subscription } from './subscription.ts';
import type { TokenSource } from './token.ts';

export interface CourierClientOptions {
  /** Where the gateway is: `http://127.0.0.1:8766`; with a path where a proxy puts it below one. In a page also relative. */
  readonly url: string;
  /** A token, or a function that gives one: it is asked whenever a connection is made, and before a token expires. */
  readonly token: TokenSource;
  /** Delays between attempts; 250 ms growing to 30 s, and a second more where the gateway asks for a delay, by default. */
  readonly retry?: Partial<RetryOptions>;
  /** For a publish with all its attempts, and for a read of the history; 30,000 by default. */
  readonly timeoutMs?: number;
  /** Publishes that wait for their answers, at most; more are refused with QUEUE_FULL. 1,000 by default. */
  readonly maxPendingPublishes?: number;
  /** Told of every failure that is tried again by itself. */
  readonly onRetry?: (error: CourierError) => void;
}

export interface SubscribeOptions<T extends string = EventType> {
  /** Only events of these types. */
  readonly types?: readonly T[] | undefined;
  /** Where to begin without a position: with what comes next (the default), or with the oldest event there is. */
  readonly from?: 'now' | 'earliest' | undefined;
  /** Begin after this event. */
  readonly lastEventId?: string | undefined;
  /** Keeps the position, and begins after the one that was kept. `lastEventId` comes first. */
  readonly cursor?: Cursor | undefined;
  /** Ends it, in peace. */
  readonly signal?: AbortSignal | undefined;
  /** Events that wait to be taken, at most; what comes after them stays in the log meanwhile. 10,000 by default. */
  readonly maxBufferedEvents?: number | undefined;
  /** When the gateway refuses the client: end with its error (the default), or wait for `connect()` or `setToken()`, and resume. */
  readonly whenRefused?: 'end' | 'wait' | undefined;
}

export interface HandlerOptions<T extends string = EventType> extends SubscribeOptions<T> {
  /** Told why the subscription ended. Without it, the promise `ended` rejects unhandled, so that it is not overlooked. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** A subscription needs to say what happens when events are missing, unless the client says it for all of them. */
export type WithGapChoice<G, O> = undefined extends G
  ? [options: O & { readonly onGap: OnGap }]
  : [options?: O & { readonly onGap?: OnGap | undefined }];

/** The events of channels `P`, only those of types `T`. */
export type Taken<P extends string, T extends string> = Extract<EventOn<P>, { readonly type: T }>;

export interface Subscribe<G> {
  /**
   * Calls `handler` with each event, one after another: the next one waits for its promise. When it fails, the subscription
   * ends.
   *
   * @param channels a channel (`backtest.b1`), a pattern (`backtest.*`), or a list; they decide what the events can be.
   * @throws {CourierError} INVALID_ARGUMENT, CLOSED. What ends it later is told by `onError` or `ended`: FORBIDDEN,
   * BAD_REQUEST, UNAUTHORIZED, GAP.
   */
  <const P extends string, const T extends EventOn<P>['type'] = EventOn<P>['type']>(
    channels: Channels<P> | readonly Channels<P>[],
    handler: (event: Taken<P, T>) => unknown,
    ...options: WithGapChoice<G, HandlerOptions<T>>
  ): Subscription;
  /** The same as an iterator, for `for await`. It throws what the subscription ended with. */
  <const P extends string, const T extends EventOn<P>['type'] = EventOn<P>['type']>(
    channels: Channels<P> | readonly Channels<P>[],
    ...options: WithGapChoice<G, SubscribeOptions<T>>
  ): EventIterator<Taken<P, T>>;
}

export interface PublishOptions {
  /** When it happened; the time of publishing when absent. */
  readonly timestamp?: Date | undefined;
  /** Ties together what belongs to one piece of work, across services. */
  readonly correlationId?: string | undefined;
  /** The user on whose behalf it happened. */
  readonly userId?: string | undefined;
  /** W3C trace context of the work that the event is part of. */
  readonly traceparent?: string | undefined;
  /** Made anew when absent. All attempts carry it, so the event is stored once. */
  readonly idempotencyKey?: string | undefined;
  /** Gives up waiting; the event may have been stored all the same. */
  readonly signal?: AbortSignal | undefined;
  /** For all attempts together; the client's by default. */
  readonly timeoutMs?: number | undefined;
}

export interface HistoryOptions<T extends string = EventType> {
  readonly types?: readonly T[] | undefined;
  /** Which come first; the oldest by default. */
  readonly order?: 'oldest' | 'newest' | undefined;
  /** Oldest first: give what comes after this position; from the oldest event when absent. */
  readonly after?: string | undefined;
  /** Newest first: give what comes before this position; from the last event when absent. */
  readonly before?: string | undefined;
  /** Events in the page, 100 by default and 1,000 at most. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
