/**
 * Whatever is connected: a WebSocket with or without tRPC, a stream of server-sent events, or one request.
 *
 *     opening --open()--> open --end()--> closing --closed()--> closed
 *
 * - **opening**: the client has yet to say who it is. Only what says so is read of it, and for a limited time.
 * - **open**: it speaks for a principal, whose rights may change by `refresh`.
 * - **closing**: from the turn of the event loop in which `end` is called the gateway acts on nothing of the client's any more:
 *   its subscriptions have stopped, and `assertOpen`, which is called before anything is stored, throws. Its places are free.
 * - **closed**: the socket is gone, a second after the goodbye at the latest.
 *
 * One timer serves the three states that have a deadline: to open, until the token expires, to close.
 */
import { type Principal, principalKey } from '../auth/principal.ts';
import type { Credentials } from '../auth/tokens.ts';
import type { ClientIdentity, Transport } from '../contract/admin.ts';
import type { Filter } from '../contract/filter.ts';
import { CourierError } from '../errors.ts';
import { type AllowanceScope, Allowances } from '../limits/allowances.ts';
import type { Level, Rate } from '../limits/gcra.ts';
import type { LimitedAction } from '../limits/limits.ts';
import type { Admitted, ChannelRefusals } from './charges.ts';
import type { ConnectionHost, ConnectionOptions } from './connection-host.ts';
import { EndSignal } from './end-signal.ts';
import { msUntilExpiry, msUntilTooLate } from './expiry.ts';
import { bytesOfChannels, type SubscriberProgress, type Subscription, Subscriptions } from './subscriptions.ts';
import { CLOSING_MS, type Ending, EXPIRED, GONE, NO_AUTHENTICATION, UNCHECKED, type Wire } from './wire.ts';

/** The close code of a client that goes without one (RFC 6455, section 7.4.1). */
const GONE_AWAY = 1001;

export type ConnectionState = 'opening' | 'open' | 'closing' | 'closed';

export class Connection {
  readonly id: string;
  readonly requestId: string;
  readonly transport: Transport | undefined;
  readonly path: string;
  readonly address: string;
  readonly origin: string | undefined;
  /** When it came, in ms since 1970. */
  readonly since = Date.now();
  /** What the client says that it is. */
  identity: ClientIdentity | undefined;
  /** The name under which it is counted until it is open. */
  waitingAs: string | undefined;
  /** Where it is among the requests, if it is one. */
  slot = -1;
  /** The key of the principal that it has a place of. */
  placeOf: string | undefined;
  /** Bytes that had come at the last look of Liveness, and looks since then at which no more had come. */
  heardBytes = 0;
  silentLooks = 0;
  readonly #host: ConnectionHost<Connection>;
  #wire: Wire | undefined;
  #state: ConnectionState = 'opening';
  #principal: Principal | undefined;
  #sub: string | undefined;
  #ending: Ending | undefined;
  /** True while the client has yet to send its token; false while the token is checked. */
  #awaitsClient = false;
  #subscriptions: Subscriptions | undefined;
  #allowances: Allowances | undefined;
  /** Reserved for its requests and their answers. */
  #requestBytes = 0;
  readonly #onEnd = new EndSignal();
  #timer: NodeJS.Timeout | undefined;

  constructor(host: ConnectionHost<Connection>, { id, requestId, transport, path, address, origin, openingMs }: ConnectionOptions) {
    this.#host = host;
    this.id = id;
    this.requestId = requestId;
    this.transport = transport;
    this.path = path;
    this.address = address;
    this.origin = origin;
    if (transport !== undefined) this.#deadline(openingMs, () => this.end(this.#awaitsClient ? NO_AUTHENTICATION : UNCHECKED));
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Why it ends; undefined until it does. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Aborts when it ends, with the error that it ends with. */
  get signal(): AbortSignal {
    return this.#onEnd.signal;
  }

  /** Calls `onEnd` at once when it ends: one at a time, letting the client in, and then reading its body. Returns how to forget that. */
  onceEnded(onEnd: (error: CourierError) => void): () => void {
    return this.#onEnd.once(onEnd);
  }

  /** Who it speaks for. There is none before it is open. */
  get principal(): Principal {
    if (this.#principal === undefined) throw new Error('nobody has authenticated');
    return this.#principal;
  }

  /** Whose token it has; undefined until that is known. */
  get sub(): string | undefined {
    return this.#sub;
  }

  get isWebSocket(): boolean {
    return this.transport === 'trpc' || this.transport === 'plain';
  }

  /** The log tells of its end, and so of what that interrupts: that a client has gone, or that a WebSocket was ended or not let in. */
  get isToldByItsEnd(): boolean {
    const hasGone = this.#state === 'closed' && this.#ending === undefined;
    return hasGone || (this.isWebSocket && this.#state !== 'open');
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions?.list ?? [];
  }

  /** What limits of publishing leave, for the answer of a request. */
  get allowances(): Allowances | undefined {
    return this.#allowances;
  }

  get wire(): Wire | undefined {
    return this.#wire;
  }

  /** From now on `wire` carries it; to a client whose connection has ended before, it says goodbye at once. */
  carriedBy(wire: Wire): void {
    this.#wire = wire;
    if (this.#ending !== undefined) wire.goodbye(this.#ending);
  }

  /** The client has yet to say who it is. */
  expectClient(): void {
    this.#awaitsClient = true;
  }

  /**
   * Authenticates the client and takes one of its principal's places.
   *
   * @throws {CourierError} what refuses it, or what it was ended with meanwhile. It is the caller's to end it then.
   */
  async open(credentials: Credentials, identity?: ClientIdentity): Promise<Principal> {
    this.#awaitsClient = false;
    const principal = this.#host.known(credentials) ?? (await this.#onEnd.before(this.#host.authenticate(credentials, this.address)));
    this.#sub = principal.sub;
    if (this.transport !== undefined) await this.#onEnd.before(this.#host.claim(this, principal));
    // Counting may have taken its time.
    if (this.#host.isRevoked(principal)) throw new CourierError('UNAUTHORIZED', 'the token was revoked');
    if (this.#state !== 'opening') throw this.#endError;
    this.#principal = principal;
    this.identity = identity;
    this.#state = 'open';
    this.#watchExpiry();
    this.#host.onOpen(this);
    return principal;
  }

  /** @throws {CourierError} what it was ended with, or UNAUTHORIZED when its token has just expired. */
  assertOpen(): void {
    if (this.#state !== 'open') throw this.#endError;
    // A request has no timer, and a clock may jump. A token is good for as long as the issuer's clock may be behind.
    if (msUntilTooLate(this.principal) === 0) throw EXPIRED.error;
  }

  /** Reserves memory for its requests and their answers, until it is released or closed. @throws {CourierError} when that is too much, or it is closed. */
  reserve(bytes: number): void {
    // Nobody would give it back.
    if (this.#state === 'closed') throw this.#endError;
    this.#host.requestBytes.reserve(this.principal, bytes);
    this.#requestBytes += bytes;
  }

  release(bytes: number): void {
    const own = Math.min(bytes, this.#requestBytes);
    this.#requestBytes -= own;
    if (own > 0) this.#host.requestBytes.release(this.principal, own);
  }

  /** Resolves when so many bytes of the client's may be looked at; undefined when that is now. The connection may have ended meanwhile. */
  turn(bytes: number): Promise<void> | undefined {
    return this.#host.turn(bytes);
  }

  /** Counts a call. @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`; what it was ended with meanwhile. */
  charge(action: LimitedAction, cost = 1): Promise<void> | undefined {
    return this.#host.charge(this, action, cost)?.then(() => this.assertOpen());
  }

  /**
   * Counts events with their channels, all or none: the last step before they are stored. What is refused here is given back to the
   * principal.
   *
   * @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`; BAD_REQUEST for what no waiting would let through.
   */
  chargeChannels(events: readonly { readonly channel: string }[]): Promise<void> | undefined {
    return this.#host.chargeChannels(this, events);
  }

  /** Counts the publishes of one call, each by itself. @throws {CourierError} what it was ended with meanwhile. */
  async chargeEach(count: number): Promise<Admitted> {
    const admitted = await this.#host.chargeEach(this, count);
    this.assertOpen();
    return admitted;
  }

  /** Counts events with their channels, each by itself: the last step before they are stored. What is refused is given back. */
  chargeChannelsEach(events: readonly { readonly channel: string }[]): Promise<ChannelRefusals> {
    return this.#host.chargeChannelsEach(this, events);
  }

  /** Notes what a limit leaves, for the answer of a request; calls over a lasting connection are told of a refusal only. */
  noteAllowance(scope: AllowanceScope, rates: readonly Rate[], levels: readonly Level[]): void {
    if (this.transport !== undefined) return;
    this.#allowances ??= new Allowances();
    this.#allowances.note(scope, rates, levels);
  }

  /**
   * Notes a subscription, until the function that it returns is called. `onLost` is called once when the connection may no
   * longer read the channels of `filter`, or ends.
   *
   * @throws {CourierError} what it was ended with; TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE when subscriptions take too much memory.
   */
  subscribe(filter: Filter, subscriber: SubscriberProgress, onLost: (error: CourierError) => void): () => void {
    this.assertOpen();
    const bytes = bytesOfChannels(filter.channels);
    this.#host.channelBytes.reserve(this.principal, bytes);
    this.#subscriptions ??= new Subscriptions();
    const remove = this.#subscriptions.add(filter, subscriber, onLost);
    let isReserved = true;
    return () => {
      remove();
      if (isReserved) this.#host.channelBytes.release(this.principal, bytes);
      isReserved = false;
    };
  }

  /**
   * Goes on with another token of the same `sub` and role, with its rights at once.
   *
   * @throws {CourierError} UNAUTHORIZED when the token is not valid or another's; BAD_REQUEST for a request, which has no connection to refresh.
   */
  async refresh(token: string): Promise<Principal> {
    if (this.transport === undefined)
      throw new CourierError('BAD_REQUEST', 'only a WebSocket connection can be refreshed; send the new token instead');
    const principal = await this.#host.verify(token);
    // What has ended meanwhile stays so.
    this.assertOpen();
    const { sub, role } = this.principal;
    if (principalKey(principal) !== principalKey(this.principal)) {
      throw new CourierError('UNAUTHORIZED', `the token is of another: this connection is that of ${role} ${JSON.stringify(sub)}`);
    }
    this.#principal = principal;
    this.#watchExpiry();
    this.#subscriptions?.endUnreadable(principal.readable, NOT_GRANTED);
    return principal;
  }

  /** Nothing of the client's is acted on from now on. Does nothing when it has ended already. */
  end(ending: Ending): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'closing';
    this.#ending = ending;
    this.#deadline(CLOSING_MS, () => this.#wire?.destroy());
    this.#stop(ending.error, wasOpen);
    this.#wire?.goodbye(ending);
  }

  /** Its socket is gone, or its request answered. @param code of a client that closed it, where there are close codes. */
  closed(code: number = GONE_AWAY): void {
    if (this.#state === 'closed') return;
    const before = this.#state;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    if (before !== 'closing') this.#stop(GONE, before === 'open');
    this.release(this.#requestBytes);
    // A client that did not answer the goodbye was ended for the same reason as one that did.
    this.#host.onClosed(this, this.#ending?.close ?? code);
  }

  /** Ends what is under way. */
  #stop(error: CourierError, wasOpen: boolean): void {
    this.#subscriptions?.endAll(error);
    this.#onEnd.fire(error);
    this.#host.onClosing(this, wasOpen);
  }

  get #endError(): CourierError {
    return this.#ending?.error ?? GONE;
  }

  /** A request stands on its token for a moment only, and is asked about it in `assertOpen`. */
  #watchExpiry(): void {
    if (this.transport === undefined) return;
    this.#deadline(msUntilExpiry(this.principal), () => {
      if (msUntilExpiry(this.principal) > 0) this.#watchExpiry();
      else this.end(EXPIRED);
    });
  }

  #deadline(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms).unref();
  }
}

const NOT_GRANTED = new CourierError('FORBIDDEN', 'the new token does not grant this');
