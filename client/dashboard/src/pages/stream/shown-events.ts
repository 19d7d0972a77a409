/**
 * The events of some channels, from the latest on: the page's end of a subscription.
 *
 * - **Start.** It asks for the position of the newest event, reads history backwards from the head, and subscribes after
 *   that position. An event published in between comes both ways, and is added once.
 * - **Live.** It keeps the newest MAX_ROWS events that its filter selects, and shows changes a few times a second.
 * - **Paused.** It keeps up to MAX_PAUSED_EVENTS events, and then takes no more: they wait in the client, and then in the log. So a
 *   pause of any length loses nothing, and costs bounded memory.
 */

import { CourierError, type Gap, type Subscription } from '@lumiere/courier-client';
import { isAbout, type KeyOfThing } from '../../contract/entities.ts';
import type { Client, ServedEvent } from '../../contract/served.ts';
import { messageOf } from '../../parts/format.ts';
import { reasonOf } from '../../parts/gap-reason.ts';

export interface ShownEventsOptions {
  readonly channels: readonly string[];
  readonly types?: readonly string[] | undefined;
  /** Only events with this source in their metadata. It checks `source`, `user`, `correlation` and `about`; the gateway does not. */
  readonly source?: string | undefined;
  readonly user?: string | undefined;
  readonly correlation?: string | undefined;
  /** Only events about this thing: those with its key. */
  readonly about?: KeyOfThing | undefined;
  /** A position: start after this event. */
  readonly after?: string | undefined;
  /** Events of history that one search reads, at most. */
  readonly searchLimit?: number;
}

export type Row =
  | { readonly kind: 'event'; readonly id: string; readonly event: ServedEvent }
  | { readonly kind: 'gap'; readonly id: string; readonly gap: Gap };

export interface ShownEventsState {
  /** Oldest first. */
  readonly rows: readonly Row[];
  readonly status: 'loading' | 'live' | 'failed';
  /** The error, once it has failed. */
  readonly error?: CourierError | undefined;
  readonly isPaused: boolean;
  /** The held events; `hasMore` when more may wait in the client or in the log. */
  readonly held: { readonly count: number; readonly hasMore: boolean };
  /** Whether history has more events, and how far back it has searched it. */
  readonly earlier: { readonly status: 'loading' | 'more' | 'end' | 'failed'; readonly back?: Date; readonly error?: CourierError };
}

/** Rows that it keeps, at most. */
export const MAX_ROWS = 10_000;
/** Events that it keeps while it is paused, at most. */
export const MAX_PAUSED_EVENTS = 5000;
/** Events of history to show at once. */
const PAGE = 100;
/** Events of one page of history when the filter may reject most of them. */
const SEARCH_PAGE = 1000;
const SEARCH_LIMIT = 5000;
/** The interval of changes on the page, in ms: it looks smooth, and is cheap at any rate of events. */
const FLUSH_MS = 100;

const LOADING: ShownEventsState = {
  rows: [],
  status: 'loading',
  isPaused: false,
  held: { count: 0, hasMore: false },
  earlier: { status: 'loading' },
};

export class ShownEvents {
  readonly #client: Client;
  readonly #options: ShownEventsOptions;
  readonly #listeners = new Set<() => void>();
  #state = LOADING;
  #rows: Row[] = [];
  #status: ShownEventsState['status'] = 'loading';
  #error: CourierError | undefined;
  #earlier: ShownEventsState['earlier'] = LOADING.earlier;
  /** The next page of history ends before this position; without one, at the head. */
  #before: string | undefined;
  /** The events of history that the subscription may give again. */
  #known = new Set<string>();
  #held: Row[] = [];
  /** Resolves at the end of the pause; undefined when it is not paused. */
  #resumed: PromiseWithResolvers<void> | undefined;
  #flush: ReturnType<typeof setTimeout> | undefined;
  #run = new AbortController();

  constructor(client: Client, options: ShownEventsOptions) {
    this.#client = client;
    this.#options = options;
  }

  readonly get = (): ShownEventsState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Starts it, also after it was closed. Returns the function that closes it. */
  open(): () => void {
    const run = new AbortController();
    this.#run = run;
    this.#rows = [];
    this.#known = new Set();
    this.#held = [];
    this.#before = undefined;
    this.#status = 'loading';
    this.#error = undefined;
    this.#earlier = LOADING.earlier;
    void this.#begin(run.signal);
    return () => {
      run.abort();
      this.resume();
      clearTimeout(this.#flush);
      this.#flush = undefined;
    };
  }

  pause(): void {
    if (this.#resumed !== undefined) return;
    this.#resumed = Promise.withResolvers();
    this.#changed();
  }

  resume(): void {
    if (this.#resumed === undefined) return;
    const held = this.#held;
    this.#held = [];
    for (const row of held) this.#add(row);
    this.#resumed.resolve();
    this.#resumed = undefined;
    this.#changed();
  }

  /** Removes all rows. */
  clear(): void {
    this.#before = this.#rows.at(-1)?.id ?? this.#before;
    this.#rows = [];
    this.#earlier = { status: 'more' };
    this.#changed();
  }

  /** Reads history until it finds a page of rows, reaches the end of history, or has read as much as one search may. */
  async loadEarlier(): Promise<void> {
    const { signal } = this.#run;
    const { channels, types, source, user, correlation, about, searchLimit = SEARCH_LIMIT } = this.#options;
    const isFiltered = [source, user, correlation, about].some((condition) => condition !== undefined);
    this.#earlier = { ...this.#earlier, status: 'loading' };
    this.#changed();
    try {
      let found = 0;
      for (let looked = 0; looked < searchLimit && found < PAGE && this.#rows.length < MAX_ROWS; ) {
        const limit = isFiltered ? SEARCH_PAGE : PAGE;
        const page = await this.#client.history(channels, { order: 'newest', before: this.#before, types, limit, signal });
        const rows = page.events.filter((event) => this.#selects(event)).map(rowOf);
        const gap = this.#gapBefore(page.gap);
        if (gap !== undefined) rows.unshift(gap);
        if (this.#status === 'loading') for (const { id } of rows) this.#known.add(id);
        this.#rows.unshift(...rows.reverse());
        this.#before = page.next;
        found += rows.length;
        looked += limit;
        const back = page.events.at(-1)?.metadata.timestamp ?? this.#earlier.back;
        this.#earlier = { status: page.has_more ? 'loading' : 'end', ...(back && { back }) };
        this.#changed();
        if (!page.has_more) return;
      }
      this.#earlier = { ...this.#earlier, status: 'more' };
    } catch (thrown) {
      if (signal.aborted) return;
      this.#earlier = { ...this.#earlier, status: 'failed', error: errorOf(thrown) };
    }
    this.#changed();
  }

  /**
   * The gap between the shown events and the page of history before them.
   *
   * @throws {CourierError} GAP when the shown events are of another log: the events of this one do not precede them.
   */
  #gapBefore(gap: Gap | null): Row | undefined {
    if (gap === null) return undefined;
    if (gap.reason !== 'unreadable') throw new CourierError('GAP', `this page goes no further back: ${reasonOf(gap)}`, { gap });
    // Of what comes after the newest event that can be read, the subscription tells.
    return this.#status === 'loading' && this.#before === undefined ? undefined : gapRowOf(gap);
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { channels, after } = this.#options;
    try {
      if (after === undefined) {
        const newest = await this.#client.history(channels, { order: 'newest', limit: 1, signal });
        await this.loadEarlier();
        const [event] = newest.events;
        if (!signal.aborted) this.#subscribe(signal, event === undefined ? { from: 'earliest' } : { lastEventId: event.id });
      } else {
        this.#before = after;
        this.#earlier = { status: 'more' };
        this.#subscribe(signal, { lastEventId: after });
      }
    } catch (thrown) {
      this.#fail(signal, thrown);
    }
  }

  #subscribe(signal: AbortSignal, start: { readonly from: 'earliest' } | { readonly lastEventId: string }): void {
    const { channels, types } = this.#options;
    const subscription: Subscription = this.#client.subscribe(channels, (event) => this.#receive(event), {
      ...start,
      types,
      signal,
      whenRefused: 'wait',
      onGap: (gap) => this.#take(gapRowOf(gap)),
      onError: (error) => this.#fail(signal, error),
    });
    const live = () => {
      if (signal.aborted) return;
      this.#status = 'live';
      this.#known.clear();
      this.#changed();
    };
    subscription.live.then(live, () => undefined);
  }

  /** @returns a promise that the client waits for before it gives more events, once it holds enough. */
  #receive(event: ServedEvent): Promise<void> | undefined {
    if (!this.#selects(event) || this.#known.has(event.id)) return undefined;
    this.#take(rowOf(event));
    return this.#held.length >= MAX_PAUSED_EVENTS ? this.#resumed?.promise : undefined;
  }

  #take(row: Row): void {
    if (this.#resumed === undefined) this.#add(row);
    else this.#held.push(row);
    this.#changed();
  }

  /** Adds a row, and removes the oldest rows when there are too many; history has them again. */
  #add(row: Row): void {
    this.#rows.push(row);
    if (this.#rows.length <= MAX_ROWS + PAGE) return;
    this.#rows.splice(0, this.#rows.length - MAX_ROWS);
    this.#before = this.#rows[0]?.id;
    this.#earlier = { status: 'more' };
  }

  #selects(event: ServedEvent): boolean {
    const { source, user, correlation, about } = this.#options;
    const { metadata } = event;
    if (about !== undefined && !isAbout(about, event)) return false;
    if (source !== undefined && metadata.source !== source) return false;
    if (user !== undefined && metadata.user_id !== user) return false;
    return correlation === undefined || metadata.correlation_id === correlation;
  }

  #fail(signal: AbortSignal, thrown: unknown): void {
    if (signal.aborted) return;
    this.#status = 'failed';
    this.#error = errorOf(thrown);
    this.#changed();
  }

  #changed(): void {
    if (this.#run.signal.aborted) return;
    this.#flush ??= setTimeout(() => {
      this.#flush = undefined;
      this.#state = {
        rows: [...this.#rows],
        status: this.#status,
        error: this.#error,
        isPaused: this.#resumed !== undefined,
        held: { count: this.#held.length, hasMore: this.#held.length >= MAX_PAUSED_EVENTS },
        earlier: this.#earlier,
      };
      for (const listener of this.#listeners) listener();
    }, FLUSH_MS);
  }
}

function rowOf(event: ServedEvent): Row {
  return { kind: 'event', id: event.id, event };
}

function gapRowOf(gap: Gap): Row {
  return { kind: 'gap', id: gap.resumed_from, gap };
}

function errorOf(thrown: unknown): CourierError {
  return thrown instanceof CourierError ? thrown : new CourierError('INVALID_ARGUMENT', messageOf(thrown));
}
