/**
 * One watch of states, and what the components with equal options show of it, from `start` to `close`. What it shows changes only in
 * `flush`, so that any number of changes costs one render.
 */
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import { type CourierError, courierErrorFrom } from '../errors.ts';
import type { StateMap } from '../state-map.ts';
import type { AnyConditions } from '../state-selection.ts';
import type { Present } from '../state-table.ts';
import { conditionOf, mayPass } from './state.ts';
import type { Store } from './stores.ts';

/** What a store shows. */
export interface EntityStoreOptions {
  readonly channels: readonly string[];
  readonly entity: string;
  readonly conditions: AnyConditions;
}

/** The same object until something changes. */
export interface EntitySnapshot {
  readonly items: readonly Present[];
  readonly isReady: boolean;
  readonly error: CourierError | undefined;
}

export const NOT_READY: EntitySnapshot = { items: [], isReady: false, error: undefined };

export class EntityStore implements Store<EntitySnapshot, () => void> {
  readonly #client: AnyCourierClient;
  readonly #options: EntityStoreOptions;
  /** Called when `flush` has something to show. */
  readonly #changed: () => void;
  readonly #subscribers = new Set<() => void>();
  #unwatch: (() => void) | undefined;
  /** The present watch; undefined once it has failed. */
  #map: StateMap | undefined;
  /** The error of the last watch, until another one is ready. */
  #failure: CourierError | undefined;
  #isClosed = false;
  #snapshot = NOT_READY;

  constructor(client: AnyCourierClient, options: EntityStoreOptions, changed: () => void) {
    this.#client = client;
    this.#options = options;
    this.#changed = changed;
  }

  get snapshot(): EntitySnapshot {
    return this.#snapshot;
  }

  get hasSubscribers(): boolean {
    return this.#subscribers.size > 0;
  }

  start(): void {
    this.#unwatch = this.#client.connection.subscribe((connection) => this.#follow(connection));
    this.#watch();
    // The program may watch the same: then it is there.
    this.flush();
  }

  add(subscriber: () => void): void {
    this.#subscribers.add(subscriber);
  }

  remove(subscriber: () => void): void {
    this.#subscribers.delete(subscriber);
  }

  flush(): void {
    const shown = this.#snapshot;
    if (this.#map?.isReady) this.#failure = undefined;
    const { items, isReady } = this.#map?.isReady ? { items: this.#map.items() as readonly Present[], isReady: true } : shown;
    const error = this.#failure ?? refusalOf(this.#client.connection.get());
    if (items === shown.items && isReady === shown.isReady && error === shown.error) return;
    this.#snapshot = { items, isReady, error };
    for (const onChange of [...this.#subscribers]) onChange();
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch?.();
    this.#map?.close();
  }

  #watch(): void {
    const { channels, entity, conditions } = this.#options;
    try {
      // What the options are was checked when the store's key was made.
      const map = this.#client.state(channels, entity, { ...(conditions as object), whenRefused: 'wait' }) as unknown as StateMap;
      this.#map = map;
      map.subscribe(() => {
        if (map.error !== undefined) this.#fail(map.error);
        this.#changed();
      });
    } catch (error) {
      this.#fail(courierErrorFrom(error));
    }
  }

  #fail(error: CourierError): void {
    this.#failure = error;
    this.#map = undefined;
  }

  /** Watches again once the gateway that was away is back, and with each token that the gateway accepts. */
  #follow({ status }: ConnectionState): void {
    if (this.#isClosed) return;
    if (status === 'connected' && this.#map === undefined && mayPass(this.#failure)) this.#watch();
    this.#changed();
  }
}

function refusalOf(connection: ConnectionState): CourierError | undefined {
  const { status, error } = conditionOf(connection);
  return status === 'failed' ? error : undefined;
}
