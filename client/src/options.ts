/** The options of callers, and the types of the events that follow from them. */
import type { OnGap } from './consumer.ts';
import type { Contract } from './contract.ts';
import type { Cursor } from './cursor.ts';
import type { CourierError } from './errors.ts';
import type { AnyContract, Channels, EventOn, TypeIn } from './events.ts';
import type { RetryOptions } from './retry.ts';
import type { EventIterator, Subscription } from './subscription.ts';
import type { TokenSource } from './token.ts';

export interface CourierClientOptions {
  /** The gateway's address: `http://127.0.0.1:8766`; with a path when a proxy serves it below one. In a page it may be relative. */
  readonly url: string;
  /** A token, or a function that gives one: the client calls it before each connection, and before its token expires. */
  readonly token: TokenSource;
  /** What a subscription does when events are missing: 'fail' by default. A subscription may choose for itself. */
  readonly onGap?: OnGap | undefined;
  /**
   * The hash of the contract that the program was built with: `CONTRACT_HASH` of what `courier contract export` wrote, or null where it
   * is not known. That of the package's own contract by default; a client of another must be given it.
   */
  readonly contractHash?: string | null | undefined;
  /**
   * The delays between attempts; by default 250 ms growing to 30 s, and a second more when the gateway asks for a delay. Where the gateway,
   * or a proxy before it, says how long to wait (`retryAfterMs`, `Retry-After`), the client waits for that too, and for 60 s at most.
   */
  readonly retry?: Partial<RetryOptions> | undefined;
  /** The time for all attempts of one publish, read of the history, or `setToken`; 30,000 by default. Infinity: no limit. */
  readonly timeoutMs?: number | undefined;
  /**
   * How long subscriptions wait for a gateway that does not answer, in ms, before they end with UNREACHABLE; for ever by default.
   * It counts from the loss of the connection, or from `subscribe` where there is none.
   */
  readonly giveUpAfter?: number | undefined;
  /** Publishes that may wait for answers, sent or not; the client refuses more with QUEUE_FULL. 1,000 by default. */
  readonly maxPendingPublishes?: number | undefined;
  /** Called with each failure after which the client tries again. */
  readonly onRetry?: ((error: CourierError) => void) | undefined;
}

/** What a client of the contract `C` is made with. */
export type ClientOptionsOf<C extends AnyContract> = CourierClientOptions &
  (Contract extends C ? unknown : { readonly contractHash: string | null });

/** Which events a subscription selects, and where it starts. */
export interface FilterOptions<T extends string = TypeIn<Contract>> {
  /** Only events of these types. */
  readonly types?: readonly T[] | undefined;
  /** Where to start without a position: with the next event (the default), or with the oldest stored event. */
  readonly from?: 'now' | 'earliest' | undefined;
  /** A position: start after this event. */
  readonly lastEventId?: string | undefined;
}

export interface SubscribeOptions<T extends string = TypeIn<Contract>> extends FilterOptions<T> {
  /** What to do when events are missing: what the client's option says by default. */
  readonly onGap?: OnGap | undefined;
  /** Saves the position of each handled event, and starts after the saved one. `lastEventId` has precedence. */
  readonly cursor?: Cursor | undefined;
  /** Ends the subscription without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Events that may wait for the caller; later events stay in the log. 10,000 by default. */
  readonly maxBufferedEvents?: number | undefined;
  /** When the gateway refuses the client: end with its error (the default), or wait for `connect()` or `setToken()`, and resume. */
  readonly whenRefused?: 'end' | 'wait' | undefined;
}

export interface HandlerOptions<T extends string = TypeIn<Contract>> extends SubscribeOptions<T> {
  /**
   * Called with the error that ended the subscription. Without it the error goes to the console, unless you wait for `ended`, or were
   * given `live` and it has not resolved.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** The events that channels `P` and types `T` select. */
export type Selected<P extends string, T extends string, C extends AnyContract = Contract> = Extract<EventOn<P, C>, { readonly type: T }>;

export interface Subscribe<C extends AnyContract = Contract> {
  /**
   * Calls `handler` with each event, one after another: the next event waits for its promise. The subscription ends when the
   * handler fails. What the handler publishes, with any client, has the event for its cause, unless it says otherwise.
   *
   * @param channels a channel (`backtest.b1`), a pattern (`backtest.*`), or a list; they decide the types of the events.
   * @throws {CourierError} INVALID_ARGUMENT, CLOSED. `onError` and `ended` report an error that ends the subscription later:
   * FORBIDDEN, BAD_REQUEST, UNAUTHORIZED, GAP.
   */
  <const P extends string, const T extends EventOn<P, C>['type'] = EventOn<P, C>['type']>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    handler: (event: Selected<P, T, C>) => unknown,
    options?: HandlerOptions<T>,
  ): Subscription;
  /**
   * Returns an iterator, for `for await`. It throws the error that ended the subscription. It cannot know what is done for an event: see
   * `withCause`.
   */
  <const P extends string, const T extends EventOn<P, C>['type'] = EventOn<P, C>['type']>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    options?: SubscribeOptions<T>,
  ): EventIterator<Selected<P, T, C>>;
}

export interface CallOptions {
  /** Ends the wait for the answer; the gateway may do what it was asked to all the same. */
  readonly signal?: AbortSignal | undefined;
  /** The time for all attempts together, in ms; the client's by default. Infinity: no limit. */
  readonly timeoutMs?: number | undefined;
}

export interface PublishOptions extends CallOptions {
  /** When the event happened; the time of publishing when absent. */
  readonly timestamp?: Date | undefined;
  /**
   * Names the piece of work that the event belongs to, across services. When absent: that of the event that a handler runs for, else the
   * `causationId`, else the event's own id.
   */
  readonly correlationId?: string | undefined;
  /** The id of the event that led to this one. When absent: of that which a handler runs for, where it is known; see `withoutCause`. */
  readonly causationId?: string | undefined;
  /** The user on whose behalf the event happened. */
  readonly userId?: string | undefined;
  /** The W3C trace context of the work that the event is part of. */
  readonly traceparent?: string | undefined;
  /** A publish that is repeated with the same key within 24 h is stored once. Made by the client when absent. */
  readonly idempotencyKey?: string | undefined;
}

export interface HistoryOptions<T extends string = TypeIn<Contract>> extends CallOptions {
  readonly types?: readonly T[] | undefined;
  /** Which events come first; the oldest by default. */
  readonly order?: 'oldest' | 'newest' | undefined;
  /** With the oldest first: a position. The page starts after it; at the oldest stored event when absent. */
  readonly after?: string | undefined;
  /** With the newest first: a position. The page starts before it; at the newest event when absent. */
  readonly before?: string | undefined;
  /** Events in the page, 100 by default and 1,000 at most. */
  readonly limit?: number | undefined;
}

/** `timeoutMs` is for each page. */
export interface IterationOptions<T extends string = TypeIn<Contract>> extends CallOptions {
  readonly types?: readonly T[] | undefined;
  /** A position. The iteration starts after it; at the oldest stored event when absent. */
  readonly after?: string | undefined;
  /** Events that are read at once, 100 by default and 1,000 at most. */
  readonly pageSize?: number | undefined;
  /** What to do when events are missing: what the client's option says by default. */
  readonly onGap?: OnGap | undefined;
}
