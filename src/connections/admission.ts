/**
 * Letting clients in, or not: pages by their origin, connections that have yet to authenticate by how many of them wait, and
 * callers by a token that is valid and was not revoked.
 */
import type { IncomingMessage } from 'node:http';
import { type Principal, principalKey } from '../auth/principal.ts';
import type { Revocations } from '../auth/revocations.ts';
import { UnknownKeyError } from '../auth/signatures.ts';
import { authenticate, type Credentials, rememberedPrincipal, type TokenVerifier, type VerifyToken } from '../auth/tokens.ts';
import { CourierError } from '../errors.ts';
import type { Room } from '../limits/limiter.ts';
import type { Logger } from '../observe/logger.ts';
import type { Charges, ChargesDeps } from './charges.ts';
import { networkOf } from './client-address.ts';
import type { Connection } from './connection.ts';
import { REVOKED } from './wire.ts';

/** Tokens of one address that wait to be checked, at most. */
const MAX_WAITING_CHECKS = 1000;
/** Under which those are counted that have yet to authenticate. */
const WAITING = 'waiting';

/** Of tokens of one address. */
interface Checks {
  running: number;
  readonly waiting: (() => void)[];
}

export interface AdmissionDeps extends Pick<ChargesDeps, 'limits' | 'meter'> {
  readonly verify: VerifyToken;
  readonly known: TokenVerifier['known'];
  readonly revocations: Revocations;
  readonly logger: Logger;
  /** Counts the connections of the whole instance. */
  readonly room: Room;
  /** Origins of pages, beyond the host that they were asked to. */
  readonly allowedOrigins: readonly string[];
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #charges: Charges;
  /** Connections that have yet to authenticate, while their tokens are not being checked. */
  #waiting = 0;
  /** Connections whose tokens are checked, and wait for that, by their address. */
  readonly #checks = new Map<string, Checks>();

  constructor(deps: AdmissionDeps, charges: Charges) {
    this.#deps = deps;
    this.#charges = charges;
  }

  /** Connections that have yet to authenticate. */
  get unauthenticated(): number {
    return this.#waiting;
  }

  /** Whether a page of this origin may use the gateway. A client that is no browser sends no origin, and may. */
  allowsOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
    if (origin === undefined || this.#deps.allowedOrigins.includes(origin)) return true;
    // A page of a file has no host, nor need a request have one.
    return host !== undefined && host !== '' && URL.parse(origin)?.host === host;
  }

  /**
   * Counts a connection until it is open: for its principal, where the request has a valid token, else for its address. A
   * client with a valid token comes in however many others wait. Resolves to whether there was room.
   */
  async admit(connection: Connection, { token, authorization }: Credentials): Promise<boolean> {
    const address = networkOf(connection.address);
    if (token === undefined && authorization === undefined) return this.#waitAs(connection, `address ${address}`, true);
    // While its token is checked it is counted apart: as many at once as may wait of any address.
    if (!(await this.#beginCheck(connection, address))) return false;
    const known = await authenticate(this.#deps.verify, { token, authorization }).catch(() => undefined);
    this.#endCheck(address);
    const isKnown = known !== undefined && !this.isRevoked(known);
    return this.#waitAs(connection, isKnown ? `principal ${principalKey(known)}` : `address ${address}`, !isKnown);
  }

  /** The connection has authenticated, or gone: it is no longer counted. */
  end(connection: Connection): void {
    const { waitingAs: name } = connection;
    if (name === undefined) return;
    connection.waitingAs = undefined;
    this.#waiting -= 1;
    this.#deps.room.release(name, connection.id);
    this.#deps.room.release(WAITING, connection.id);
  }

  isRevoked(principal: Principal): boolean {
    return this.#deps.revocations.has(principal);
  }

  /** Whose token was found valid a moment ago; undefined where it was revoked since, which `authenticate` counts and refuses. */
  known(credentials: Credentials): Principal | undefined {
    const principal = rememberedPrincipal(this.#deps.known, credentials);
    return principal === undefined || this.isRevoked(principal) ? undefined : principal;
  }

  /** @throws {CourierError} UNAUTHORIZED; TOO_MANY_REQUESTS for an address with too many wrong tokens; SERVICE_UNAVAILABLE */
  async authenticate(credentials: Credentials, address: string): Promise<Principal> {
    try {
      return await this.#unlessRevoked(authenticate(this.#deps.verify, credentials));
    } catch (error) {
      if (error instanceof CourierError && error.code === 'UNAUTHORIZED') await this.#charges.wrongToken(networkOf(address));
      throw error;
    }
  }

  /** @throws {CourierError} UNAUTHORIZED, SERVICE_UNAVAILABLE */
  verify(token: string): Promise<Principal> {
    return this.#unlessRevoked(this.#deps.verify(token));
  }

  async #unlessRevoked(verified: Promise<Principal>): Promise<Principal> {
    const principal = await verified.catch((error: unknown) => {
      const reason = failureOf(error);
      this.#deps.meter.authFailed(reason);
      if (reason === 'unavailable') this.#deps.logger.named('auth').warn('a token cannot be checked', { error });
      throw error;
    });
    if (!this.isRevoked(principal)) return principal;
    this.#deps.meter.authFailed('revoked');
    throw REVOKED.error;
  }

  /** Resolves to whether its token can be checked now: when the checks before it are done, unless too many wait for them. */
  async #beginCheck(connection: Connection, address: string): Promise<boolean> {
    if (connection.state !== 'opening') return false;
    const checks = this.#checks.get(address) ?? { running: 0, waiting: [] };
    const { unauthenticatedPerAddress: most } = this.#deps.limits.gateway;
    if (most === null || checks.running < most) {
      this.#checks.set(address, checks);
      checks.running += 1;
      return true;
    }
    if (checks.waiting.length >= MAX_WAITING_CHECKS) return false;
    const turn = Promise.withResolvers<void>();
    checks.waiting.push(turn.resolve);
    await turn.promise;
    // The place of the check before it.
    if (connection.state === 'opening') return true;
    this.#endCheck(address);
    return false;
  }

  #endCheck(address: string): void {
    const checks = this.#checks.get(address);
    if (checks === undefined) return;
    const next = checks.waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    checks.running -= 1;
    if (checks.running === 0) this.#checks.delete(address);
  }

  /** @param isUnknown its token, if it has one, was not found valid. */
  async #waitAs(connection: Connection, name: string, isUnknown: boolean): Promise<boolean> {
    const { room, limits } = this.#deps;
    const { unauthenticatedPerAddress: each, connections: inAll } = limits.gateway;
    if (connection.state !== 'opening') return false;
    if ((await room.claim(name, connection.id, each ?? Number.POSITIVE_INFINITY)) !== undefined) return false;
    const most = isUnknown ? (inAll ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    const isCounted = (await room.claim(WAITING, connection.id, most)) === undefined;
    // It may have gone meanwhile.
    if (isCounted && connection.state === 'opening') {
      connection.waitingAs = name;
      this.#waiting += 1;
      return true;
    }
    room.release(name, connection.id);
    if (isCounted) room.release(WAITING, connection.id);
    return false;
  }
}

/** Why a token was not taken. Anybody can name a key that does not exist: only an outage is for the operator to see to. */
function failureOf(error: unknown) {
  if (error instanceof UnknownKeyError) return 'unknown_key';
  return error instanceof CourierError && error.code === 'UNAUTHORIZED' ? 'invalid' : 'unavailable';
}
