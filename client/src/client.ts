/** The client: one connection, the subscriptions and publishes over it, and the typed tRPC client beneath. */
import { createTRPCClient, type TRPCClient } from '@trpc/client';
import { assertFitsMessage, assertOnGap, assertSendable, assertTokenSource, endpointOf } from './arguments.ts';
import { Connection } from './connection.ts';
import type { ConnectionState } from './connection-state.ts';
import { Consumer } from './consumer.ts';
import { CONTRACT_HASH, type Contract } from './contract.ts';
import { CourierError, clientClosed, throwCourierError } from './errors.ts';
import type {
  AnyContract,
  ChannelOf,
  Channels,
  DraftMetadata,
  EventDraft,
  EventInput,
  EventOn,
  HistoryPage,
  Receipt,
  TypeIn,
} from './events.ts';
import { channelNames } from './filter.ts';
import { links } from './links.ts';
import { callUser, type Observable } from './observable.ts';
import type {
  ClientOptionsOf,
  CourierClientOptions,
  HandlerOptions,
  HistoryOptions,
  PublishOptions,
  Selected,
  Subscribe,
} from './options.ts';
import { attempt, inTime, orAborted, RETRY_DEFAULTS, type RetryOptions, randomKey } from './retry.ts';
import type { AppRouter, RouterOf } from './router.ts';
import { SharedSubscriptions } from './shared-subscriptions.ts';
import { EventIterator, subscriptionOf } from './subscription.ts';
import { type TokenSource, Tokens } from './token.ts';

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
 * resolved is stored; a publish that failed or timed out may be repeated with its idempotency key.
 *
 * @typeParam C the contract of the gateway, such as `typeof contract`; the package's own by default.
 */
export class CourierClient<C extends AnyContract = Contract> implements AsyncDisposable {
  /** tRPC's own client, over the same connection: every procedure of the router, typed. */
  readonly trpc: TRPCClient<RouterOf<C>>;
  /** The same, for what the client itself calls. */
  readonly #trpc: TRPCClient<AppRouter>;
  readonly #options: CourierClientOptions;
  readonly #retry: RetryOptions;
  readonly #tokens: Tokens;
  readonly #connection: Connection;
  readonly #subscriptions: SharedSubscriptions;
  readonly #consumers = new Set<Consumer>();
  readonly #closing = new AbortController();
  readonly #publishing = new Set<Promise<unknown>>();

  /** Connects when something needs a connection. @throws {CourierError} INVALID_ARGUMENT, naming what is wrong. */
  constructor(options: ClientOptionsOf<C>) {
    const url = endpointOf(options.url);
    assertTokenSource(options.token);
    assertOnGap(options.onGap);
    this.#options = options;
    this.#retry = { ...RETRY_DEFAULTS, ...options.retry };
    this.#tokens = new Tokens(options.token, Math.min(options.timeoutMs ?? DEFAULTS.timeoutMs, DEFAULTS.connectTimeoutMs));
    const onRetry = (error: CourierError) => this.#onRetry(error);
    const { contractHash = CONTRACT_HASH } = options;
    this.#connection = new Connection({ url, contractHash, tokens: this.#tokens, retry: this.#retry, trpc: () => this.#trpc, onRetry });
    this.#trpc = createTRPCClient<AppRouter>({ links: links(this.#connection) });
    // Which procedures there are is known to the compiler only.
    this.trpc = this.#trpc as unknown as TRPCClient<RouterOf<C>>;
    this.#subscriptions = new SharedSubscriptions({ trpc: this.#trpc, retry: this.#retry, onRetry });
  }

  /** The state of the connection. */
  get connection(): Observable<ConnectionState> {
    return this.#connection.state;
  }

  /**
   * Connects now: ends a delay before the next attempt, and lifts a refusal.
   *
   * @returns when the gateway has accepted the client.
   * @throws {CourierError} the gateway's refusal; UNREACHABLE when the client did not reach the gateway in time, and keeps trying
   * until `close()`; CLOSED. Or the signal's reason.
   */
  async connect({ timeoutMs = DEFAULTS.connectTimeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    this.#connection.connect();
    const settled = Promise.withResolvers<void>();
    const timer = setTimeout(() => settled.reject(this.#unreached(timeoutMs)), timeoutMs);
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
      clearTimeout(timer);
      stop();
    }
  }

  /**
   * Gives the connection another token, and reconnects after a refusal.
   *
   * @throws {CourierError} UNAUTHORIZED when the gateway does not accept the token for this connection: it is invalid, or of another `sub`.
   */
  async setToken(token: TokenSource): Promise<void> {
    const before = this.#tokens.reset(token);
    try {
      await this.#connection.renew();
    } catch (error) {
      // The next connection must not use a token that the gateway has refused.
      if (error instanceof CourierError && !error.retryable) this.#tokens.reset(before);
      throw error;
    }
  }

  /** Subscribes; see `Subscribe`. */
  readonly subscribe: Subscribe<C> = ((channels: string | readonly string[], ...rest: unknown[]) => {
    const [first, options] = rest as [first?: Handler | AnySubscribeOptions, options?: AnySubscribeOptions];
    if (typeof first !== 'function') return new EventIterator(this.#consume(channels, first));
    return subscriptionOf(this.#consume(channels, options), first, options?.onError);
  }) as unknown as Subscribe<C>;

  /**
   * Publishes one event; `type` decides the types of `data` and `channel`. The client repeats the publish, with one idempotency
   * key, after each retryable error.
   *
   * @returns the receipt: the event is stored.
   * @throws {CourierError} BAD_REQUEST, FORBIDDEN, PAYLOAD_TOO_LARGE, UNAUTHORIZED; TIMEOUT (repeat it with its
   * `idempotencyKey`); QUEUE_FULL, CLOSED. Or the signal's reason.
   */
  async publish<const T extends TypeIn<C>>(
    channel: ChannelOf<T, C>,
    type: T,
    data: EventInput<T, C>,
    options: PublishOptions = {},
  ): Promise<Receipt<T>> {
    const { timestamp, correlationId, userId, traceparent, idempotencyKey } = options;
    const metadata: DraftMetadata = { timestamp, correlation_id: correlationId, user_id: userId, traceparent };
    const draft = { channel, type, data, metadata, idempotency_key: idempotencyKey } as unknown as EventDraft;
    const [receipt] = await this.#publish([draft], options, async ([keyed], signal) => [
      await this.#trpc.events.publish.mutate(keyed as EventDraft, { signal }),
    ]);
    return receipt as Receipt<string> as Receipt<T>;
  }

  /** Publishes up to 500 events, all or none, in their order. Otherwise it does what `publish` does. */
  async publishBatch(
    drafts: readonly EventDraft<TypeIn<C>, C>[],
    options: Pick<PublishOptions, 'signal' | 'timeoutMs'> = {},
  ): Promise<Receipt<TypeIn<C>>[]> {
    const send = (keyed: readonly EventDraft[], signal: AbortSignal) => this.#trpc.events.publishBatch.mutate([...keyed], { signal });
    return (await this.#publish(drafts as readonly unknown[] as readonly EventDraft[], options, send)) as Receipt<string>[] as Receipt<
      TypeIn<C>
    >[];
  }

  /**
   * Reads one page of stored events, oldest first, or newest first with `order: 'newest'`.
   *
   * @throws {CourierError} as `publish`.
   */
  async history<const P extends string, const T extends EventOn<P, C>['type'] = EventOn<P, C>['type']>(
    channels: Channels<P, C> | readonly Channels<P, C>[],
    { types, order, after, before, limit, signal }: HistoryOptions<T> = {},
  ): Promise<HistoryPage<Selected<P, T, C>>> {
    const input = {
      channels: [...channelNames(channels)],
      types: types && ([...types] as string[] as TypeIn<Contract>[]),
      order,
      after,
      before,
      limit,
    };
    const page = await this.#attempt('history', { signal }, (ended) => this.#trpc.events.history.query(input, { signal: ended }));
    return page as unknown as HistoryPage<Selected<P, T, C>>;
  }

  /**
   * Ends the subscriptions, waits for the answers to running publishes, and closes the connection. A publish without an answer
   * within `timeoutMs` fails with CLOSED.
   */
  async close({ timeoutMs = DEFAULTS.closeTimeoutMs }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing.abort(clientClosed());
    for (const consumer of [...this.#consumers]) consumer.end();
    await inTime(Promise.allSettled(this.#publishing), timeoutMs, clientClosed).catch(() => undefined);
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #consume(channels: string | readonly string[], options: AnySubscribeOptions = {}): Consumer {
    this.#closing.signal.throwIfAborted();
    const onGap = options.onGap ?? this.#options.onGap ?? 'fail';
    assertOnGap(onGap);
    const { types, from = 'now', lastEventId, cursor, signal, maxBufferedEvents = DEFAULTS.maxBufferedEvents } = options;
    const filter = { channels: channelNames(channels), types, from };
    const attach = (consumer: Consumer) => this.#subscriptions.attach(consumer);
    const consumer = new Consumer({ filter, onGap, lastEventId, cursor, maxBufferedEvents, attach });
    this.#consumers.add(consumer);
    consumer.onEnd(() => this.#consumers.delete(consumer));
    endWith(consumer, signal, () => consumer.end());
    if (options.whenRefused !== 'wait') {
      const { refusal } = this.#connection;
      endWith(consumer, refusal, () => consumer.fail(refusal.reason));
    }
    return consumer;
  }

  async #publish(
    drafts: readonly EventDraft[],
    { signal, timeoutMs }: Pick<PublishOptions, 'signal' | 'timeoutMs'>,
    send: (keyed: readonly EventDraft[], signal: AbortSignal) => Promise<Receipt[]>,
  ): Promise<Receipt[]> {
    for (const draft of drafts) assertSendable(draft.data);
    const keyed = drafts.map((draft) => ({ ...draft, idempotency_key: draft.idempotency_key ?? randomKey() }));
    assertFitsMessage(keyed);
    const idempotencyKey = keyed.length === 1 ? keyed[0]?.idempotency_key : undefined;
    const { maxPendingPublishes = DEFAULTS.maxPendingPublishes } = this.#options;
    if (this.#publishing.size >= maxPendingPublishes) {
      throw new CourierError('QUEUE_FULL', `${maxPendingPublishes} publishes wait for their answers`);
    }
    const publishing = this.#attempt('publish', { signal, timeoutMs }, (ended) => send(keyed, ended));
    this.#publishing.add(publishing);
    try {
      return await publishing;
    } catch (error) {
      throw error instanceof CourierError ? this.#explained(error, idempotencyKey) : error;
    } finally {
      this.#publishing.delete(publishing);
    }
  }

  #attempt<T>(
    what: string,
    { signal, timeoutMs = this.#options.timeoutMs ?? DEFAULTS.timeoutMs }: Pick<PublishOptions, 'signal' | 'timeoutMs'>,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const once = (ended: AbortSignal) => call(ended).catch(throwCourierError);
    return attempt(once, {
      what,
      timeoutMs,
      retry: this.#retry,
      signal,
      giveUp: this.#closing.signal,
      obstacle: () => this.#obstacle(),
      onRetry: (error) => this.#onRetry(error),
    });
  }

  #onRetry(error: CourierError): void {
    callUser(() => this.#options.onRetry?.(error));
  }

  /** Explains a refused input: its form may be right in the client's version of the contract. */
  #explained(error: CourierError, idempotencyKey: string | undefined): CourierError {
    const state = this.#connection.state.get();
    if (error.code !== 'BAD_REQUEST' || state.status !== 'connected' || state.contract.same) return error.with({ idempotencyKey });
    const { client, gateway } = state.contract;
    const hint = `mend what \`issues\` names; this client was made from contract ${client}, the gateway from ${gateway}: bring both to one version`;
    return error.with({ idempotencyKey, hint });
  }

  /** The reason why there is no connection. */
  #obstacle(): CourierError | undefined {
    const state = this.#connection.state.get();
    return state.status === 'connecting' ? state.error : undefined;
  }

  #unreached(timeoutMs: number): CourierError {
    const cause = this.#obstacle();
    const why = cause === undefined ? '' : `: ${cause.message}`;
    return new CourierError('UNREACHABLE', `not connected within ${timeoutMs} ms${why}`, { cause });
  }
}

/** A client of any contract. */
// biome-ignore lint/suspicious/noExplicitAny: there is no type that the types of all contracts extend both ways
export type AnyCourierClient = CourierClient<any>;

type Handler = (event: never) => unknown;
type AnySubscribeOptions = HandlerOptions<string>;

/** Calls `end` when the signal aborts, or at once when it has aborted, unless the consumer ends first. */
function endWith(consumer: Consumer, signal: AbortSignal | undefined, end: () => void): void {
  if (signal === undefined) return;
  if (signal.aborted) {
    end();
    return;
  }
  signal.addEventListener('abort', end, { once: true });
  consumer.onEnd(() => signal.removeEventListener('abort', end));
}
