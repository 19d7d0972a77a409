/** The client: one connection, the subscriptions and publishes over it, and the typed tRPC client beneath. */
import { createTRPCClient, type TRPCClient } from '@trpc/client';
import { endpointOf } from './arguments.ts';
import { asWritten, STATE_NAMES } from './as-written.ts';
import { Calls } from './calls.ts';
import { Connection } from './connection.ts';
import type { ConnectionState } from './connection-state.ts';
import { Consumer, type OnGap } from './consumer.ts';
import { type Endable, endWith, failWhenAway } from './consumer-ends.ts';
import { CONTRACT_HASH, type Contract } from './contract.ts';
import { CourierError, clientClosed, throwAs } from './errors.ts';
import type {
  AnyContract,
  ChannelOf,
  Channels,
  DraftMetadata,
  EntityIn,
  EventDraft,
  EventInput,
  EventOn,
  HistoryPage,
  Receipt,
  TypeIn,
} from './events.ts';
import { channelNames } from './filter.ts';
import { iterateHistory } from './iterate-history.ts';
import { links } from './links.ts';
import { callUser, type Observable } from './observable.ts';
import {
  assertArgument,
  assertOptions,
  CALL_CHECKS,
  CLIENT_CHECKS,
  CLOSE_CHECKS,
  HISTORY_CHECKS,
  ITERATION_CHECKS,
  isChannels,
  isFunction,
  isTokenSource,
  PUBLISH_CHECKS,
  RETRY_CHECKS,
  SUBSCRIBE_CHECKS,
} from './option-checks.ts';
import type {
  CallOptions,
  ClientOptionsOf,
  CourierClientOptions,
  HandlerOptions,
  HistoryOptions,
  IterationOptions,
  PublishOptions,
  Selected,
  Subscribe,
} from './options.ts';
import { keepPublishing, Publishing } from './publishing.ts';
import { readState } from './read-state.ts';
import { after, orAborted, RETRY_DEFAULTS } from './retry.ts';
import type { AppRouter, RouterOf } from './router.ts';
import { SharedStates } from './shared-states.ts';
import { SharedSubscriptions } from './shared-subscriptions.ts';
import { type StateMap, WatchedState } from './state-map.ts';
import { type ReadStateOptions, readSelection, type StateEntry, type StateOptions, watchSelection } from './state-selection.ts';
import { EventIterator, subscriptionOf } from './subscription.ts';
import { type TokenSource, Tokens } from './token.ts';
import { type Trace, type TraceOf, trace } from './trace.ts';

const DEFAULTS = {
  timeoutMs: 30_000,
  maxPendingPublishes: 1000,
  maxBufferedEvents: 10_000,
  connectTimeoutMs: 10_000,
  closeTimeoutMs: 5000,
};

/**
 * A client of Courier.
 *
 * Subscriptions survive lost connections. Each receives every event once, in order, or reports a gap. An event whose publish
 * resolved is stored; a publish that failed or timed out may be repeated with its idempotency key. An option that is wrong is refused
 * with INVALID_ARGUMENT, which names it.
 *
 * @typeParam C the contract of the gateway, such as `typeof contract`; the package's own by default.
 */
export class CourierClient<C extends AnyContract = Contract> implements AsyncDisposable {
  /** tRPC's own client, over the same connection: every procedure of the router, typed. */
  readonly trpc: TRPCClient<RouterOf<C>>;
  readonly #options: CourierClientOptions;
  readonly #tokens: Tokens;
  readonly #connection: Connection;
  readonly #subscriptions: SharedSubscriptions;
  readonly #states: SharedStates;
  /** What goes on until the client closes. */
  readonly #open = new Set<Endable>();
  readonly #closing = new AbortController();
  readonly #calls: Calls;
  readonly #publishing: Publishing;

  /** Connects when something needs a connection. @throws {CourierError} INVALID_ARGUMENT, naming what is wrong. */
  constructor(options: ClientOptionsOf<C>) {
    assertOptions(options, CLIENT_CHECKS);
    const url = endpointOf(options.url);
    assertArgument('token', options.token, isTokenSource);
    assertOptions(options.retry ?? {}, RETRY_CHECKS);
    this.#options = options;
    const { timeoutMs = DEFAULTS.timeoutMs, maxPendingPublishes = DEFAULTS.maxPendingPublishes, contractHash = CONTRACT_HASH } = options;
    const retry = { ...RETRY_DEFAULTS, ...options.retry };
    const onRetry = (error: CourierError) => callUser(() => options.onRetry?.(error));
    this.#tokens = new Tokens(options.token, Math.min(timeoutMs, DEFAULTS.connectTimeoutMs));
    this.#connection = new Connection({ url, contractHash, tokens: this.#tokens, retry, trpc: () => trpc, onRetry });
    const trpc = createTRPCClient<AppRouter>({ links: links(this.#connection) });
    // Which procedures there are is known to the compiler only.
    this.trpc = trpc as unknown as TRPCClient<RouterOf<C>>;
    this.#subscriptions = new SharedSubscriptions({ trpc, retry, onRetry });
    this.#states = new SharedStates({ trpc, retry, onRetry });
    this.#calls = new Calls({ connection: this.#connection, trpc, retry, timeoutMs, closing: this.#closing.signal, onRetry });
    this.#publishing = new Publishing(this.#calls, this.#connection, maxPendingPublishes);
    keepPublishing(this, this.#publishing);
  }

  /** The state of the connection. */
  get connection(): Observable<ConnectionState> {
    return this.#connection.state;
  }

  /**
   * Connects now: ends a delay before the next attempt, and lifts a refusal.
   *
   * @param options `timeoutMs`: 10,000 by default.
   * @returns when the gateway has accepted the client.
   * @throws {CourierError} the gateway's refusal; UNREACHABLE when the client did not reach the gateway in time, TOKEN_UNAVAILABLE when it
   * had no token in time, NOT_FOUND when something else than a gateway answered, TIMEOUT when the gateway did not answer in time; it keeps trying until `close()`. CLOSED. Or the signal's reason.
   */
  async connect(options: CallOptions = {}): Promise<void> {
    assertOptions(options, CALL_CHECKS);
    const { timeoutMs = DEFAULTS.connectTimeoutMs, signal } = options;
    const wasReached = this.#connection.watch();
    this.#connection.connect();
    const settled = Promise.withResolvers<void>();
    const stopWaiting = after(timeoutMs, () => settled.reject(this.#connection.outOfTime('connect', timeoutMs, wasReached())));
    const check = (state: ConnectionState) => {
      if (state.status === 'connected') settled.resolve();
      else if (state.status === 'refused') settled.reject(state.error);
      else if (state.status === 'closed') settled.reject(clientClosed());
    };
    const stop = this.#connection.state.subscribe(check);
    check(this.#connection.state.get());
    try {
      await (signal === undefined ? settled.promise : orAborted(settled.promise, signal));
    } finally {
      stopWaiting();
      stop();
    }
  }

  /**
   * Gives the connection another token, and reconnects after a refusal. Without a connection, the next one has the token.
   *
   * @throws {CourierError} UNAUTHORIZED when the gateway does not accept the token for this connection: it is invalid, or of another
   * `sub`; TIMEOUT, CLOSED. Or the signal's reason.
   */
  async setToken(token: TokenSource, options: CallOptions = {}): Promise<void> {
    assertArgument('token', token, isTokenSource);
    assertOptions(options, CALL_CHECKS);
    const before = this.#tokens.reset(token);
    try {
      await this.#calls.attempt('setToken', options, () => this.#connection.renew());
    } catch (error) {
      // The next connection must not use a token that the gateway has refused.
      if (error instanceof CourierError && !error.retryable) this.#tokens.reset(before);
      throw error;
    }
  }

  /** Subscribes; see `Subscribe`. */
  readonly subscribe: Subscribe<C> = ((channels: string | readonly string[], ...rest: unknown[]) => {
    const [first, options] = rest as [first?: Handler | AnySubscribeOptions, options?: AnySubscribeOptions];
    if (options !== undefined) assertArgument('handler', first, isFunction);
    if (typeof first !== 'function') return new EventIterator(this.#consume(channels, first));
    return subscriptionOf(this.#consume(channels, options), first, options?.onError);
  }) as unknown as Subscribe<C>;

  /**
   * Publishes one event; `type` decides the types of `data` and `channel`. The client repeats the publish, with one idempotency
   * key, after each retryable error. Publishes that are made while one is on its way go together in the next call, each by itself. On
   * each channel they are stored in the order in which they were made, also where earlier ones are repeated. What is published while a
   * handler of a subscription runs for an event has that for its cause.
   *
   * @returns the receipt: the event is stored.
   * @throws {CourierError} BAD_REQUEST, FORBIDDEN, PAYLOAD_TOO_LARGE, UNAUTHORIZED; TIMEOUT (repeat it with its
   * `idempotencyKey`), UNREACHABLE, NOT_FOUND or TOKEN_UNAVAILABLE (nothing was stored); QUEUE_FULL, CLOSED. Where `mayBeStored` is true, the event may have been stored
   * all the same. Or the signal's reason.
   */
  async publish<const T extends TypeIn<C>>(
    channel: ChannelOf<T, C>,
    type: T,
    data: EventInput<T, C>,
    options: PublishOptions = {},
  ): Promise<Receipt<T>> {
    assertOptions(options, PUBLISH_CHECKS);
    const { timestamp, correlationId, causationId, userId, traceparent, idempotencyKey } = options;
    const metadata: DraftMetadata = { timestamp, correlation_id: correlationId, causation_id: causationId, user_id: userId, traceparent };
    const draft = { channel, type, data, metadata, idempotency_key: idempotencyKey } as unknown as EventDraft;
    return (await this.#publishing.one(draft, options)) as Receipt<string> as Receipt<T>;
  }

  /**
   * Publishes up to 500 events, all or none, in their order, and after the publishes that were made before on their channels. Otherwise it
   * does what `publish` does; later publishes do not wait for it.
   */
  async publishBatch(drafts: readonly EventDraft<TypeIn<C>, C>[], options: CallOptions = {}): Promise<Receipt<TypeIn<C>>[]> {
    const receipts = await this.#publishing.batch(drafts as readonly unknown[] as readonly EventDraft[], options);
    return receipts as Receipt<string>[] as Receipt<TypeIn<C>>[];
  }

  /**
   * Reads one page of stored events, oldest first, or newest first with `order: 'newest'`.
   *
   * @throws {CourierError} as `publish`.
   */
  async history<const P extends string, const T extends EventOn<P, C>['type'] = EventOn<P, C>['type']>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    options: HistoryOptions<T> = {},
  ): Promise<HistoryPage<Selected<P, T, C>>> {
    assertOptions(options, HISTORY_CHECKS);
    const { types, order, after, before, limit } = options;
    const input = {
      channels: [...channelNames(channels)],
      types: types && ([...types] as string[] as TypeIn<Contract>[]),
      order,
      after,
      before,
      limit,
    };
    const { trpc } = this.#calls;
    const page = await this.#calls
      .attempt('history', options, ({ signal }) => trpc.events.history.query(input, { signal }))
      .catch(throwAs((error) => asWritten(error, input, { channels, types })));
    return page as unknown as HistoryPage<Selected<P, T, C>>;
  }

  /**
   * Iterates over the stored events, oldest first, page after page, up to the present.
   *
   * @throws {CourierError} INVALID_ARGUMENT, at once. The iterator throws GAP when events are missing and `onGap` is 'fail', and
   * what `history` throws.
   */
  iterateHistory<const P extends string, const T extends EventOn<P, C>['type'] = EventOn<P, C>['type']>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    options: IterationOptions<T> = {},
  ): AsyncGenerator<Selected<P, T, C>, void, undefined> {
    assertArgument('channels', channels, isChannels);
    assertOptions(options, ITERATION_CHECKS);
    const { pageSize: limit, onGap = this.#onGap, after: first, ...rest } = options;
    const read = (after: string | undefined) =>
      this.history<P, T>(channels, { ...rest, limit, after }).catch(throwAs((error) => asWritten(error, {}, {}, { limit: 'pageSize' })));
    return iterateHistory(read, first, onGap);
  }

  /**
   * Reads the events of one piece of work, whoever published them: what belongs to it, what that has caused, and what led to it. It is
   * named by any of its events, or by its correlation id.
   *
   * @param options `timeoutMs` is for each page.
   * @throws {CourierError} as `history`; NOT_FOUND where there is no event with that id that the client may read.
   */
  async trace(of: TraceOf, options: CallOptions = {}): Promise<Trace<C>> {
    assertOptions(options, CALL_CHECKS);
    const work = await trace(this.#calls, of, options).catch(
      throwAs((error) => asWritten(error, {}, {}, { correlation_id: 'correlationId' })),
    );
    return work as unknown as Trace<C>;
  }

  /**
   * The present states of an entity's things on some channels, kept up to date. Maps of equal channels and options share one watch.
   *
   * @param channels a channel (`strategy.s1`), a pattern (`strategy.*`), or a list.
   * @param entity decides the type of the states.
   * @throws {CourierError} INVALID_ARGUMENT, CLOSED. `ready` and `error` of the map have what ended the watch later: FORBIDDEN,
   * BAD_REQUEST, UNAUTHORIZED.
   */
  state<const P extends string, const E extends EntityIn<C>>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    entity: E,
    options: StateOptions<E, C> = {},
  ): StateMap<E, C> {
    this.#closing.signal.throwIfAborted();
    const selection = watchSelection(channels, entity, options);
    const { keys, where } = options;
    const map = new WatchedState(this.#states, selection, (error) => asWritten(error, selection, { channels, keys, where }, STATE_NAMES));
    this.#follow(map, options);
    return map as unknown as StateMap<E, C>;
  }

  /**
   * Reads the present states of an entity's things on some channels: all pages, at one position.
   *
   * @throws {CourierError} as `history`; SERVICE_UNAVAILABLE where the gateway has not made the states in time.
   */
  async readState<const P extends string, const E extends EntityIn<C>>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    entity: E,
    options: ReadStateOptions<E, C> = {},
  ): Promise<readonly StateEntry<E, C>[]> {
    const selection = readSelection(channels, entity, options);
    const { keys, where } = options;
    const items = await readState(this.#calls, selection, options).catch(
      throwAs((error) => asWritten(error, selection, { channels, keys, where }, STATE_NAMES)),
    );
    return items as unknown as readonly StateEntry<E, C>[];
  }

  /**
   * Ends the subscriptions and the watches of states, waits for the answers to running publishes, and closes the connection. A publish without an answer
   * within `timeoutMs` (5,000 by default) fails with CLOSED, and its event may have been stored. Close a background publisher first: what
   * waits there is dropped.
   */
  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    assertOptions(options, CLOSE_CHECKS);
    this.#closing.abort(clientClosed());
    for (const open of [...this.#open]) open.end();
    await this.#publishing.close(options.timeoutMs ?? DEFAULTS.closeTimeoutMs);
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What to do about gaps where nobody has chosen for a single subscription. */
  get #onGap(): OnGap {
    return this.#options.onGap ?? 'fail';
  }

  #consume(channels: string | readonly string[], options: AnySubscribeOptions = {}): Consumer {
    this.#closing.signal.throwIfAborted();
    assertOptions(options, SUBSCRIBE_CHECKS);
    const { types, from = 'now', lastEventId, onGap = this.#onGap, cursor } = options;
    const { maxBufferedEvents = DEFAULTS.maxBufferedEvents } = options;
    const filter = { channels: channelNames(channels), types, from };
    const attach = (consumer: Consumer) => this.#subscriptions.attach(consumer);
    const written = { channels, types };
    const consumer = new Consumer({ filter, written, onGap, lastEventId, cursor, maxBufferedEvents, attach });
    this.#follow(consumer, options);
    return consumer;
  }

  /** Ends what was opened with its signal and with the client, and fails it with the connection. */
  #follow(opened: Endable, { signal, whenRefused }: Pick<AnySubscribeOptions, 'signal' | 'whenRefused'>): void {
    this.#open.add(opened);
    opened.onEnd(() => this.#open.delete(opened));
    endWith(opened, signal, () => opened.end());
    if (whenRefused !== 'wait') {
      const { refusal } = this.#connection;
      endWith(opened, refusal, () => opened.fail(refusal.reason));
    }
    const { giveUpAfter = Number.POSITIVE_INFINITY } = this.#options;
    failWhenAway(opened, this.#connection, giveUpAfter);
  }
}

/** A client of any contract. */
// biome-ignore lint/suspicious/noExplicitAny: there is no type that the types of all contracts extend both ways
export type AnyCourierClient = CourierClient<any>;

type Handler = (event: never) => unknown;
type AnySubscribeOptions = HandlerOptions<string>;
