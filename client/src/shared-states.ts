/**
 * The watches of states that the client has at the gateway. Maps of equal selections share one.
 *
 * A watch is either **beginning** or **following**. While it begins, a table of its own is filled, and what was shown before is shown on;
 * `state.ready` puts the table in its place, and from then on each change goes into it. So what is shown is always the whole state. It
 * begins at first, after `state.reset`, and wherever a beginning was interrupted: a position within it says not enough to go on from.
 */
import type { TRPCClient } from '@trpc/client';
import type { Unsubscribable } from '@trpc/server/observable';
import type { StateNotice } from '../../src/contract/envelope.ts';
import type { EntityName } from './contract.ts';
import type { CourierError } from './errors.ts';
import { WAITS_WHEN_REFUSED } from './links.ts';
import { RetriedSubscription, type SubscriptionEnds } from './retried-subscription.ts';
import type { RetryOptions } from './retry.ts';
import type { AppRouter } from './router.ts';
import type { Selection } from './state-selection.ts';
import { type Present, StateTable } from './state-table.ts';

export interface SharedStateOptions {
  readonly trpc: TRPCClient<AppRouter>;
  readonly retry: RetryOptions;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
}

/** Who shows a state. */
export interface StateHolder {
  /** Something has changed; many changes of one turn of the event loop are one call. */
  changed(): void;
  fail(error: CourierError): void;
}

export class SharedStates {
  readonly #options: SharedStateOptions;
  /** By selection as JSON. */
  readonly #shared = new Map<string, SharedState>();

  constructor(options: SharedStateOptions) {
    this.#options = options;
  }

  /** The state of a selection, which the holder starts; end the holder's part in it with `remove`. */
  of(selection: Selection, holder: StateHolder): SharedState {
    const key = JSON.stringify(selection);
    const known = this.#shared.get(key);
    const shared = known ?? new SharedState(this.#options, selection, () => this.#shared.delete(key));
    shared.add(holder);
    this.#shared.set(key, shared);
    return shared;
  }
}

export class SharedState {
  readonly #options: SharedStateOptions;
  readonly #selection: Selection;
  readonly #onClosed: () => void;
  readonly #holders = new Set<StateHolder>();
  readonly #subscription: RetriedSubscription;
  #table = new StateTable();
  /** What is being given; undefined while it follows. */
  #coming: { readonly table: StateTable; received: number } | undefined;
  #lastEventId: string | undefined;
  #isReady = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SharedStateOptions, selection: Selection, onClosed: () => void) {
    this.#options = options;
    this.#selection = selection;
    this.#onClosed = onClosed;
    this.#subscription = new RetriedSubscription({
      ...options,
      subscribe: (ends) => this.#subscribe(ends),
      onFailed: (error) => this.#failed(error),
    });
  }

  get table(): StateTable {
    return this.#table;
  }

  /** Whether the table is the state: it has been given once. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Begins the watch, unless another holder has. */
  start(): void {
    if (this.#coming === undefined && !this.#isReady) this.#begin();
  }

  #begin(): void {
    this.#coming = { table: new StateTable(), received: 0 };
    this.#subscription.begin();
  }

  add(holder: StateHolder): void {
    this.#holders.add(holder);
  }

  /** Returns what the holder may show on: nothing changes it any more. */
  remove(holder: StateHolder): StateTable {
    this.#holders.delete(holder);
    if (this.#holders.size > 0) return this.#table.copy();
    this.#close();
    return this.#table;
  }

  #close(): void {
    clearTimeout(this.#timer);
    if (this.#subscription.isClosed) return;
    this.#onClosed();
    this.#subscription.close();
  }

  #subscribe(ends: SubscriptionEnds): Unsubscribable {
    const { entities, ...selection } = this.#selection;
    // An attempt that failed within a beginning is of no use.
    if (this.#coming !== undefined) this.#coming = { table: new StateTable(), received: 0 };
    const input = {
      ...selection,
      // Which entities there are is known to the compiler only.
      entities: [...entities] as EntityName[],
      ...(this.#coming === undefined && this.#lastEventId !== undefined && { lastEventId: this.#lastEventId }),
    };
    return this.#options.trpc.state.watch.subscribe(input, {
      ...ends,
      context: WAITS_WHEN_REFUSED,
      onData: ({ id, data }) => {
        this.#subscription.succeeded();
        this.#lastEventId = id;
        if (data.type === undefined) this.#take(data as Present);
        else this.#notice(data);
      },
      onConnectionStateChange: ({ state }) => {
        // tRPC's client would go on in the middle.
        if (state === 'connecting' && this.#coming !== undefined && this.#coming.received > 0) this.#begin();
      },
    });
  }

  #take(told: Present): void {
    if (this.#coming !== undefined) {
      this.#coming.received += 1;
      this.#coming.table.take(told);
    } else if (this.#table.take(told)) this.#changed();
  }

  #notice(notice: StateNotice): void {
    if (notice.type === 'state.reset') {
      this.#coming = { table: new StateTable(), received: 0 };
      return;
    }
    if (this.#coming === undefined) return;
    const { table, received } = this.#coming;
    if (received > notice.data.items) {
      // It has moved to another connection on the way, and some of it was given before that.
      this.#begin();
      return;
    }
    table.keepFrom(this.#table);
    this.#table = table;
    this.#coming = undefined;
    this.#isReady = true;
    this.#changed();
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const holder of [...this.#holders]) holder.changed();
    });
  }

  #failed(error: CourierError): void {
    this.#onClosed();
    for (const holder of [...this.#holders]) holder.fail(error);
  }
}
