/** The stores of a client: components with equal options share one, from the first subscriber to the last. */
import type { AnyCourierClient } from '../client.ts';
import { sortedFilter } from '../filter.ts';
import { assertOptions, HOOK_CHECKS } from '../option-checks.ts';
import type { FilterOptions } from '../options.ts';
import { ChannelStore, type StoreOptions, type Subscriber } from './channel-store.ts';
import { CONNECTING, type Snapshot } from './state.ts';

/** The shortest time between two changes of the snapshots, in ms: a frame of most screens. */
const FRAME_MS = 16;
const DEFAULT_HISTORY = 100;

/** The options of a store as JSON, which is the same for equal options. */
export type StoreKey = string;

/** @throws {CourierError} INVALID_ARGUMENT, naming the option that is wrong. */
export function storeKey(
  channels: readonly string[],
  options: FilterOptions<string> & { readonly history?: number | undefined },
): StoreKey {
  assertOptions(options, HOOK_CHECKS);
  const { types, from = 'now', lastEventId, history = DEFAULT_HISTORY } = options;
  return JSON.stringify({ ...sortedFilter({ channels, types, from }), lastEventId, history } satisfies StoreOptions);
}

export class Stores {
  readonly #client: AnyCourierClient;
  readonly #stores = new Map<StoreKey, ChannelStore>();
  /** The stores with changes to show, which all flush at once. */
  readonly #changed = new Set<ChannelStore>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(client: AnyCourierClient) {
    this.#client = client;
  }

  /** Adds a subscriber to its store, and opens the store for the first one. Returns the function that removes the subscriber. */
  subscribe(key: StoreKey, subscriber: Subscriber): () => void {
    const store = this.#stores.get(key) ?? this.#open(key);
    store.add(subscriber);
    return () => {
      store.remove(subscriber);
      // StrictMode, or a component that replaces another, subscribes again before this.
      queueMicrotask(() => {
        if (!store.hasSubscribers && this.#stores.get(key) === store) this.#close(key, store);
      });
    };
  }

  snapshot(key: StoreKey): Snapshot {
    return this.#stores.get(key)?.snapshot ?? CONNECTING;
  }

  clear(key: StoreKey): void {
    this.#stores.get(key)?.clear();
  }

  #open(key: StoreKey): ChannelStore {
    const store: ChannelStore = new ChannelStore(this.#client, JSON.parse(key) as StoreOptions, () => this.#change(store));
    this.#stores.set(key, store);
    store.start();
    return store;
  }

  #close(key: StoreKey, store: ChannelStore): void {
    this.#stores.delete(key);
    this.#changed.delete(store);
    store.close();
  }

  #change(store: ChannelStore): void {
    this.#changed.add(store);
    const delayMs = Math.max(0, this.#shownAt + FRAME_MS - performance.now());
    this.#timer ??= setTimeout(() => this.#show(), delayMs);
  }

  #show(): void {
    this.#timer = undefined;
    this.#shownAt = performance.now();
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const store of changed) store.flush();
  }
}

const storesByClient = new WeakMap<AnyCourierClient, Stores>();

export function storesOf(client: AnyCourierClient): Stores {
  const stores = storesByClient.get(client) ?? new Stores(client);
  storesByClient.set(client, stores);
  return stores;
}
