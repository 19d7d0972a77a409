/** What becomes of a connection, as its client tells it. */
import type { CourierError } from './errors.ts';
import type { WhoAmI } from './router.ts';

/** Who the gateway takes the client for. */
export interface Identity {
  readonly sub: string;
  readonly role: WhoAmI['role'];
  /** By the gateway's clock. */
  readonly expiresAt: Date;
}

/** The contracts that the client and the gateway were made from, as hashes. */
export interface ContractMatch {
  readonly client: string;
  readonly gateway: string;
  readonly same: boolean;
}

/**
 * - `idle`: nothing was asked for yet.
 * - `connecting`: for the first time, or again; `error` says why the last attempt failed or the last connection was lost,
 *   `retryAt` when the next attempt is (ms since 1970) where it waits for one.
 * - `connected`: the gateway has accepted the token.
 * - `refused`: the gateway does not want the client back as it is. Nothing is tried until `connect()` or `setToken()`.
 * - `closed`: by `close()`.
 */
export type ConnectionState =
  | { readonly status: 'idle' }
  | { readonly status: 'connecting'; readonly attempt: number; readonly error?: CourierError; readonly retryAt?: number }
  | { readonly status: 'connected'; readonly identity: Identity; readonly contract: ContractMatch }
  | { readonly status: 'refused'; readonly error: CourierError }
  | { readonly status: 'closed' };
