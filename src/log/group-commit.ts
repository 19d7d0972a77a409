/** Group commit: appends that arrive while a commit is on its way go into the next one. One is on its way at a time. */
import type { Appended, EventDraft } from './log.ts';

/** Bounds of one commit: events, and UTF-16 units of their bodies. */
const MAX_COMMIT_EVENTS = 4096;
const MAX_COMMIT_LENGTH = 8 * 1024 * 1024;

/** How many of those that wait, oldest first, go into the next commit. */
export function commitSize(waiting: readonly { readonly drafts: readonly EventDraft[] }[]): number {
  let events = 0;
  let length = 0;
  let count = 0;
  while (count < waiting.length && events < MAX_COMMIT_EVENTS && length < MAX_COMMIT_LENGTH) {
    const { drafts } = waiting[count] as { readonly drafts: readonly EventDraft[] };
    events += drafts.length;
    length += lengthOf(drafts);
    count += 1;
  }
  return count;
}

/** UTF-16 units of bodies. */
export function lengthOf(drafts: readonly EventDraft[]): number {
  return drafts.reduce((sum, { body }) => sum + body.length, 0);
}

interface Waiting {
  readonly drafts: readonly EventDraft[];
  resolve(appended: readonly Appended[]): void;
  reject(error: unknown): void;
}

export class GroupCommit {
  readonly #store: (drafts: readonly EventDraft[]) => Promise<readonly Appended[]>;
  readonly #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #length = 0;

  /** @param store makes one commit; what it rejects with, all who are part of it get. */
  constructor(store: (drafts: readonly EventDraft[]) => Promise<readonly Appended[]>) {
    this.#store = store;
  }

  /** UTF-16 units of bodies that wait or are on their way. */
  get length(): number {
    return this.#length;
  }

  append(drafts: readonly EventDraft[]): Promise<readonly Appended[]> {
    this.#length += lengthOf(drafts);
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
    this.#length -= lengthOf(drafts);
  }
}
