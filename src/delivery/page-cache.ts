/** The pages that were read last, up to a bound of bytes, for those who come to the same place a moment later. */
import type { SharedPage } from './shared-reads.ts';

interface Entry {
  /** Who wants the same reads the same. */
  readonly key: string;
  readonly page: SharedPage;
  /** UTF-16 units of its events' bodies, and something for the page itself. */
  readonly length: number;
}

/** What a page without events counts as. */
const PAGE_LENGTH = 500;

export class PageCache {
  readonly #maxLength: number;
  readonly #byKey = new Map<string, Entry[]>();
  /** Oldest first. */
  readonly #entries = new Set<Entry>();
  #length = 0;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** A page of `key` that leads on from `after`. */
  get(key: string, after: number): SharedPage | undefined {
    return this.#byKey.get(key)?.find(({ page }) => page.after <= after && after < page.through)?.page;
  }

  put(key: string, page: SharedPage): void {
    const length = page.batches.flatMap(({ deliveries }) => deliveries).reduce((sum, delivery) => sum + delivery.length, PAGE_LENGTH);
    const entry = { key, page, length };
    this.#entries.add(entry);
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), entry]);
    this.#length += length;
    for (const oldest of this.#entries) {
      if (this.#length <= this.#maxLength) break;
      this.#remove(oldest);
    }
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry);
    this.#length -= entry.length;
    const rest = this.#byKey.get(entry.key)?.filter((other) => other !== entry) ?? [];
    if (rest.length > 0) this.#byKey.set(entry.key, rest);
    else this.#byKey.delete(entry.key);
  }
}
