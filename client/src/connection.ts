/**
 * The WebSocket connection of a client. tRPC's own client keeps the connection; this file adds jitter, the renewal of the token
 * over the connection, an end to retries that cannot succeed, and a state for callers.
 *
 * After every loss tRPC's client connects again, and resumes each subscription after its last event. Before every attempt it
 * asks for the URL. The answer waits: for the delay to pass, for a token and, once the gateway has refused the client, for
 * `connect()` or `setToken()`. So no subscription is lost, however long that takes.
 */
import { createWSClient, type TRPCClient } from '@trpc/client';
import { ERROR_CODES } from '../../src/contract/codes.ts';
import type { ConnectionState } from './connection-state.ts';
import {
  attemptError,
  CourierError,
  clientClosed,
  closeError,
  closeMeaning,
  closeOf,
  courierErrorFrom,
  throwCourierError,
} from './errors.ts';
import { Value } from './observable.ts';
import { renewAfter, renewalDelayMs } from './renewal.ts';
import { askedDelayMs, jitter, orAborted, type RetryOptions, retryDelayMs, sleep } from './retry.ts';
import type { AppRouter, WhoAmI } from './router.ts';
import { Strangers } from './strangers.ts';
import type { Tokens } from './token.ts';
import type { AttemptFailure } from './upgrade-refusal.ts';
import { VERSION } from './version.ts';
import { CourierWebSocket } from './web-socket.ts';

export interface ConnectionOptions {
  /** The address of the tRPC endpoint: `ws://127.0.0.1:8766/trpc`. */
  readonly url: string;
  readonly tokens: Tokens;
  readonly retry: RetryOptions;
  /** The hash of the contract that the program was built with; null where it is not known. */
  readonly contractHash: string | null;
  readonly trpc: () => TRPCClient<AppRouter>;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
}

/** How often the client tests a silent connection, and how long the answer may take, in ms. */
const KEEP_ALIVE = { enabled: true, intervalMs: 20_000, pongTimeoutMs: 10_000 };
/** How long tRPC's client may take to close, in ms. */
const CLOSE_GRACE_MS = 1000;
/** How long the gateway may take to close a connection after it has refused a call, in ms. */
const REFUSAL_GRACE_MS = 1000;

/** tRPC's client for one WebSocket. */
export type SocketClient = ReturnType<typeof createWSClient>;

export class Connection {
  readonly state = new Value<ConnectionState>({ status: 'idle' });
  readonly #options: ConnectionOptions;
  readonly #strangers: Strangers;
  #socket: SocketClient | undefined;
  /** How often a socket has opened. */
  #openings = 0;
  /** Attempts since the gateway last accepted the client. */
  #attempt = 0;
  /** The last attempt whose failure, or whose lost connection, was noted. */
  #lostAttempt: number | undefined;
  #error: CourierError | undefined;
  /** Whether a gateway has ever accepted the client. */
  #wasAccepted = false;
  /** Ends the present delay early when it aborts. */
  #hurry = new AbortController();
  /** What attempts wait for while the client is refused. */
  #gate: PromiseWithResolvers<void> | undefined;
  /** Aborts with the error when the gateway refuses the client. `connect` replaces it. */
  #refusal = new AbortController();
  /** Aborts when the present connection, or its token, is lost or replaced. */
  #current = new AbortController();
  readonly #closed = new AbortController();
  #token: string | undefined;
  /** Whether the caller has set another token since `#token` was read. */
  #isOutdated = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#strangers = new Strangers(options.url);
  }

  /** Aborts with a CourierError when the gateway refuses the client, or the client is closed. */
  get refusal(): AbortSignal {
    return this.#refusal.signal;
  }

  /** Begins to watch whether anything may be sent. Returns the function that says whether the socket was open since. */
  watch(): () => boolean {
    const openings = this.#openings;
    const wasOpen = this.#socket?.connection?.ws.readyState === WebSocket.OPEN;
    return () => wasOpen || this.#openings > openings;
  }

  /**
   * The error of what had no answer in time.
   *
   * @param wasReached whether the gateway may have had the call: TIMEOUT; otherwise UNREACHABLE, or what the attempts got no further than:
   * TOKEN_UNAVAILABLE, or NOT_FOUND where something else than a gateway answers.
   */
  outOfTime(what: string, timeoutMs: number, wasReached: boolean, last?: CourierError): CourierError {
    const state = this.state.get();
    const cause = (state.status === 'connecting' ? state.error : undefined) ?? last;
    if (!wasReached && (cause?.code === 'TOKEN_UNAVAILABLE' || cause?.code === 'NOT_FOUND')) {
      return cause.with({ message: `${what}: ${cause.message}` });
    }
    if (!wasReached && cause === undefined && this.#options.tokens.isAsked) {
      return new CourierError('TOKEN_UNAVAILABLE', `${what}: the token function did not answer within ${timeoutMs} ms`);
    }
    const { url } = this.#options;
    // An UNREACHABLE says the same as the message, and perhaps the reason.
    const why = cause === undefined ? '' : `: ${cause.message}`.replace(`: no connection to ${url}`, '');
    if (wasReached) return new CourierError('TIMEOUT', `${what}: no answer from ${url} within ${timeoutMs} ms${why}`, { cause });
    return new CourierError('UNREACHABLE', `${what}: ${url} was not reached within ${timeoutMs} ms${why}`, { cause });
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

  /** Makes the next attempt at once: opens the connection, ends a delay, and lifts a refusal. */
  connect(): void {
    void this.socket;
    if (this.#gate !== undefined) {
      this.#options.tokens.reset();
      this.#strangers.reset();
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
   * Gives the present connection a new token; without a connection, the next attempt uses it.
   *
   * @throws {CourierError} UNAUTHORIZED when the gateway does not accept it.
   */
  async renew(): Promise<void> {
    if (this.state.get().status === 'connected') await this.#refresh(this.#current.signal);
    else {
      this.#isOutdated = true;
      this.connect();
    }
  }

  /**
   * Notes that the gateway has answered a call with UNAUTHORIZED: it is refusing the connection, and its close code says whether
   * the client may reconnect. Resolves when the connection is lost. Gives up a connection that the gateway leaves open, unless
   * the gateway has accepted the client: then the answer came over an earlier connection.
   */
  async unauthorized(reason: string): Promise<void> {
    const { signal } = this.#current;
    await sleep(REFUSAL_GRACE_MS, signal).catch(() => undefined);
    if (signal.aborted || this.state.get().status === 'connected') return;
    this.#lost({ code: ERROR_CODES.UNAUTHORIZED.close, reason });
    this.#socket?.connection?.ws.close();
  }

  /** Ends the connection for good, and fails the calls that wait for an answer. Resolves when the socket is closing. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const reason = clientClosed();
    this.#closed.abort(reason);
    this.#current.abort(reason);
    this.state.set({ status: 'closed' });
    this.#refusal.abort(reason);
    const socket = this.#socket;
    if (socket === undefined) return;
    const attempt = socket.connection?.ws;
    if (attempt?.readyState === WebSocket.CONNECTING) attempt.close();
    // tRPC's client may start one more attempt while it closes, and wait for it.
    await orAborted(socket.close(), AbortSignal.timeout(CLOSE_GRACE_MS)).catch(() => undefined);
  }

  #open(): SocketClient {
    // A network that is back is worth an attempt at once.
    const page = globalThis as Partial<EventTarget>;
    page.addEventListener?.('online', () => this.#hurry.abort(), { signal: this.#closed.signal });
    const socket = createWSClient({
      url: () => this.#mayTry(),
      connectionParams: () => ({
        token: this.#token as string,
        client: `courier-client-typescript/${VERSION}`,
        ...(this.#options.contractHash !== null && { contract: this.#options.contractHash }),
      }),
      WebSocket: CourierWebSocket,
      retryDelayMs: () => 0,
      keepAlive: KEEP_ALIVE,
      onOpen: () => {
        this.#openings += 1;
        void this.#introduce();
      },
    });
    socket.connectionState.subscribe({
      next: ({ state, error }) => {
        if (state === 'connecting' && error) this.#lost(error.cause?.cause);
      },
    });
    return socket;
  }

  /** Resolves to the URL when tRPC's client may make an attempt. */
  async #mayTry(): Promise<string> {
    const closed = this.#closed.signal;
    // tRPC's client tries again at once when this promise rejects, even when it was closed.
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
        this.#strangers.reset();
        if (error.retryable) {
          this.#error = error;
          this.#options.onRetry(error);
        } else this.#refuse(error);
      }
    }
  }

  /** Waits with full jitter before every attempt but the first, and for as long as the gateway asked. A gateway that asks a connected client to move paces that itself. */
  async #delay(): Promise<void> {
    const { retry } = this.#options;
    const attempt = this.#attempt;
    const error = this.#error;
    this.#attempt += 1;
    if (attempt === 0 && error === undefined) return;
    const isBusy = closeMeaning(error?.closeCode)?.reconnect === 'after-delay';
    const askedMs = error === undefined ? 0 : askedDelayMs(error);
    const delayMs = Math.max(isBusy ? retry.busyDelayMs : 0, askedMs) + jitter(retry, attempt);
    this.#connecting({ attempt, error, retryAt: Date.now() + delayMs });
    this.#hurry = new AbortController();
    await sleep(delayMs, AbortSignal.any([this.#hurry.signal, this.#closed.signal])).catch(() => undefined);
    this.#closed.signal.throwIfAborted();
    this.#connecting({ attempt, error });
  }

  /** Sets the state, unless the connection still serves while tRPC's client replaces it. */
  #connecting({ error, ...rest }: { attempt: number; error?: CourierError | undefined; retryAt?: number }): void {
    if (this.state.get().status === 'connected' && !this.#current.signal.aborted) return;
    this.state.set({ status: 'connecting', ...rest, ...(error && { error }) });
  }

  /** @param event the end of the connection or of the attempt: a CloseEvent, an Event, or what was thrown. */
  #lost(event: unknown): void {
    if (this.#closed.signal.aborted || this.#gate !== undefined) return;
    // tRPC's client reports one failure several times: as an error, as a close, and as a failed attempt.
    if (this.#lostAttempt === this.#attempt) return;
    this.#lostAttempt = this.#attempt;
    this.#current.abort();
    const { code, reason } = closeOf(event);
    const failure = failureOf(event);
    const { url } = this.#options;
    const stranger = this.#wasAccepted ? undefined : this.#strangers.note(failure);
    const error = stranger ?? (failure === undefined ? closeError(code, reason, url) : attemptError(failure, url));
    this.#error = error;
    const reconnect = closeMeaning(code)?.reconnect;
    const isOver =
      stranger?.retryable === false ||
      reconnect === 'no' ||
      (reconnect === 'with-new-token' && !this.#options.tokens.refused(this.#token) && !this.#isOutdated);
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
    // Before the state: a listener of the state may call `connect` at once.
    this.#refusal.abort(error);
    this.state.set({ status: 'refused', error });
  }

  /** Asks the gateway who the client is. The answer proves that the token is accepted; from then on the client renews it in time. */
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
        await sleep(retryDelayMs(error, this.#options.retry, attempt), signal).catch(() => undefined);
      }
    }
  }

  #accepted({ sub, role, expires_at: expiresAt, expires_in_ms: expiresInMs, contract }: WhoAmI, signal: AbortSignal): void {
    this.#attempt = 0;
    this.#lostAttempt = undefined;
    this.#error = undefined;
    this.#wasAccepted = true;
    this.#options.tokens.accepted();
    const client = this.#options.contractHash;
    const match = { client, gateway: contract, same: client === null || contract === client };
    this.state.set({ status: 'connected', identity: { sub, role, expiresAt }, contract: match });
    if (!this.#isOutdated && !this.#options.tokens.renewable) return;
    const delayMs = this.#isOutdated ? 0 : renewalDelayMs(expiresInMs);
    void renewAfter(delayMs, signal, { ...this.#options, refresh: (current) => this.#refresh(current) });
  }

  /** @returns false when the token source still gives the present token. */
  async #refresh(signal: AbortSignal): Promise<boolean> {
    this.#isOutdated = false;
    const token = await this.#options.tokens.get();
    if (token === this.#token) return false;
    const answer = await this.#options.trpc().auth.refresh.mutate({ token }, { signal }).catch(throwCourierError);
    if (signal.aborted) return true;
    this.#token = token;
    // The new token has a new time of renewal.
    this.#current.abort();
    this.#current = new AbortController();
    this.#accepted(answer, this.#current.signal);
    return true;
  }
}

/** Why the attempt failed whose end this is, as far as that is known. */
function failureOf(event: unknown): AttemptFailure | undefined {
  const target = event instanceof Event ? event.target : undefined;
  return target instanceof CourierWebSocket ? target.failure : undefined;
}
