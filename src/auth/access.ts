/** The door: who comes in, how many, how often; and who is sent out again. */
import type { ClientIdentity, Role } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import type { ConnectionCounts } from '../limits/connections.ts';
import type { Rate } from '../limits/gcra.ts';
import type { Limiter, RetryAfterMs } from '../limits/limiter.ts';
import { type Activity, type Limits, rate, ratesOf } from '../limits/limits.ts';
import type { Logger } from '../observe/logger.ts';
import type { Meter } from '../observe/meter.ts';
import { keyOf, type Principal } from './principal.ts';
import type { Revocations, Revoked } from './revocations.ts';
import { Session, type SessionConnection } from './session.ts';
import { UnknownKeyError } from './signatures.ts';
import { authenticate, type Credentials, type VerifyToken } from './tokens.ts';

export interface AccessDeps {
  readonly verify: VerifyToken;
  readonly revocations: Revocations;
  readonly limiter: Limiter;
  readonly connections: ConnectionCounts;
  readonly limits: Limits;
  readonly meter: Meter;
  readonly logger: Logger;
}

/** Refused calls that a principal may have in a minute before its connections are closed: at least so many, and ten seconds' worth of publishes. */
const MIN_REFUSALS_PER_MINUTE = 1000;
const REFUSED_SECONDS_PER_MINUTE = 10;
/** How long a refused caller is told to wait, at least: with less, callers at once would all come back for the same place. */
const MIN_RETRY_AFTER_MS = 1000;

export class Access {
  readonly #deps: AccessDeps;
  /** Live sessions by the key of their principal. */
  readonly #sessions = new Map<string, Set<Session>>();

  readonly #rates: Readonly<Record<Role, Readonly<Record<Activity, readonly Rate[]>>>>;

  constructor(deps: AccessDeps) {
    this.#deps = deps;
    const { user, service, admin } = deps.limits;
    this.#rates = { user: ratesOf(user), service: ratesOf(service), admin: ratesOf(admin) };
  }

  get limits(): Limits {
    return this.#deps.limits;
  }

  /**
   * Lets a caller in.
   *
   * @param connection the caller's; absent for one request.
   * @throws {CourierError} UNAUTHORIZED; TOO_MANY_REQUESTS for an address with too many wrong tokens;
   * SERVICE_UNAVAILABLE when the principal has too many connections, or the keys cannot be had.
   */
  async signIn(credentials: Credentials, address: string | undefined, connection?: SessionConnection): Promise<Session> {
    try {
      const principal = await this.#verify(() => authenticate(this.#deps.verify, credentials));
      if (connection !== undefined) await this.#claimConnection(principal, connection.id);
      // Counting may have taken its time.
      this.#refuseRevoked(principal);
      return new Session(this.#sessionDeps, principal, connection);
    } catch (error) {
      if (error instanceof CourierError && error.code === 'UNAUTHORIZED') await this.#noteFailure(address);
      throw error;
    }
  }

  /** Valid tokens are let in whatever else comes from their address, which may be that of a proxy. */
  async #noteFailure(address: string | undefined): Promise<void> {
    const rates = rate(this.#deps.limits.gateway.failedAuthenticationsPerMinute, 60_000);
    const retryAfterMs = await this.#deps.limiter.charge({ key: `address:${address}`, rates, cost: 1 });
    if (retryAfterMs === undefined) return;
    this.#deps.meter.limited('address');
    throw new CourierError('TOO_MANY_REQUESTS', 'too many wrong tokens from this address', { retryAfterMs });
  }

  /** Refuses the tokens from now on, and ends the sessions that stand on them. Returns how many those were. */
  async revoke(revoked: Revoked): Promise<number> {
    await this.#deps.revocations.add(revoked);
    return this.#endRevoked();
  }

  /** Takes over what other instances have revoked, and ends the sessions that stand on it. Returns how many those were. */
  async refreshRevocations(): Promise<number> {
    return (await this.#deps.revocations.refresh()) ? this.#endRevoked() : 0;
  }

  #endRevoked(): number {
    const over = this.sessions.filter(({ principal }) => this.#deps.revocations.has(principal));
    for (const session of over) session.end(new CourierError('UNAUTHORIZED', 'the token was revoked'));
    return over.length;
  }

  /** Those that stand on their tokens now: connections, and requests that stream. */
  get sessions(): Session[] {
    return [...this.#sessions.values()].flatMap((sessions) => [...sessions]);
  }

  /** The roles of those who are connected, one for each connection. */
  get roles(): Role[] {
    return this.sessions.flatMap(({ connection, principal }) => (connection === undefined ? [] : [principal.role]));
  }

  /** What those who are connected say that they are, one for each connection. */
  get clients(): ClientIdentity[] {
    return this.sessions.flatMap(({ connection }) => (connection === undefined ? [] : [connection]));
  }

  async #verify(verify: () => Promise<Principal>): Promise<Principal> {
    const principal = await verify().catch((error: unknown) => {
      const reason = failureOf(error);
      this.#deps.meter.authFailed(reason);
      if (reason === 'unavailable') this.#deps.logger.warn('a token cannot be checked', { error });
      throw error;
    });
    this.#refuseRevoked(principal);
    return principal;
  }

  #refuseRevoked(principal: Principal): void {
    if (!this.#deps.revocations.has(principal)) return;
    this.#deps.meter.authFailed('revoked');
    throw new CourierError('UNAUTHORIZED', 'the token was revoked');
  }

  async #claimConnection(principal: Principal, id: string): Promise<void> {
    const most = this.#deps.limits[principal.role].connections;
    const open = most === null ? undefined : await this.#deps.connections.claim(keyOf(principal), id, most);
    if (open === undefined) return;
    this.#deps.meter.limited('connections');
    throw new CourierError('SERVICE_UNAVAILABLE', `${JSON.stringify(principal.sub)} has ${open} connections, and may have ${most}`, {
      retryAfterMs: 1000,
    });
  }

  readonly #sessionDeps = {
    verify: (token: string) => this.#verify(() => this.#deps.verify(token)),
    charge: (principal: Principal, activity: Activity, cost: number) => this.#charge(principal, activity, cost),
    onLive: (session: Session) => {
      const key = keyOf(session.principal);
      if (session.connection !== undefined) this.#deps.logger.info('connected', describe(session.principal, session.connection));
      const own = this.#sessions.get(key);
      if (own === undefined) this.#sessions.set(key, new Set([session]));
      else own.add(session);
    },
    onClosed: (session: Session) => {
      const key = keyOf(session.principal);
      if (session.connection !== undefined) this.#deps.logger.info('disconnected', describe(session.principal, session.connection));
      const own = this.#sessions.get(key);
      own?.delete(session);
      if (session.connection !== undefined) this.#deps.connections.release(key, session.connection.id);
      if (own?.size === 0) this.#sessions.delete(key);
    },
  };

  /** Waits only where the limiter does. */
  #charge(principal: Principal, activity: Activity, cost: number): Promise<void> | undefined {
    const rates = this.#rates[principal.role][activity];
    if (rates.length === 0) return undefined;
    const verdict = this.#deps.limiter.charge({ key: `${activity}:${keyOf(principal)}`, rates, cost });
    if (verdict === undefined) return undefined;
    return this.#refuse({ principal, activity, cost, rates }, verdict);
  }

  async #refuse(
    { principal, activity, cost, rates }: { principal: Principal; activity: Activity; cost: number; rates: readonly Rate[] },
    verdict: RetryAfterMs | Promise<RetryAfterMs>,
  ): Promise<void> {
    const retryAfterMs = await verdict;
    if (retryAfterMs === undefined) return;
    this.#deps.meter.limited(activity);
    await this.#noteRefusal(principal);
    if (retryAfterMs === Number.POSITIVE_INFINITY) {
      const most = Math.min(...rates.map(({ limit }) => limit));
      throw new CourierError('BAD_REQUEST', `${cost} events at once are more than the limit of ${most} lets through at any time`);
    }
    throw new CourierError('TOO_MANY_REQUESTS', `${activity}: the limit of ${JSON.stringify(principal.sub)} is reached`, {
      retryAfterMs: Math.max(MIN_RETRY_AFTER_MS, retryAfterMs),
    });
  }

  /** Whoever does not heed refusals for long is sent out. */
  async #noteRefusal(principal: Principal): Promise<void> {
    const key = keyOf(principal);
    const publishPerSecond = this.#deps.limits[principal.role].publishPerSecond ?? 0;
    const most = Math.max(MIN_REFUSALS_PER_MINUTE, REFUSED_SECONDS_PER_MINUTE * publishPerSecond);
    const over = await this.#deps.limiter.charge({ key: `refusals:${key}`, rates: rate(most, 60_000), cost: 1 });
    if (over === undefined) return;
    for (const session of [...(this.#sessions.get(key) ?? [])]) {
      if (session.connection !== undefined) session.end(new CourierError('TOO_MANY_REQUESTS', 'limits exceeded for too long'));
    }
  }
}

/** Why a token was not taken. Strangers can name keys that there are not: only an outage is for the operator to see to. */
function failureOf(error: unknown) {
  if (error instanceof UnknownKeyError) return 'unknown_key';
  return error instanceof CourierError && error.code === 'UNAUTHORIZED' ? 'invalid' : 'unavailable';
}

/** Who is connected over what, for the log. */
function describe({ sub, role }: Principal, { id, transport, address, since }: SessionConnection) {
  return { connection_id: id, user_id: sub, role, transport, address, since: new Date(since).toISOString() };
}
