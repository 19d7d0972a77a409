/**
 * The WebSocket connection of a client, as tRPC's own client keeps it, and what that lacks: jitter, in-band renewal of
 * the token, an end to retries that cannot succeed, and a state that says so.
 *
 * tRPC's client tries again whatever happened, keeping its subscriptions with the id of the last event of each. Before
 * every attempt it asks for the URL. That is where this one waits: for the delay to pass, for a token, and, once the
 * gateway has refused the client, for somebody to open the way again. So nothing is lost however long it takes.
 */
import { createWSClient, type TRPCClient } from '@trpc/client';
import { ERROR_CODES } from '../../src/contract/codes.ts';
import type { ConnectionState } from './connection-state.ts';
import { CONTRACT_HASH } from './contract.ts';
import { CourierError, closeError, closeMeaning, closeOf, courierErrorFrom } from './errors.ts';
import { Value } from './observable.ts';
import { renewAfter, renewalDelayMs } from './renewal.ts';
import { jitter, orAborted, type RetryOptions, sleep } from './retry.ts';
import type { AppRouter, WhoAmI } from './router.ts';
import type { Tokens } from './token.ts';
import { VERSION } from './version.ts';
import { CourierWebSocket } from './web-socket.ts';

export interface ConnectionOptions {
  /** Of the tRPC endpoint: `ws://127.0.0.1:8766/trpc`. */
  readonly url: string;
  readonly tokens: Tokens;
  readonly retry: RetryOptions;
  readonly trpc: () => TRPCClient<AppRouter>;
  /** Told of failures that are tried again. */
  readonly onRetry: (error: CourierError) => void;
}

/** How often a connection on which nothing comes is tested, and how long the answer may take, in ms. */
const KEEP_ALIVE = { enabled: true, intervalMs: 20_000, pongTimeoutMs: 10_000 };
/** How long tRPC's client may take to close, in ms. */
const CLOSE_GRACE_MS = 1000;
/** How long the gateway may take to close a connection after it refused a call of it, in ms. */
const REFUSAL_GRACE_MS = 1000;

/** tRPC's client for one WebSocket. */
export type SocketClient = ReturnType<typeof createWSClient>;

export class Connection {
  readonly state = new Value<ConnectionState>({ status: 'idle' });
  readonly #options: ConnectionOptions;
  #socket: SocketClient | undefined;
  /** Attempts since the gateway last accepted the client. */
  #attempt = 0;
  /** The attempt whose failure, or whose connection's loss, was noted. */
  #lostAttempt: number | undefined;
  #error: CourierError | undefined;
  /** Ends the present delay early. */
  #hurry = new AbortController();
  /** What attempts wait for while the client is refused. */
  #gate: PromiseWithResolvers<void> | undefined;
  /** Aborts with the reason when the gateway refuses the client; another one from then on. */
  #refusal = new AbortController();
  /** Aborts when the connection that `auth` calls are about is lost, or replaced. */
  #current = new AbortController();
  readonly #closed = new AbortController();
  #token: string | undefined;
  /** Another token has come since `#token` was taken. */
  #isOutdated = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Aborts with a CourierError when the gateway refuses the client, or the client is closed. */
  get refusal(): AbortSignal {
    return this.#refusal.signal;
  }

  /** tRPC's client; opens the connection when there is none yet. @throws {CourierError} CLOSED */
  get socket(): SocketClient {
    if (this.#closed.signal.aborted) throw this.#closed.signal.reason;
    if (this.#socket === undefined) {
      this.#socket = this.#open();
      this.state.set({ status: 'connecting', attempt: 0 });
    }
    return this.#socket;
  }

  /** Lets it try at once: connects, ends a delay, and goes on after a refusal. */
  connect(): void {
    void this.socket;
    if (this.#gate !== undefined) {
      this.#options.tokens.reset();
      this.#refusal = new AbortController();
      this.#attempt = 0;
      this.#lostAttempt = undefined;
      this.#error = undefined;
      this.#gate.resolve();
      this.#gate = undefined;
      this.state.set({ status: 'connecting', attempt: 0 });
    }
    this.#hurry.abort();
  }

  /**
   * Goes on with a new token, over the connection that there is; without one the next attempt takes it.
   *
   * @throws {CourierError} UNAUTHORIZED when the gateway does not take it.
   */
  async renew(): Promise<void> {
    if (this.state.get().status === 'connected') await this.#refresh(this.#current.signal);
    else {
      this.#isOutdated = true;
      this.connect();
    }
  }

  /**
   * A call was answered with UNAUTHORIZED: the gateway is refusing the connection, and its close says what is to become of
   * the client. Resolves when the connection is lost. One that the gateway leaves open is given up, unless it has accepted the
   * client: then the answer came over one that this has replaced.
   */
  async unauthorized(reason: string): Promise<void> {
    const { signal } = this.#current;
    await sleep(REFUSAL_GRACE_MS, signal).catch(() => undefined);
    if (signal.aborted || this.state.get().status === 'connected') return;
    this.#lost({ code: ERROR_CODES.UNAUTHORIZED.close, reason });
    this.#socket?.connection?.ws.close();
  }

  /** Ends it for good, and fails the calls that wait for an answer. Resolves when the socket is closing. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const reason = new CourierError('CLOSED', 'the client was closed');
    this.#closed.abort(reason);
    this.#current.abort(reason);
    this.state.set({ status: 'closed' });
    this.#refusal.abort(reason);
    const socket = this.#socket;
    if (socket === undefined) return;
    const attempt = socket.connection?.ws;
    if (attempt?.readyState === WebSocket.CONNECTING) attempt.close();
    // tRPC's client may begin one more attempt while it closes, and wait for that.
    await orAborted(socket.close(), AbortSignal.timeout(CLOSE_GRACE_MS)).catch(() => undefined);
  }

  #open(): SocketClient {
    // A network that came back is worth a try at once.
    const page = globalThis as Partial<EventTarget>;
    page.addEventListener?.('online', () => this.#hurry.abort(), { signal: this.#closed.signal });
    const socket = createWSClient({
      url: () => this.#mayTry(),
      connectionParams: () => ({
        token: this.#token as string,
        client: `courier-client-typescript/${VERSION}`,
        contract: CONTRACT_HASH,
      }),
      WebSocket: CourierWebSocket,
      retryDelayMs: () => 0,
      keepAlive: KEEP_ALIVE,
      onOpen: () => void this.#introduce(),
    });
    socket.connectionState.subscribe({
      next: ({ state, error }) => {
        if (state === 'connecting' && error) this.#lost(error.cause?.cause);
      },
    });
    return socket;
  }

  /** Resolves to the URL when an attempt may be made. */
  async #mayTry(): Promise<string> {
    const closed = this.#closed.signal;
    // tRPC's client tries again at once when this fails, also when it was closed.
    if (closed.aborted) return new Promise(() => undefined);
    for (;;) {
      closed.throwIfAborted();
      if (this.#gate !== undefined) {
        const { promise, reject } = this.#gate;
        closed.addEventListener('abort', () => reject(closed.reason), { once: true });
        await promise;
      }
      await this.#delay();
      try {
        this.#isOutdated = false;
        this.#token = await this.#options.tokens.get();
        return this.#options.url;
      } catch (thrown) {
        const error = thrown as CourierError;
        if (error.retryable) {
          this.#error = error;
          this.#options.onRetry(error);
        } else this.#refuse(error);
      }
    }
  }

  /** Full jitter before every attempt but the first. Not where the gateway asks a connected client to move: it paces that itself. */
  async #delay(): Promise<void> {
    const { retry } = this.#options;
    const attempt = this.#attempt;
    const error = this.#error;
    this.#attempt += 1;
    if (attempt === 0 && error === undefined) return;
    const isBusy = closeMeaning(error?.closeCode)?.reconnect === 'after-delay';
    const delayMs = (isBusy ? retry.busyDelayMs : 0) + jitter(retry, attempt);
    this.#connecting({ attempt, error, retryAt: Date.now() + delayMs });
    this.#hurry = new AbortController();
    await sleep(delayMs, AbortSignal.any([this.#hurry.signal, this.#closed.signal])).catch(() => undefined);
    this.#closed.signal.throwIfAborted();
    this.#connecting({ attempt, error });
  }

  /** While a connection that is to be replaced still serves, nobody needs to know of the attempts. */
  #connecting({ error, ...rest }: { attempt: number; error?: CourierError | undefined; retryAt?: number }): void {
    if (this.state.get().status === 'connected' && !this.#current.signal.aborted) return;
    this.state.set({ status: 'connecting', ...rest, ...(error && { error }) });
  }

  /** @param event what ended the connection, or the attempt: a CloseEvent, an Event, or what was thrown. */
  #lost(event: unknown): void {
    if (this.#closed.signal.aborted || this.#gate !== undefined) return;
    // One failure is reported several times: as an error, as a close, and as an attempt that failed.
    if (this.#lostAttempt === this.#attempt) return;
    this.#lostAttempt = this.#attempt;
    this.#current.abort();
    const { code, reason } = closeOf(event);
    const error = closeError(code, reason, this.#options.url);
    this.#error = error;
    const reconnect = closeMeaning(code)?.reconnect;
    const isOver =
      reconnect === 'no' || (reconnect === 'with-new-token' && !this.#options.tokens.refused(this.#token) && !this.#isOutdated);
    if (isOver) {
      this.#refuse(error);
      return;
    }
    this.#options.onRetry(error);
    this.#connecting({ attempt: this.#attempt, error });
  }

  #refuse(error: CourierError): void {
    if (this.#closed.signal.aborted) return;
    this.#error = error;
    this.#gate = Promise.withResolvers();
    // Nobody may be waiting.
    this.#gate.promise.catch(() => undefined);
    // First: a listener of the state may open the way again at once.
    this.#refusal.abort(error);
    this.state.set({ status: 'refused', error });
  }

  /** Learns who the gateway takes the client for: only then is the token known to be good. Renews it in time from then on. */
  async #introduce(): Promise<void> {
    this.#current.abort();
    this.#current = new AbortController();
    const { signal } = this.#current;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const answer = await this.#options.trpc().auth.whoami.query(undefined, { signal });
        if (!signal.aborted) this.#accepted(answer, signal);
        return;
      } catch (thrown) {
        const error = courierErrorFrom(thrown);
        if (signal.aborted) return;
        if (!error.retryable) {
          this.#refuse(error);
          return;
        }
        this.#options.onRetry(error);
        await sleep((error.retryAfterMs ?? 0) + jitter(this.#options.retry, attempt), signal).catch(() => undefined);
      }
    }
  }

  #accepted({ sub, role, expires_at: expiresAt, expires_in_ms: expiresInMs, contract }: WhoAmI, signal: AbortSignal): void {
    this.#attempt = 0;
    this.#lostAttempt = undefined;
    this.#error = undefined;
    this.#options.tokens.accepted();
    const match = { client: CONTRACT_HASH, gateway: contract, same: contract === CONTRACT_HASH };
    this.state.set({ status: 'connected', identity: { sub, role, expiresAt }, contract: match });
    if (!this.#isOutdated && !this.#options.tokens.renewable) return;
    const delayMs = this.#isOutdated ? 0 : renewalDelayMs(expiresInMs);
    void renewAfter(delayMs, signal, { ...this.#options, refresh: (current) => this.#refresh(current) });
  }

  /** @returns false when there is no other token than the one that is used. */
  async #refresh(signal: AbortSignal): Promise<boolean> {
    this.#isOutdated = false;
    const token = await this.#options.tokens.get();
    if (token === this.#token) return false;
    const answer = await this.#options
      .trpc()
      .auth.refresh.mutate({ token }, { signal })
      .catch((thrown: unknown) => {
        throw courierErrorFrom(thrown);
      });
    if (signal.aborted) return true;
    this.#token = token;
    // The time until the renewal begins anew.
    this.#current.abort();
    this.#current = new AbortController();
    this.#accepted(answer, this.#current.signal);
    return true;
  }
}
