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
import type { Logger } from '../observe/logger.ts';
import type { Charges, ChargesDeps } from './charges.ts';
import { networkOf } from './client-address.ts';
import type { Connection } from './connection.ts';
import { REVOKED } from './wire.ts';

/** Tokens of one address that wait to be checked, at most. */
const MAX_WAITING_CHECKS = 1000;

export interface AdmissionDeps extends Pick<ChargesDeps, 'limits' | 'meter'> {
  readonly verify: VerifyToken;
  readonly known: TokenVerifier['known'];
  readonly revocations: Revocations;
  readonly logger: Logger;
  /** Origins of pages, beyond the host that they were asked to. */
  readonly allowedOrigins: readonly string[];
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #charges: Charges;
  /** Connections that have yet to authenticate, by the address or the principal that they are counted for. */
  readonly #waiting = new Map<string, number>();
  #waitingInAll = 0;
  /** Connections whose tokens wait to be checked, by the name that the checks are counted for. */
  readonly #checks = new Map<string, (() => void)[]>();

  constructor(deps: AdmissionDeps, charges: Charges) {
    this.#deps = deps;
    this.#charges = charges;
  }

  /** Connections that have yet to authenticate. */
  get unauthenticated(): number {
    return this.#waitingInAll;
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
    const address = `address ${networkOf(connection.address)}`;
    if (token === undefined && authorization === undefined) return this.#waitAs(connection, address, true);
    // While its token is checked it is counted apart: as many at once as may wait of any address.
    if (!(await this.#waitForCheck(connection, `checked ${address}`))) return false;
    const known = await authenticate(this.#deps.verify, { token, authorization }).catch(() => undefined);
    const isKnown = known !== undefined && !this.isRevoked(known);
    this.end(connection);
    return this.#waitAs(connection, isKnown ? `principal ${principalKey(known)}` : address, !isKnown);
  }

  /** The connection has authenticated, or gone: it is no longer counted. */
  end(connection: Connection): void {
    const { waitingAs: name } = connection;
    if (name === undefined) return;
    connection.waitingAs = undefined;
    this.#waitingInAll -= 1;
    const left = (this.#waiting.get(name) ?? 0) - 1;
    if (left > 0) this.#waiting.set(name, left);
    else this.#waiting.delete(name);
    this.#nextCheck(name);
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
  async #waitForCheck(connection: Connection, name: string): Promise<boolean> {
    if (this.#waitAs(connection, name, false)) return true;
    const queue = this.#checks.get(name) ?? [];
    if (connection.state !== 'opening' || queue.length >= MAX_WAITING_CHECKS) return false;
    const turn = Promise.withResolvers<void>();
    queue.push(turn.resolve);
    this.#checks.set(name, queue);
    await turn.promise;
    if (this.#waitAs(connection, name, false)) return true;
    // It has gone meanwhile.
    this.#nextCheck(name);
    return false;
  }

  #nextCheck(name: string): void {
    const queue = this.#checks.get(name);
    queue?.shift()?.();
    if (queue?.length === 0) this.#checks.delete(name);
  }

  /** @param isUnknown its token, if it has one, was not found valid. */
  #waitAs(connection: Connection, name: string, isUnknown: boolean): boolean {
    const { unauthenticatedPerAddress: each, connections: inAll } = this.#deps.limits.gateway;
    const own = this.#waiting.get(name) ?? 0;
    if (connection.state !== 'opening' || (each !== null && own >= each)) return false;
    if (inAll !== null && isUnknown && this.#waitingInAll >= inAll) return false;
    this.#waitingInAll += 1;
    this.#waiting.set(name, own + 1);
    connection.waitingAs = name;
    return true;
  }
}

/** Why a token was not taken. Anybody can name a key that does not exist: only an outage is for the operator to see to. */
function failureOf(error: unknown) {
  if (error instanceof UnknownKeyError) return 'unknown_key';
  return error instanceof CourierError && error.code === 'UNAUTHORIZED' ? 'invalid' : 'unavailable';
}
