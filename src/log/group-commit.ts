/** Group commit: appends that arrive while a commit is on its way go into the next one. One is on its way at a time. */
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import type { Appended, NewEvent } from './log.ts';

/** Bounds of one commit: events, and bytes of memory that they take, as so much and at most as a part of the heap. */
const MAX_COMMIT_EVENTS = 4096;
const MAX_COMMIT_BYTES = upTo(16 * 1024 * 1024, 1 / 32);
/** Bytes of memory that the events may take that wait to be stored, at most, in the same way. */
export const MAX_IN_FLIGHT_BYTES = upTo(128 * 1024 * 1024, 1 / 8);

/** What appends weigh that wait to be stored together. */
export interface Weight {
  readonly count: number;
  /** Of memory, at most. */
  readonly bytes: number;
}

/** Whether so much fills a commit by itself. */
export function fillsCommit({ count, bytes }: Weight): boolean {
  return count >= MAX_COMMIT_EVENTS || bytes >= MAX_COMMIT_BYTES;
}

/** How many of those that wait, oldest first, go into the next commit. */
export function commitSize(waiting: readonly Weight[]): number {
  let size = 0;
  let count = 0;
  let bytes = 0;
  for (const each of waiting) {
    if (fillsCommit({ count, bytes })) break;
    size += 1;
    count += each.count;
    bytes += each.bytes;
  }
  return size;
}

/** Bytes of memory that events take, at most. */
export function bytesOf(events: readonly NewEvent[]): number {
  return events.reduce((sum, { body }) => sum + bytesInMemory(body.length), 0);
}

interface Waiting extends Weight {
  readonly events: readonly NewEvent[];
  resolve(appended: readonly Appended[]): void;
  reject(error: unknown): void;
}

export class GroupCommit {
  readonly #store: (events: readonly NewEvent[]) => Promise<readonly Appended[]>;
  readonly #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #bytes = 0;

  /** @param store makes one commit; every append that is part of it rejects with what `store` rejects with. */
  constructor(store: (events: readonly NewEvent[]) => Promise<readonly Appended[]>) {
    this.#store = store;
  }

  /** Bytes of memory that the events take that wait or are on their way. */
  get bytes(): number {
    return this.#bytes;
  }

  append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    const weight = { count: events.length, bytes: bytesOf(events) };
    this.#bytes += weight.bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, ...weight, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  /** Resolves when nothing is on its way. */
  async settled(): Promise<void> {
    await this.#committing;
  }

  async #commitAll(): Promise<void> {
    // Whatever else is appended in this step of the event loop goes into the same commit.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, commitSize(this.#waiting)));
    this.#committing = undefined;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const events = batch.flatMap((one) => one.events);
    try {
      const appended = await this.#store(events);
      let from = 0;
      for (const { events: own, resolve } of batch) {
        resolve(appended.slice(from, from + own.length));
        from += own.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    for (const { bytes } of batch) this.#bytes -= bytes;
  }
}
