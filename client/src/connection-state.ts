/** The state of a connection, as the client reports it. */
import type { CourierError } from './errors.ts';
import type { WhoAmI } from './router.ts';

/** Who the client is, by its token. */
export interface Identity {
  readonly sub: string;
  readonly role: WhoAmI['role'];
  /** When the token expires, by the gateway's clock. */
  readonly expiresAt: Date;
}

/** The hashes of the client's and the gateway's contract. */
export interface ContractMatch {
  /** Null where the client does not know it. */
  readonly client: string | null;
  readonly gateway: string;
  /** False where both are known and differ. */
  readonly same: boolean;
}

/**
 * - `idle`: nothing has needed a connection yet.
 * - `connecting`: for the first time, or again. `error` says why the last attempt failed or the last connection was lost.
 *   `retryAt` is the time of the next attempt (ms since 1970) while the client waits for it.
 * - `connected`: the gateway has accepted the token.
 * - `refused`: the gateway refuses the client, which makes no attempt until `connect()` or `setToken()`.
 * - `closed`: `close()` was called.
 */
export type ConnectionState =
  | { readonly status: 'idle' }
  | { readonly status: 'connecting'; readonly attempt: number; readonly error?: CourierError; readonly retryAt?: number }
  | { readonly status: 'connected'; readonly identity: Identity; readonly contract: ContractMatch }
  | { readonly status: 'refused'; readonly error: CourierError }
  | { readonly status: 'closed' };
