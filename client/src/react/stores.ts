/** The stores of a client that components use: one for each interest, from its first member to its last. */
import type { AnyCourierClient } from '../client.ts';
import { ChannelStore, type Member } from './channel-store.ts';
import { type InterestKey, interestOf } from './interest.ts';
import { CONNECTING, type Snapshot } from './state.ts';

/** Least time between two changes of what is shown, in ms: a frame of most screens. */
const FRAME_MS = 16;

export class Stores {
  readonly #client: AnyCourierClient;
  readonly #stores = new Map<InterestKey, ChannelStore>();
  /** What has changed and is not shown yet. All of it is shown at once. */
  readonly #changed = new Set<ChannelStore>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(client: AnyCourierClient) {
    this.#client = client;
  }

  /** Subscribes, unless somebody has. Returns the function that ends it, unless somebody is left. */
  join(key: InterestKey, member: Member): () => void {
    const store = this.#stores.get(key) ?? this.#open(key);
    store.add(member);
    return () => {
      store.remove(member);
      // StrictMode, or a component in the place of another, is back before this.
      queueMicrotask(() => {
        if (store.isDeserted && this.#stores.get(key) === store) this.#close(key, store);
      });
    };
  }

  snapshot(key: InterestKey): Snapshot {
    return this.#stores.get(key)?.snapshot ?? CONNECTING;
  }

  clear(key: InterestKey): void {
    this.#stores.get(key)?.clear();
  }

  #open(key: InterestKey): ChannelStore {
    const store: ChannelStore = new ChannelStore(this.#client, interestOf(key), () => this.#change(store));
    this.#stores.set(key, store);
    store.start();
    return store;
  }

  #close(key: InterestKey, store: ChannelStore): void {
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
