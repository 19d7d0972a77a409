/**
 * The present state of things, and its changes as they come: the page's end of a watch.
 *
 * - **Start.** Everything that is selected is given, those that changed last at the end, and then `state.ready`. What came is shown
 *   meanwhile.
 * - **Live.** Each item takes the place of the earlier one with its name. It keeps the MAX_THINGS that changed last, and shows changes
 *   twice a second.
 * - **Anew.** After `state.reset` the old is shown until the whole is there again. A start that the loss of the connection broke off
 *   begins anew too: what it gave may be gone since.
 */
import { CourierError, TRPCClientError } from '@lumiere/courier-client';
import { ERROR_CODES } from '../../../../../src/contract/codes.ts';
import type { StateItem, StateNotice } from '../../../../../src/contract/envelope.ts';
import type { Client } from '../../contract/served.ts';
import { messageOf } from '../../parts/format.ts';

export interface WatchedStateOptions {
  readonly channels: readonly string[];
  readonly entity: string;
  /** Only things with this key. */
  readonly key?: string | undefined;
  /** Only what is open. */
  readonly open?: boolean | undefined;
}

export interface Thing {
  /** The position of its last change. */
  readonly id: string;
  readonly channel: string;
  readonly entity: string;
  readonly key: string;
  readonly open: boolean;
  readonly state: Readonly<Record<string, unknown>>;
}

export interface WatchedStateState {
  readonly things: readonly Thing[];
  readonly status: 'loading' | 'live' | 'failed';
  /** Why it has failed, or why it tries again. */
  readonly error: string | undefined;
  /** Since when what is shown may be old, in ms since 1970; undefined while it is not. */
  readonly oldSince: number | undefined;
  /** Where not all are kept: how many there were in the beginning. */
  readonly cut: { readonly total: number } | undefined;
}

type Received = StateItem<string, string, object> | StateNotice;

/** Things that it keeps, at most. */
export const MAX_THINGS = 5000;
/** It removes some at once. */
const SLACK = 500;
/** How often the page changes, and how often the gateway tells of one thing. */
const FLUSH_MS = 500;
const MAX_PER_SECOND = 2;
/** The delay before another attempt, in ms, where the gateway does not say. */
const RETRY_MS = 2000;

const LOADING: WatchedStateState = { things: [], status: 'loading', error: undefined, oldSince: undefined, cut: undefined };

export class WatchedState {
  readonly #client: Client;
  readonly #options: WatchedStateOptions;
  readonly #listeners = new Set<() => void>();
  #state = LOADING;
  /** By channel and key, those that changed last at the end. */
  #things = new Map<string, Thing>();
  /** What is given anew, until all of it is there. */
  #anew: Map<string, Thing> | undefined;
  /** How many there were, once some are left out. */
  #total = 0;
  #isCut = false;
  #status: WatchedStateState['status'] = 'loading';
  #error: string | undefined;
  #oldSince: number | undefined;
  /** What the gateway has told goes on behind this; undefined until all is there. */
  #position: string | undefined;
  #flush: ReturnType<typeof setTimeout> | undefined;
  #run = new AbortController();

  constructor(client: Client, options: WatchedStateOptions) {
    this.#client = client;
    this.#options = options;
  }

  readonly get = (): WatchedStateState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Starts it, also after it was closed. Returns the function that closes it. */
  open(): () => void {
    const run = new AbortController();
    this.#run = run;
    this.#things = new Map();
    this.#anew = undefined;
    this.#isCut = false;
    this.#status = 'loading';
    this.#error = undefined;
    this.#oldSince = undefined;
    this.#position = undefined;
    this.#watch(run.signal);
    return () => {
      run.abort();
      clearTimeout(this.#flush);
      this.#flush = undefined;
    };
  }

  #watch(signal: AbortSignal): void {
    const { channels, entity, key, open } = this.#options;
    const attempt = new AbortController();
    const ended = AbortSignal.any([signal, attempt.signal]);
    const input = {
      channels: [...channels],
      entities: [entity],
      ...(key !== undefined && { keys: [key] }),
      ...(open === true && { open }),
      max_per_second: MAX_PER_SECOND,
      ...(this.#position !== undefined && { lastEventId: this.#position }),
    };
    const again = (delayMs: number) => {
      attempt.abort();
      if (this.#position === undefined) this.#beginAnew();
      const timer = setTimeout(() => this.#watch(signal), delayMs);
      signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    };
    const failed = (thrown: unknown) => {
      if (ended.aborted) return;
      const { isFinal, delayMs } = outcomeOf(thrown);
      this.#error = messageOf(thrown);
      if (isFinal) {
        attempt.abort();
        this.#status = 'failed';
      } else {
        this.#noteOld();
        again(delayMs);
      }
      this.#changed();
    };
    let hasBegun = false;
    const watching = this.#client.trpc.state.watch.subscribe(input, {
      signal: ended,
      onData: ({ id, data }) => {
        if (ended.aborted) return;
        hasBegun = true;
        this.#take(id, data as Received);
      },
      onError: failed,
      onComplete: () => failed(new CourierError('UNREACHABLE', 'the gateway has ended it')),
      onConnectionStateChange: ({ state }) => {
        if (ended.aborted || state !== 'connecting' || !hasBegun) return;
        this.#noteOld();
        if (this.#position === undefined) again(0);
        this.#changed();
      },
    });
    ended.addEventListener('abort', () => watching.unsubscribe(), { once: true });
  }

  #take(id: string, data: Received): void {
    if (data.type === undefined) this.#put(data);
    else if (data.type === 'state.ready') this.#complete(data.data);
    else if (data.type === 'state.reset') this.#beginAnew();
    if (this.#position !== undefined) this.#position = id;
    this.#changed(data.type === 'state.ready');
  }

  #put({ id, channel, entity, key, open, state }: StateItem<string, string, object>): void {
    const things = this.#anew ?? this.#things;
    const name = `${channel} ${key}`;
    things.delete(name);
    if (state === null) return;
    things.set(name, { id, channel, entity, key, open, state: state as Thing['state'] });
    this.#isCut ||= things.size > MAX_THINGS;
    if (things.size <= MAX_THINGS + SLACK) return;
    for (const oldest of things.keys()) {
      if (things.size <= MAX_THINGS) break;
      things.delete(oldest);
    }
  }

  #complete({ position, items }: { readonly position: string; readonly items: number }): void {
    if (this.#position === undefined) this.#total = items;
    this.#position = position;
    this.#things = this.#anew ?? this.#things;
    this.#anew = undefined;
    this.#status = 'live';
    this.#error = undefined;
    this.#oldSince = undefined;
  }

  #beginAnew(): void {
    this.#position = undefined;
    this.#anew = new Map();
    this.#isCut = false;
  }

  #noteOld(): void {
    if (this.#status === 'live') this.#oldSince ??= Date.now();
  }

  #changed(isAtOnce = false): void {
    if (this.#run.signal.aborted) return;
    const show = () => {
      this.#flush = undefined;
      this.#state = {
        things: [...this.#things.values()].slice(-MAX_THINGS),
        status: this.#status,
        error: this.#error,
        oldSince: this.#oldSince,
        cut: this.#isCut ? { total: Math.max(this.#total, this.#things.size) } : undefined,
      };
      for (const listener of this.#listeners) listener();
    };
    if (isAtOnce) {
      clearTimeout(this.#flush);
      show();
    } else this.#flush ??= setTimeout(show, FLUSH_MS);
  }
}

/** Whether the same watch may succeed later, and when. */
function outcomeOf(thrown: unknown): { readonly isFinal: boolean; readonly delayMs: number } {
  if (thrown instanceof CourierError) return { isFinal: !thrown.retryable, delayMs: thrown.retryAfterMs ?? RETRY_MS };
  if (!(thrown instanceof TRPCClientError)) return { isFinal: false, delayMs: RETRY_MS };
  if (thrown.cause instanceof CourierError) return outcomeOf(thrown.cause);
  const { code = '', retryAfterMs } = (thrown.data ?? {}) as { readonly code?: string; readonly retryAfterMs?: number };
  const meaning = Object.hasOwn(ERROR_CODES, code) ? ERROR_CODES[code as keyof typeof ERROR_CODES] : undefined;
  return { isFinal: meaning?.retry === false, delayMs: Math.max(retryAfterMs ?? 0, RETRY_MS) };
}
