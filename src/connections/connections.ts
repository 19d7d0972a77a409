/**
 * All connections: who is let in, how many there are, who is still alive, and their end. What is guaranteed of one is written
 * on `Connection`.
 */
import type { IncomingMessage } from 'node:http';
import { keyOf, type Principal } from '../auth/principal.ts';
import type { Revocations, Revoked } from '../auth/revocations.ts';
import { UnknownKeyError } from '../auth/signatures.ts';
import { authenticate, type Credentials, type VerifyToken } from '../auth/tokens.ts';
import type { Transport } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import { upTo } from '../limits/bytes.ts';
import type { LimitedAction } from '../limits/limits.ts';
import { Turns } from '../limits/turns.ts';
import type { Logger } from '../observe/logger.ts';
import { Admission } from './admission.ts';
import { ByteQuota } from './byte-quota.ts';
import { Charges, type ChargesDeps } from './charges.ts';
import { networkOf } from './client-address.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { drain } from './drain.ts';
import { newId } from './ids.ts';
import { Liveness } from './liveness.ts';
import { Places, type PlacesDeps } from './places.ts';
import type { Timings } from './timings.ts';
import { type Ending, endingOf, FULL, SHUTTING_DOWN } from './wire.ts';

const MEBIBYTE = 1024 * 1024;
/**
 * Of bodies and calls that have come and answers that have yet to go: as text, as a value and as what is stored of it a body
 * takes up to six times its bytes. The largest body has room in any heap.
 */
const REQUEST_BYTES = Math.max(2 * MEBIBYTE, upTo(64 * MEBIBYTE, 1 / 24));
/** Of what clients have sent, looked at in one turn of the event loop. */
const TURN_BYTES = MEBIBYTE / 2;
const OF_REQUESTS = {
  inAll: REQUEST_BYTES,
  ofOne: Math.max(1.5 * MEBIBYTE, REQUEST_BYTES / 4),
  tooMuch: 'requests that are under way hold too much: wait for their answers',
};
/** Of the channels that subscriptions name. */
const CHANNEL_BYTES = upTo(1024 * MEBIBYTE, 1 / 4);
const OF_CHANNELS = {
  inAll: CHANNEL_BYTES,
  ofOne: CHANNEL_BYTES / 4,
  tooMuch: 'subscriptions name too many channels: subscribe to patterns',
};

export interface ConnectionsDeps extends ChargesDeps, PlacesDeps {
  readonly verify: VerifyToken;
  readonly revocations: Revocations;
  readonly logger: Logger;
  readonly allowedOrigins: readonly string[];
  /** The address of the client behind a request. */
  readonly addressOf: (req: IncomingMessage) => string;
  readonly timings: Timings;
}

/** What there is of everything: nothing at all after a drain. */
export interface Census {
  /** By transport; those among them of which nobody knows yet who speaks. */
  readonly connections: Readonly<Record<Transport, number>>;
  readonly requests: number;
  readonly unauthenticated: number;
  /** Places of principals that are taken. */
  readonly places: number;
  readonly subscriptions: number;
  /** That requests and subscriptions hold. */
  readonly reservedBytes: number;
  readonly isWatching: boolean;
}

export class Connections {
  readonly addressOf: (req: IncomingMessage) => string;
  readonly #deps: ConnectionsDeps;
  readonly #charges: Charges;
  readonly #admission: Admission;
  readonly #places: Places;
  readonly #requestBytes = new ByteQuota(OF_REQUESTS);
  readonly #channelBytes = new ByteQuota(OF_CHANNELS);
  readonly #turns = new Turns(TURN_BYTES);
  readonly #liveness: Liveness;
  /** Those that last. */
  readonly #all = new Set<Connection>();
  /** Those of them that have been let in. */
  readonly #admitted = new Set<Connection>();
  readonly #requests = new Set<Connection>();
  readonly #counts: Record<Transport, number> = { trpc: 0, plain: 0, sse: 0 };
  /** Called when the last one has closed. */
  #onEmpty: (() => void) | undefined;

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps;
    this.addressOf = deps.addressOf;
    this.#charges = new Charges(deps);
    this.#liveness = new Liveness(deps.timings.lookMs);
    this.#places = new Places(deps);
    const { unauthenticatedPerAddress: each, connections: inAll } = deps.limits.gateway;
    this.#admission = new Admission({ allowedOrigins: deps.allowedOrigins, each, inAll });
  }

  /** May a page of this origin use the gateway? */
  allowsOrigin(req: IncomingMessage): boolean {
    return this.#admission.allowsOrigin(req);
  }

  /**
   * Counts a connection until it is open: by who speaks, where the request says so and it holds good, else by its address.
   * Whoever is known comes in however many strangers wait. Resolves to whether there was room.
   */
  async admit(connection: Connection, { token, authorization }: Credentials): Promise<boolean> {
    const address = `address ${networkOf(connection.address)}`;
    if (token === undefined && authorization === undefined) return this.#admitAs(connection, address, true);
    // As long as its token is checked it is a stranger that has room of its own: as many as any address has.
    if (!this.#admitAs(connection, `checked ${address}`, false)) return false;
    const known = await authenticate(this.#deps.verify, { token, authorization }).catch(() => undefined);
    const isKnown = known !== undefined && !this.#deps.revocations.has(known);
    this.#endAdmission(connection);
    return this.#admitAs(connection, isKnown ? `principal ${keyOf(known)}` : address, !isKnown);
  }

  #admitAs(connection: Connection, whose: string, isNobody: boolean): boolean {
    if (connection.state !== 'opening' || !this.#admission.admit(whose, isNobody)) return false;
    connection.admittedAs = whose;
    return true;
  }

  /** One request, for its duration. */
  request(req: IncomingMessage, id: string): Connection {
    const connection = new Connection(this.#host, {
      id,
      transport: undefined,
      address: this.addressOf(req),
      openingMs: this.#deps.timings.openingMs,
    });
    this.#requests.add(connection);
    return connection;
  }

  /** Something that lasts has come. */
  arrive(req: IncomingMessage, transport: Transport): Connection {
    const connection = new Connection(this.#host, {
      id: newId(),
      transport,
      address: this.addressOf(req),
      openingMs: this.#deps.timings.openingMs,
    });
    this.#all.add(connection);
    this.#counts[transport] += 1;
    this.#liveness.watch(connection);
    this.#deps.meter.connectionOpened(transport);
    return connection;
  }

  /** Those that are open and last. */
  get open(): Connection[] {
    return [...this.#admitted].filter(({ isOpen }) => isOpen);
  }

  /** By transport, those too that have not authenticated. */
  get counts(): Readonly<Record<Transport, number>> {
    return this.#counts;
  }

  get census(): Census {
    const all = [...this.#all, ...this.#requests];
    return {
      connections: { ...this.#counts },
      requests: this.#requests.size,
      unauthenticated: this.#admission.count,
      places: this.#places.count,
      subscriptions: all.reduce((sum, { subscriptions }) => sum + subscriptions.length, 0),
      reservedBytes: this.#requestBytes.bytes + this.#channelBytes.bytes,
      isWatching: this.#liveness.isWatching,
    };
  }

  /** Ends the connection with this id. Returns whether there was one. */
  disconnect(id: string): boolean {
    const connection = this.open.find((one) => one.id === id);
    connection?.end(endingOf(new CourierError('SERVICE_UNAVAILABLE', 'disconnected by an administrator')));
    return connection !== undefined;
  }

  /**
   * Refuses the tokens from now on, and ends what stands on them. Resolves to how many connections that were.
   *
   * @throws {CourierError} SERVICE_UNAVAILABLE when it could not be stored, and is forgotten with this process.
   */
  async revoke(revoked: Revoked): Promise<number> {
    try {
      await this.#deps.revocations.add(revoked);
    } catch (error) {
      this.#deps.logger.error('a revocation could not be stored', { error });
      this.#endRevoked();
      throw new CourierError('SERVICE_UNAVAILABLE', 'refused here from now on, but that could not be stored: revoke again', {
        retryAfterMs: 1000,
        cause: error,
      });
    }
    return this.#endRevoked();
  }

  /** Takes over what other instances have revoked, and ends what stands on it. Returns how many connections that were. */
  async refreshRevocations(): Promise<number> {
    return (await this.#deps.revocations.refresh()) ? this.#endRevoked() : 0;
  }

  /** Gives up a place of the principal's that a stream of server-sent events has. Returns whether there was one. */
  yieldPlace(key: string): boolean {
    return this.#places.yieldOne(key);
  }

  /**
   * Ends everything in order: strangers at once, and requests whose body has yet to come; all others one after another, once
   * they have been asked to go elsewhere. Requests have the whole of `limitMs`; what is left then is cut off.
   */
  async drain(limitMs: number): Promise<void> {
    const over = new AbortController();
    const limit = setTimeout(() => over.abort(), limitMs);
    for (const request of this.#requests) void request.wire?.drain?.(over.signal);
    for (const connection of [...this.#all]) if (connection.state === 'opening') connection.end(SHUTTING_DOWN);
    await drain(
      this.open.map((connection) => () => drainConnection(connection, over.signal)),
      limitMs,
      over.signal,
    );
    await this.#empty(over.signal);
    clearTimeout(limit);
    for (const connection of [...this.#all, ...this.#requests]) {
      connection.end(SHUTTING_DOWN);
      connection.wire?.destroy();
    }
  }

  #empty(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!signal.aborted && this.#all.size + this.#requests.size > 0) return;
        this.#onEmpty = undefined;
        signal.removeEventListener('abort', check);
        resolve();
      };
      this.#onEmpty = check;
      signal.addEventListener('abort', check);
      check();
    });
  }

  #endRevoked(): number {
    const isOver = (connection: Connection) => connection.isOpen && this.#deps.revocations.has(connection.principal);
    for (const request of [...this.#requests].filter(isOver)) request.end(REVOKED);
    const over = [...this.#all].filter(isOver);
    for (const connection of over) connection.end(REVOKED);
    return over.length;
  }

  readonly #host: ConnectionHost = {
    authenticate: async (credentials, address) => {
      try {
        return await this.#verify(() => authenticate(this.#deps.verify, credentials));
      } catch (error) {
        if (error instanceof CourierError && error.code === 'UNAUTHORIZED') await this.#charges.wrongToken(networkOf(address));
        throw error;
      }
    },
    claim: (connection, principal) => this.#claim(connection, principal),
    isRevoked: (principal) => this.#deps.revocations.has(principal),
    reserve: (connection, bytes) => this.#requestBytes.reserve(connection, bytes),
    release: (connection, bytes) => this.#requestBytes.release(connection, bytes),
    turn: (bytes) => this.#turns.take(bytes),
    reserveChannels: (connection, bytes) => this.#channelBytes.reserve(connection, bytes),
    releaseChannels: (connection, bytes) => this.#channelBytes.release(connection, bytes),
    verify: (token) => this.#verify(() => this.#deps.verify(token)),
    charge: (connection, activity, cost) => this.#charge(connection, activity, cost),
    onOpen: (connection) => {
      this.#endAdmission(connection);
      if (connection.transport === undefined) return;
      this.#deps.logger.info('connected', describe(connection));
    },
    onClosing: (connection, wasOpen) => {
      this.#places.release(connection);
      this.#admitted.delete(connection);
      if (wasOpen && connection.transport !== undefined) this.#deps.logger.info('disconnected', describe(connection));
    },
    onClosed: (connection, code) => {
      const { transport } = connection;
      this.#endAdmission(connection);
      this.#requestBytes.releaseAll(connection);
      this.#channelBytes.releaseAll(connection);
      if (transport === undefined) this.#requests.delete(connection);
      else {
        this.#all.delete(connection);
        this.#counts[transport] -= 1;
        this.#liveness.forget(connection);
        this.#deps.meter.connectionClosed(transport, code);
      }
      this.#onEmpty?.();
    },
  };

  async #verify(verify: () => Promise<Principal>): Promise<Principal> {
    const principal = await verify().catch((error: unknown) => {
      const reason = failureOf(error);
      this.#deps.meter.authFailed(reason);
      if (reason === 'unavailable') this.#deps.logger.warn('a token cannot be checked', { error });
      throw error;
    });
    if (!this.#deps.revocations.has(principal)) return principal;
    this.#deps.meter.authFailed('revoked');
    throw REVOKED.error;
  }

  async #claim(connection: Connection, principal: Principal): Promise<void> {
    const most = this.#deps.limits.gateway.connections ?? Number.POSITIVE_INFINITY;
    // Before a stream elsewhere gives its place up for nothing; and again for those that came while it was claimed.
    if (this.#admitted.size >= most) throw FULL.error;
    await this.#places.take(connection, principal);
    if (connection.state !== 'opening') return;
    if (this.#admitted.size >= most) throw FULL.error;
    this.#admitted.add(connection);
  }

  #endAdmission(connection: Connection): void {
    if (connection.admittedAs === undefined) return;
    this.#admission.release(connection.admittedAs);
    connection.admittedAs = undefined;
  }

  #charge(connection: Connection, activity: LimitedAction, cost: number): Promise<void> | undefined {
    const { principal } = connection;
    return this.#charges.charge(principal, activity, cost, () => {
      for (const own of [...this.#places.of(keyOf(principal)), connection]) if (own.transport !== undefined) own.end(TOO_GREEDY);
    });
  }
}

async function drainConnection(connection: Connection, signal: AbortSignal): Promise<void> {
  // Who was given nothing for long would come back to where it was long ago.
  connection.tellPositions();
  if (connection.isOpen) await connection.wire?.drain?.(signal);
  connection.end(SHUTTING_DOWN);
}

const REVOKED: Ending = endingOf(new CourierError('UNAUTHORIZED', 'the token was revoked'));
const TOO_GREEDY: Ending = endingOf(new CourierError('TOO_MANY_REQUESTS', 'limits exceeded for too long'));
/** Why a token was not taken. Strangers can name keys that there are not: only an outage is for the operator to see to. */
function failureOf(error: unknown) {
  if (error instanceof UnknownKeyError) return 'unknown_key';
  return error instanceof CourierError && error.code === 'UNAUTHORIZED' ? 'invalid' : 'unavailable';
}

/** Who is connected over what, for the log. */
function describe({ id, principal: { sub, role }, transport, address, since }: Connection) {
  return { connection_id: id, user_id: sub, role, transport, address, since: new Date(since).toISOString() };
}
