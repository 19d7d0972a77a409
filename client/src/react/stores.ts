/** The stores of a client: components with equal options share one, from the first subscriber to the last. */
import type { AnyCourierClient } from '../client.ts';
import { sortedFilter } from '../filter.ts';
import { assertOptions, HOOK_CHECKS } from '../option-checks.ts';
import type { FilterOptions } from '../options.ts';
import { ChannelStore, type StoreOptions, type Subscriber } from './channel-store.ts';
import { Frames } from './frames.ts';
import type { Snapshot } from './state.ts';

const DEFAULT_HISTORY = 100;

/** The options of a store as JSON, which is the same for equal options. */
export type StoreKey = string;

/**
 * @param startsWithLatest whether it starts with the latest event that is stored, where the options do not say it.
 * @throws {CourierError} INVALID_ARGUMENT, naming the option that is wrong.
 */
export function storeKey(
  channels: readonly string[],
  options: FilterOptions<string> & { readonly history?: number | undefined },
  startsWithLatest = false,
): StoreKey {
  assertOptions(options, HOOK_CHECKS);
  const { types, from, lastEventId, history = DEFAULT_HISTORY } = options;
  const isOpen = from === undefined && lastEventId === undefined;
  const filter = sortedFilter({ channels, types, from: from ?? 'now' });
  return JSON.stringify({ ...filter, lastEventId, history, startsWithLatest: startsWithLatest && isOpen } satisfies StoreOptions);
}

/** What components show, from `start` to `close`. */
export interface Store<TSnapshot, TSubscriber> {
  readonly snapshot: TSnapshot;
  readonly hasSubscribers: boolean;
  start(): void;
  add(subscriber: TSubscriber): void;
  remove(subscriber: TSubscriber): void;
  /** Shows what has changed. */
  flush(): void;
  close(): void;
}

export class Stores<TSnapshot, TSubscriber, TStore extends Store<TSnapshot, TSubscriber>> {
  readonly #make: (key: StoreKey, changed: () => void) => TStore;
  readonly #stores = new Map<StoreKey, TStore>();
  /** The stores with changes to show, which all flush at once. */
  readonly #changed = new Set<TStore>();
  readonly #frames = new Frames(() => this.#show());

  /** @param make makes a store, which calls `changed` when `flush` has something to show. */
  constructor(make: (key: StoreKey, changed: () => void) => TStore) {
    this.#make = make;
  }

  get(key: StoreKey): TStore | undefined {
    return this.#stores.get(key);
  }

  /** Adds a subscriber to its store, and opens the store for the first one. Returns the function that removes the subscriber. */
  subscribe(key: StoreKey, subscriber: TSubscriber): () => void {
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

  #open(key: StoreKey): TStore {
    const store: TStore = this.#make(key, () => {
      this.#changed.add(store);
      this.#frames.ask();
    });
    this.#stores.set(key, store);
    store.start();
    return store;
  }

  #close(key: StoreKey, store: TStore): void {
    this.#stores.delete(key);
    this.#changed.delete(store);
    store.close();
  }

  #show(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const store of changed) store.flush();
  }
}

/** Makes the function that gives the stores of each client. */
export function storesByClient<TSnapshot, TSubscriber, TStore extends Store<TSnapshot, TSubscriber>>(
  make: (client: AnyCourierClient, key: StoreKey, changed: () => void) => TStore,
): (client: AnyCourierClient) => Stores<TSnapshot, TSubscriber, TStore> {
  const byClient = new WeakMap<AnyCourierClient, Stores<TSnapshot, TSubscriber, TStore>>();
  return (client) => {
    const stores = byClient.get(client) ?? new Stores((key, changed) => make(client, key, changed));
    byClient.set(client, stores);
    return stores;
  };
}

/** The stores of channels. */
export const storesOf = storesByClient<Snapshot, Subscriber, ChannelStore>(
  (client, key, changed) => new ChannelStore(client, JSON.parse(key) as StoreOptions, changed),
);
