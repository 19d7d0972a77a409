/** Group commit: appends that arrive while a commit is on its way go into the next one. One is on its way at a time. */
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import type { Appended, NewEvent } from './log.ts';

/** Bounds of one commit: events, and bytes of memory that they take, as so much and at most as a part of the heap. */
const MAX_COMMIT_EVENTS = 4096;
const MAX_COMMIT_BYTES = upTo(16 * 1024 * 1024, 1 / 32);
/** Bytes of what may wait to be stored, at most, in the same way. */
export const MAX_IN_FLIGHT_BYTES = upTo(128 * 1024 * 1024, 1 / 8);

/** How many of those that wait, oldest first, go into the next commit. */
export function commitSize(waiting: readonly { readonly drafts: readonly NewEvent[] }[]): number {
  let events = 0;
  let bytes = 0;
  let count = 0;
  while (count < waiting.length && events < MAX_COMMIT_EVENTS && bytes < MAX_COMMIT_BYTES) {
    const { drafts } = waiting[count] as { readonly drafts: readonly NewEvent[] };
    events += drafts.length;
    bytes += bytesOf(drafts);
    count += 1;
  }
  return count;
}

/** Bytes of memory that drafts take, at most. */
export function bytesOf(drafts: readonly NewEvent[]): number {
  return drafts.reduce((sum, { body }) => sum + bytesInMemory(body.length), 0);
}

interface Waiting {
  readonly drafts: readonly NewEvent[];
  resolve(appended: readonly Appended[]): void;
  reject(error: unknown): void;
}

export class GroupCommit {
  readonly #store: (drafts: readonly NewEvent[]) => Promise<readonly Appended[]>;
  readonly #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #bytes = 0;

  /** @param store makes one commit; what it rejects with, all who are part of it get. */
  constructor(store: (drafts: readonly NewEvent[]) => Promise<readonly Appended[]>) {
    this.#store = store;
  }

  /** Of what waits or is on its way. */
  get bytes(): number {
    return this.#bytes;
  }

  append(drafts: readonly NewEvent[]): Promise<readonly Appended[]> {
    this.#bytes += bytesOf(drafts);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ drafts, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  /** Resolves when nothing is on its way. */
  async settled(): Promise<void> {
    await this.#committing;
  }

  async #commitAll(): Promise<void> {
    // What else is appended in this step of the event loop goes with it.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, commitSize(this.#waiting)));
    this.#committing = undefined;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const drafts = batch.flatMap((one) => one.drafts);
    try {
      const appended = await this.#store(drafts);
      let from = 0;
      for (const { drafts: own, resolve } of batch) {
        resolve(appended.slice(from, from + own.length));
        from += own.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#bytes -= bytesOf(drafts);
  }
}
