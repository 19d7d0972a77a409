/**
 * The session: a token, which the tab keeps until it closes, and the client that uses it. The dashboard shows nothing before the
 * gateway has accepted a token of a service or an admin.
 */
import { type ConnectionState, CourierClient, CourierError, type Identity, type Observable } from '@lumiere/courier-client';
import { useSyncExternalStore } from 'react';
import type { Client, ServedContract } from '../contract/served.ts';
import { GATEWAY_URL, PAGE_PATH } from '../place.ts';

/**
 * - `signed-out`: `reason` says why, unless the user signed out.
 * - `signing-in`: the gateway has not answered yet; the client keeps trying.
 */
export type SessionState =
  | { readonly status: 'signed-out'; readonly reason?: string }
  | { readonly status: 'signing-in'; readonly client: Client }
  | { readonly status: 'signed-in'; readonly client: Client; readonly identity: Identity };

/** The key of this gateway's token: gateways of the same origin, below other paths, have tokens of their own. */
const STORAGE_KEY = `courier.token ${PAGE_PATH}`;

class Session implements Observable<SessionState> {
  #state: SessionState = { status: 'signed-out' };
  readonly #listeners = new Set<(state: SessionState) => void>();

  readonly get = (): SessionState => this.#state;

  readonly subscribe = (listener: (state: SessionState) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** @param linked the token of a sign-in link; without one, the session uses the token from before a reload. */
  begin(linked: string | undefined): void {
    const token = linked ?? (this.#state.status === 'signed-out' ? sessionStorage.getItem(STORAGE_KEY) : null);
    if (token !== null) this.signIn(token);
  }

  /** Ends the present session and signs in with `token`. The state has the outcome. */
  signIn(token: string): void {
    this.#leave();
    // The page was built with no contract: it takes whichever the gateway has.
    const client = new CourierClient<ServedContract>({ url: GATEWAY_URL, token, onGap: 'continue', contractHash: null });
    this.#set({ status: 'signing-in', client });
    client.connection.subscribe((connection) => this.#follow(client, token, connection));
    // The state of the connection has the outcome.
    client.connect().catch(() => undefined);
  }

  /** Gives the session another token of the same principal. @throws {CourierError} when the gateway does not accept it. */
  async renew(token: string): Promise<void> {
    if (this.#state.status !== 'signed-in') throw new CourierError('UNAUTHORIZED', 'nobody is signed in');
    await this.#state.client.setToken(token);
    sessionStorage.setItem(STORAGE_KEY, token);
  }

  signOut(reason?: string): void {
    sessionStorage.removeItem(STORAGE_KEY);
    this.#leave();
    this.#set({ status: 'signed-out', ...(reason !== undefined && { reason }) });
  }

  #follow(client: Client, token: string, connection: ConnectionState): void {
    if (this.#state.status === 'signed-out' || this.#state.client !== client) return;
    if (connection.status === 'refused') this.signOut(reasonOf(connection.error));
    else if (connection.status === 'connected') this.#accept(client, token, connection.identity);
  }

  #accept(client: Client, token: string, identity: Identity): void {
    if (identity.role === 'user') {
      this.signOut(`The token of ${JSON.stringify(identity.sub)} is that of a user. The dashboard is for services and admins.`);
      return;
    }
    if (this.#state.status === 'signing-in') sessionStorage.setItem(STORAGE_KEY, token);
    this.#set({ status: 'signed-in', client, identity });
  }

  #leave(): void {
    if (this.#state.status !== 'signed-out') void this.#state.client.close({ timeoutMs: 0 });
  }

  #set(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

export const session = new Session();

export function useSession(): SessionState {
  return useSyncExternalStore(session.subscribe, session.get);
}

/** Removes the token of a sign-in link from the address: `/admin/#token=…`. A browser never sends the fragment to a server. */
export function tokenInAddress(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null || token === '') return undefined;
  history.replaceState(history.state, '', location.pathname + location.search);
  return token;
}

function reasonOf({ code, message }: CourierError): string {
  const said = message.charAt(0).toUpperCase() + message.slice(1);
  return code === 'UNAUTHORIZED' ? `${said}. Sign in with another token.` : said;
}
