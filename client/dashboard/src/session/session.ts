/**
 * Who is signed in: a token, kept for as long as the tab is open, and the client that it was accepted for. Nothing is
 * shown before the gateway has accepted a token of somebody who may look.
 */
import { type ConnectionState, CourierClient, CourierError, type Identity, type Observable } from '@lumiere/courier-client';
import { useSyncExternalStore } from 'react';
import { GATEWAY_URL, PAGE_PATH } from '../place.ts';

export type Client = CourierClient<'continue'>;

/**
 * - `signed-out`: `reason` says why, where it was not asked for.
 * - `signing-in`: the gateway has not answered yet; the client goes on trying.
 */
export type SessionState =
  | { readonly status: 'signed-out'; readonly reason?: string }
  | { readonly status: 'signing-in'; readonly client: Client }
  | { readonly status: 'signed-in'; readonly client: Client; readonly identity: Identity };

/** Of this gateway: others of the same origin, below other paths, have tokens of their own. */
const STORAGE_KEY = `courier.token ${PAGE_PATH}`;

class Session implements Observable<SessionState> {
  #state: SessionState = { status: 'signed-out' };
  readonly #listeners = new Set<(state: SessionState) => void>();

  readonly get = (): SessionState => this.#state;

  readonly subscribe = (listener: (state: SessionState) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** @param linked the token of a sign-in link; without one that of before the page was reloaded. */
  begin(linked: string | undefined): void {
    const token = linked ?? (this.#state.status === 'signed-out' ? sessionStorage.getItem(STORAGE_KEY) : null);
    if (token !== null) this.signIn(token);
  }

  /** Signs in with `token`; whoever was signed in before is out. The state tells how it went. */
  signIn(token: string): void {
    this.#leave();
    const client = new CourierClient({ url: GATEWAY_URL, token, onGap: 'continue' });
    this.#set({ status: 'signing-in', client });
    client.connection.subscribe((connection) => this.#follow(client, token, connection));
    // What becomes of it is told by the state of the connection.
    client.connect().catch(() => undefined);
  }

  /** Goes on with another token of the same principal. @throws {CourierError} when the gateway does not take it. */
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

/** Takes the token of a sign-in link out of the address: `/admin/#token=…`. The fragment is never sent to a server. */
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
