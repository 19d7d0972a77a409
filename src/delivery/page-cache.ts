/** The pages that were read last, up to a bound of bytes, for those who come to the same place a moment later. */
import type { SharedPage } from './shared-reads.ts';

interface Entry {
  /** Who wants the same reads the same. */
  readonly key: string;
  readonly page: SharedPage;
  /** Of its events, of what was made of them for sockets, and something for the page itself. */
  bytes: number;
}

/** What a page without events takes, about. */
const PAGE_BYTES = 1000;

export class PageCache {
  readonly #maxBytes: number;
  readonly #byKey = new Map<string, Entry[]>();
  /** Oldest first. */
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** A page of `key` that leads on from `after`. */
  get(key: string, after: number): SharedPage | undefined {
    return this.#byKey.get(key)?.find(({ page }) => page.after <= after && after < page.through)?.page;
  }

  put(key: string, page: SharedPage): void {
    const entry = { key, page, bytes: PAGE_BYTES };
    this.#entries.add(entry);
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), entry]);
    this.#bytes += entry.bytes;
    for (const batch of page.batches) {
      this.#grow(entry, batch.bytes);
      batch.onGrown = (bytes) => this.#grow(entry, bytes);
    }
  }

  #grow(entry: Entry, bytes: number): void {
    if (!this.#entries.has(entry)) return;
    entry.bytes += bytes;
    this.#bytes += bytes;
    for (const oldest of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry);
    this.#bytes -= entry.bytes;
    const rest = this.#byKey.get(entry.key)?.filter((other) => other !== entry) ?? [];
    if (rest.length > 0) this.#byKey.set(entry.key, rest);
    else this.#byKey.delete(entry.key);
  }
}
