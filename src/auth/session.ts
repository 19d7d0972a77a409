/**
 * A caller for as long as it is there: a WebSocket connection, or one HTTP request. Its rights may change by a refresh,
 * and end by expiry or revocation; what stands on them is told at once.
 */
import type { ClientIdentity } from '../contract/admin.ts';
import { contains, type Selector } from '../contract/channels.ts';
import { CourierError } from '../errors.ts';
import type { Activity } from '../limits/limits.ts';
import { keyOf, type Principal } from './principal.ts';

/** Longest delay that a timer takes, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface SessionDeps {
  /** Verifies a token. @throws {CourierError} UNAUTHORIZED */
  readonly verify: (token: string) => Promise<Principal>;
  /** Counts a call against the limits of the principal. @throws {CourierError} TOO_MANY_REQUESTS */
  readonly charge: (principal: Principal, activity: Activity, cost: number) => Promise<void> | undefined;
  /** Told when the session begins to stand on its token, and when it is closed. */
  readonly onLive: (session: Session) => void;
  readonly onClosed: (session: Session) => void;
}

/** The connection that a session is of. */
export interface SessionConnection extends ClientIdentity {
  readonly id: string;
  readonly transport: 'trpc' | 'plain';
  readonly address: string;
  /** When it was opened, in ms since 1970. */
  readonly since: number;
  /** Bytes that have not left for the kernel. */
  readonly bufferedBytes: () => number;
  /** Closes it, with the error's close code. */
  readonly close: (error: CourierError) => void;
}

/** What reads on a hold. */
export interface Reader {
  /** Events of these types only; of all when absent. */
  readonly types: ReadonlySet<string> | undefined;
  /** The number after which it began. */
  readonly start: number;
  /** The number up to which it has been given everything. */
  readonly position: number;
}

/** What a session reads. */
export interface Reading {
  readonly selector: Selector;
  readonly reader: Reader;
}

interface Hold extends Reading {
  readonly onLost: (error: CourierError) => void;
}

export class Session implements Disposable {
  readonly #deps: SessionDeps;
  /** Absent for one request. */
  readonly connection: SessionConnection | undefined;
  readonly #holds = new Set<Hold>();
  #principal: Principal;
  #live = false;
  #closed = false;
  #expiry: NodeJS.Timeout | undefined;

  constructor(deps: SessionDeps, principal: Principal, connection?: SessionConnection) {
    this.#deps = deps;
    this.#principal = principal;
    this.connection = connection;
    if (connection !== undefined) this.#goLive();
  }

  get principal(): Principal {
    return this.#principal;
  }

  get readings(): readonly Reading[] {
    return [...this.#holds];
  }

  /** Counts a call. @throws {CourierError} TOO_MANY_REQUESTS with `retryAfterMs`. */
  charge(activity: Activity, cost = 1): Promise<void> | undefined {
    return this.#deps.charge(this.#principal, activity, cost);
  }

  /**
   * Calls `onLost` once when the session may no longer read what `selector` selects, or is over. Returns the function
   * that gives the hold up.
   */
  hold(selector: Selector, reader: Reader, onLost: (error: CourierError) => void): () => void {
    const hold = { selector, reader, onLost };
    this.#holds.add(hold);
    this.#goLive();
    return () => {
      this.#holds.delete(hold);
      // A request stands on its token only while it streams.
      if (this.#holds.size === 0 && this.connection === undefined) this[Symbol.dispose]();
    };
  }

  /**
   * Goes on with another token of the same `sub` and role, with its rights at once.
   *
   * @throws {CourierError} UNAUTHORIZED when the token is not valid or another's; BAD_REQUEST where nothing lasts.
   */
  async refresh(token: string): Promise<Principal> {
    if (this.connection === undefined)
      throw new CourierError('BAD_REQUEST', 'only a WebSocket connection can be refreshed; send the new token instead');
    const principal = await this.#deps.verify(token);
    // What has ended meanwhile stays so.
    if (this.#closed) throw new CourierError('UNAUTHORIZED', 'the connection is closed');
    const { sub, role } = this.#principal;
    if (keyOf(principal) !== keyOf(this.#principal)) {
      throw new CourierError('UNAUTHORIZED', `the token is of another: this connection is that of ${role} ${JSON.stringify(sub)}`);
    }
    this.#principal = principal;
    this.#watchExpiry();
    for (const hold of [...this.#holds]) {
      if (!contains(principal.readable, hold.selector))
        this.#lose(hold, new CourierError('FORBIDDEN', 'the new token does not grant this'));
    }
    return principal;
  }

  /**
   * Ends the session's connection, or what stands on the session of a request. Subscriptions of a connection are not
   * told: their client comes back with another token, and resumes them.
   */
  end(error: CourierError): void {
    if (this.#closed) return;
    if (this.connection !== undefined) this.connection.close(error);
    else for (const hold of [...this.#holds]) this.#lose(hold, error);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#expiry);
    if (this.#live) this.#deps.onClosed(this);
  }

  #lose(hold: Hold, error: CourierError): void {
    this.#holds.delete(hold);
    hold.onLost(error);
  }

  #goLive(): void {
    if (this.#live) return;
    this.#live = true;
    this.#deps.onLive(this);
    this.#watchExpiry();
  }

  #watchExpiry(): void {
    clearTimeout(this.#expiry);
    const left = this.#principal.expiresAt - Date.now();
    this.#expiry = setTimeout(
      () => {
        if (Date.now() < this.#principal.expiresAt) this.#watchExpiry();
        else this.end(new CourierError('UNAUTHORIZED', 'the token has expired'));
      },
      Math.min(Math.max(left, 0), MAX_TIMER_MS),
    );
    this.#expiry.unref();
  }
}
