/**
 * All connections: counts and lists them, and ends them in order. The guarantees of one connection are written on
 * `Connection`.
 */
import type { IncomingMessage } from 'node:http';
import { type Principal, principalKey } from '../auth/principal.ts';
import type { Revoked } from '../auth/revocations.ts';
import type { Credentials } from '../auth/tokens.ts';
import type { OldestStream } from '../cluster/peers.ts';
import type { Transport } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import type { LimitedAction } from '../limits/limits.ts';
import { Turns } from '../limits/turns.ts';
import { Admission, type AdmissionDeps } from './admission.ts';
import { ByteQuota, CHANNEL_QUOTA, REQUEST_QUOTA } from './byte-quota.ts';
import { type Admitted, Charges, type ChargesDeps } from './charges.ts';
import { Connection } from './connection.ts';
import type { ConnectionHost } from './connection-host.ts';
import type { ConnectionLog } from './connection-log.ts';
import { drain, drainConnection } from './drain.ts';
import { newId } from './ids.ts';
import { Liveness } from './liveness.ts';
import { Places, type PlacesDeps } from './places.ts';
import { pathOf } from './request-path.ts';
import { Slots } from './slots.ts';
import type { Timings } from './timings.ts';
import { DRAINING, endingOf, FULL, REVOKED, TOO_GREEDY } from './wire.ts';

/** Under which those are counted that are let in. */
const LET_IN = 'let in';
/** Bytes of what clients have sent that are looked at in one turn of the event loop. */
const BYTES_PER_TURN = 512 * 1024;

export interface ConnectionsDeps extends AdmissionDeps, ChargesDeps, PlacesDeps {
  /** The address of the client behind a request. */
  readonly addressOf: (req: IncomingMessage) => string;
  readonly timings: Timings;
  readonly log: ConnectionLog;
}

/** What there is of everything: nothing at all after a drain. */
export interface Census {
  /** By transport, with those that have yet to authenticate. */
  readonly connections: Readonly<Record<Transport, number>>;
  readonly requests: number;
  readonly unauthenticated: number;
  /** Places of principals that are taken. */
  readonly places: number;
  readonly subscriptions: number;
  /** Of requests and subscriptions. */
  readonly reservedBytes: number;
  readonly isWatching: boolean;
}

export class Connections {
  readonly addressOf: (req: IncomingMessage) => string;
  readonly #deps: ConnectionsDeps;
  readonly #charges: Charges;
  readonly #admission: Admission;
  readonly #places: Places;
  readonly #requestBytes = new ByteQuota(REQUEST_QUOTA);
  readonly #channelBytes = new ByteQuota(CHANNEL_QUOTA);
  readonly #turns = new Turns(BYTES_PER_TURN);
  readonly #liveness: Liveness;
  /** WebSockets and streams of server-sent events. */
  readonly #all = new Set<Connection>();
  /** Those among them that were let in. */
  readonly #claimed = new Set<Connection>();
  readonly #requests = new Slots<Connection>();
  readonly #counts: Record<Transport, number> = { trpc: 0, plain: 0, sse: 0 };
  /** Called when the last one has closed. */
  #onEmpty: (() => void) | undefined;

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps;
    this.addressOf = deps.addressOf;
    this.#charges = new Charges(deps);
    this.#liveness = new Liveness(deps.timings.lookMs);
    this.#places = new Places(deps);
    this.#admission = new Admission(deps, this.#charges);
  }

  /** Whether a page of this origin may use the gateway. */
  allowsOrigin(req: IncomingMessage): boolean {
    return this.#admission.allowsOrigin(req);
  }

  /** Whether as many are let in as the instance takes. */
  async isFull(): Promise<boolean> {
    const { room, limits } = this.#deps;
    const { connections: most } = limits.gateway;
    return most !== null && (await room.count(LET_IN)) >= most;
  }

  /** Counts a connection until it is open. Resolves to whether there was room. */
  admit(connection: Connection, credentials: Credentials): Promise<boolean> {
    return this.#admission.admit(connection, credentials);
  }

  /** One request, for its duration. */
  request(req: IncomingMessage, requestId: string): Connection {
    const connection = new Connection(this.#host, {
      id: requestId,
      requestId,
      transport: undefined,
      path: pathOf(req),
      address: this.addressOf(req),
      openingMs: this.#deps.timings.openingMs,
    });
    connection.slot = this.#requests.add(connection);
    return connection;
  }

  /** A WebSocket or a stream of server-sent events has come. */
  arrive(req: IncomingMessage, transport: Transport, requestId: string): Connection {
    const connection = new Connection(this.#host, {
      id: newId(),
      requestId,
      transport,
      path: pathOf(req),
      address: this.addressOf(req),
      origin: req.headers.origin,
      openingMs: this.#deps.timings.openingMs,
    });
    this.#all.add(connection);
    this.#counts[transport] += 1;
    this.#liveness.watch(connection);
    this.#deps.meter.connectionOpened(transport);
    return connection;
  }

  /** Open WebSockets and streams of server-sent events. */
  get open(): Connection[] {
    return [...this.#claimed].filter(({ isOpen }) => isOpen);
  }

  /** By transport, with those that have yet to authenticate. */
  get counts(): Readonly<Record<Transport, number>> {
    return this.#counts;
  }

  get census(): Census {
    const all = [...this.#all, ...this.#requests];
    return {
      connections: { ...this.#counts },
      requests: this.#requests.count,
      unauthenticated: this.#admission.unauthenticated,
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
   * Refuses the tokens from now on, and ends the connections that were opened with them. Resolves to how many those were.
   *
   * @throws {CourierError} SERVICE_UNAVAILABLE when it could not be stored, and is forgotten with this process.
   */
  async revoke(revoked: Revoked): Promise<number> {
    try {
      await this.#deps.revocations.add(revoked);
    } catch (error) {
      this.#deps.logger.named('auth').error('a revocation could not be stored', { error });
      this.#endRevoked();
      throw new CourierError('SERVICE_UNAVAILABLE', 'refused here from now on, but that could not be stored: revoke again', {
        retryAfterMs: 1000,
        cause: error,
      });
    }
    return this.#endRevoked();
  }

  /** Takes over what other instances have revoked, and ends connections like `revoke`. Resolves to how many those were. */
  async refreshRevocations(): Promise<number> {
    return (await this.#deps.revocations.refresh()) ? this.#endRevoked() : 0;
  }

  /** Ends a stream of server-sent events of the principal's to free its place. Returns whether there was one. */
  yieldPlace(key: string, connectionId: string): boolean {
    return this.#places.yield(key, connectionId);
  }

  /** The oldest stream of server-sent events of the principal's that has a place. */
  oldestStream(key: string): OldestStream | null {
    return this.#places.oldestStream(key);
  }

  /**
   * Ends everything in order: at once connections that have yet to authenticate and requests whose body has yet to come; all
   * others one after another, once their clients were asked to go elsewhere. Requests have the whole of `limitMs`; what is left
   * then is cut off.
   */
  async drain(limitMs: number): Promise<void> {
    const over = new AbortController();
    const limit = setTimeout(() => over.abort(), limitMs);
    for (const request of this.#requests) void request.wire?.drain?.(over.signal);
    for (const connection of [...this.#all]) if (connection.state === 'opening') connection.end(DRAINING);
    await drain(
      this.open.map((connection) => () => drainConnection(connection, over.signal)),
      limitMs,
      over.signal,
    );
    await this.#empty(over.signal);
    clearTimeout(limit);
    for (const connection of [...this.#all, ...this.#requests]) {
      connection.end(DRAINING);
      connection.wire?.destroy();
    }
  }

  #empty(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!signal.aborted && this.#all.size + this.#requests.count > 0) return;
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
    const isOver = (connection: Connection) => connection.isOpen && this.#admission.isRevoked(connection.principal);
    for (const request of [...this.#requests].filter(isOver)) request.end(REVOKED);
    const over = [...this.#all].filter(isOver);
    for (const connection of over) connection.end(REVOKED);
    return over.length;
  }

  readonly #host: ConnectionHost<Connection> = {
    known: (credentials) => this.#admission.known(credentials),
    authenticate: (credentials, address) => this.#admission.authenticate(credentials, address),
    claim: (connection, principal) => this.#claim(connection, principal),
    isRevoked: (principal) => this.#admission.isRevoked(principal),
    requestBytes: this.#requestBytes,
    channelBytes: this.#channelBytes,
    turn: (bytes) => this.#turns.take(bytes),
    verify: (token) => this.#admission.verify(token),
    charge: (connection, action, cost) => this.#charge(connection, action, cost),
    chargeChannels: (connection, events) => this.#charges.chargeChannels(connection, events),
    chargeEach: (connection, count) => this.#chargeEach(connection, count),
    chargeChannelsEach: (connection, events) => this.#charges.chargeChannelsEach(connection, events),
    onOpen: (connection) => {
      this.#admission.end(connection);
      if (connection.transport !== undefined) this.#deps.log.connected(connection);
    },
    onClosing: (connection, wasOpen) => {
      this.#places.release(connection);
      this.#leave(connection);
      if (connection.transport === undefined) return;
      if (wasOpen) this.#deps.log.disconnected(connection);
      else if (connection.isWebSocket) this.#deps.log.refused(connection);
    },
    onClosed: (connection, code) => {
      const { transport } = connection;
      this.#admission.end(connection);
      if (transport === undefined) this.#requests.remove(connection.slot);
      else {
        this.#all.delete(connection);
        this.#counts[transport] -= 1;
        this.#liveness.forget(connection);
        this.#deps.meter.connectionClosed(transport, code);
      }
      this.#onEmpty?.();
    },
  };

  async #claim(connection: Connection, principal: Principal): Promise<void> {
    const { room, limits } = this.#deps;
    const most = limits.gateway.connections ?? Number.POSITIVE_INFINITY;
    // First: a stream elsewhere would give up its place for nothing.
    if ((await room.claim(LET_IN, connection.id, most)) !== undefined) throw FULL.error;
    this.#claimed.add(connection);
    // It may have gone meanwhile, and nobody would give its room back.
    if (connection.state !== 'opening') this.#leave(connection);
    else await this.#places.take(connection, principal);
  }

  #leave(connection: Connection): void {
    if (this.#claimed.delete(connection)) this.#deps.room.release(LET_IN, connection.id);
  }

  #charge(connection: Connection, action: LimitedAction, cost: number): Promise<void> | undefined {
    this.#deps.meter.called();
    return this.#charges.charge(connection, action, cost, this.#endGreedy(connection));
  }

  #chargeEach(connection: Connection, count: number): Promise<Admitted> {
    this.#deps.meter.called();
    return this.#charges.chargeEach(connection, count, this.#endGreedy(connection));
  }

  /** What ends the connections of a principal that does not heed refusals. */
  #endGreedy(connection: Connection): () => void {
    const { principal } = connection;
    return () => {
      for (const own of [...this.#places.of(principalKey(principal)), connection]) if (own.transport !== undefined) own.end(TOO_GREEDY);
    };
  }
}
