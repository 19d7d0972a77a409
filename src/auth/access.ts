/** The door: who comes in, how many, how often; and who is sent out again. */
import { CourierError } from '../errors.ts';
import type { Limiter } from '../limits/limiter.ts';
import { type Activity, type Limits, rate, ratesFor } from '../limits/limits.ts';
import type { Principal } from './principal.ts';
import type { Revocations, Revoked } from './revocations.ts';
import { Session } from './session.ts';
import { authenticate, type Credentials, type VerifyToken } from './tokens.ts';

export interface AccessDeps {
  readonly verify: VerifyToken;
  readonly revocations: Revocations;
  readonly limiter: Limiter;
  readonly limits: Limits;
}

/** Refused calls that one principal may have in a minute before its connections are closed. */
const REFUSALS_PER_MINUTE = [{ limit: 200, periodMs: 60_000 }];

export class Access {
  readonly #deps: AccessDeps;
  /** Live sessions by `sub`. */
  readonly #sessions = new Map<string, Set<Session>>();

  constructor(deps: AccessDeps) {
    this.#deps = deps;
  }

  get limits(): Limits {
    return this.#deps.limits;
  }

  /**
   * Lets a caller in.
   *
   * @param onEnd closes the caller's connection; absent for one request.
   * @throws {CourierError} UNAUTHORIZED; TOO_MANY_REQUESTS for an address with too many wrong tokens;
   * SERVICE_UNAVAILABLE when the principal has too many connections, or the keys cannot be had.
   */
  async signIn(credentials: Credentials, address: string | undefined, onEnd?: (error: CourierError) => void): Promise<Session> {
    const failures = {
      key: `address:${address}`,
      rates: rate(this.#deps.limits.gateway.failedAuthenticationsPerMinute, 60_000),
      cost: 1,
    };
    const retryAfterMs = await this.#deps.limiter.peek(failures);
    if (retryAfterMs !== undefined)
      throw new CourierError('TOO_MANY_REQUESTS', 'too many wrong tokens from this address', { retryAfterMs });
    try {
      const principal = await this.#verify(() => authenticate(this.#deps.verify, credentials));
      if (onEnd !== undefined) this.#checkConnections(principal);
      return new Session(this.#sessionDeps, principal, onEnd);
    } catch (error) {
      if (error instanceof CourierError && error.code === 'UNAUTHORIZED') await this.#deps.limiter.charge(failures);
      throw error;
    }
  }

  /** Refuses the tokens from now on, and ends the sessions that stand on them. Returns how many those were. */
  revoke(revoked: Revoked): number {
    this.#deps.revocations.add(revoked);
    const standing = [...this.#sessions.values()].flatMap((sessions) => [...sessions]);
    const over = standing.filter(({ principal }) => this.#deps.revocations.has(principal));
    for (const session of over) session.end(new CourierError('UNAUTHORIZED', 'the token was revoked'));
    return over.length;
  }

  async #verify(verify: () => Promise<Principal>): Promise<Principal> {
    const principal = await verify();
    if (this.#deps.revocations.has(principal)) throw new CourierError('UNAUTHORIZED', 'the token was revoked');
    return principal;
  }

  #checkConnections({ sub, role }: Principal): void {
    const most = this.#deps.limits[role].connections;
    const open = [...(this.#sessions.get(sub) ?? [])].filter(({ isConnection }) => isConnection).length;
    if (most === null || open < most) return;
    throw new CourierError('SERVICE_UNAVAILABLE', `${JSON.stringify(sub)} has ${open} connections, and may have ${most}`, {
      retryAfterMs: 1000,
    });
  }

  readonly #sessionDeps = {
    verify: (token: string) => this.#verify(() => this.#deps.verify(token)),
    charge: (principal: Principal, activity: Activity, cost: number) => this.#charge(principal, activity, cost),
    onLive: (session: Session) => {
      const { sub } = session.principal;
      const own = this.#sessions.get(sub);
      if (own === undefined) this.#sessions.set(sub, new Set([session]));
      else own.add(session);
    },
    onClosed: (session: Session) => {
      const { sub } = session.principal;
      const own = this.#sessions.get(sub);
      own?.delete(session);
      if (own?.size === 0) this.#sessions.delete(sub);
    },
  };

  async #charge({ sub, role }: Principal, activity: Activity, cost: number): Promise<void> {
    const rates = ratesFor(this.#deps.limits[role], activity);
    if (rates.length === 0) return;
    const retryAfterMs = await this.#deps.limiter.charge({ key: `${activity}:${sub}`, rates, cost });
    if (retryAfterMs === undefined) return;
    await this.#noteRefusal(sub);
    if (retryAfterMs === Number.POSITIVE_INFINITY) {
      const most = Math.min(...rates.map(({ limit }) => limit));
      throw new CourierError('BAD_REQUEST', `${cost} events at once are more than the limit of ${most} lets through at any time`);
    }
    throw new CourierError('TOO_MANY_REQUESTS', `${activity}: the limit of ${JSON.stringify(sub)} is reached`, { retryAfterMs });
  }

  /** Whoever does not heed refusals for long is sent out. */
  async #noteRefusal(sub: string): Promise<void> {
    const over = await this.#deps.limiter.charge({ key: `refusals:${sub}`, rates: REFUSALS_PER_MINUTE, cost: 1 });
    if (over === undefined) return;
    for (const session of [...(this.#sessions.get(sub) ?? [])]) {
      if (session.isConnection) session.end(new CourierError('TOO_MANY_REQUESTS', 'limits exceeded for too long'));
    }
  }
}
