/**
 * Files that are open, and whether they are still those of their names. What is written to a file that was deleted, moved or
 * replaced is acknowledged by the system, and gone with the process.
 */
import { type BigIntStats, statSync } from 'node:fs';

/** How long a look is good for, in ms. */
const LOOK_MS = 500;

export class PlacedFiles {
  readonly #places: readonly { readonly path: string; readonly file: BigIntStats | undefined }[];
  #lookedAt = performance.now();
  #problem: Error | undefined;

  /** @param paths of files that have just been opened. */
  constructor(paths: readonly string[]) {
    this.#places = paths.map((path) => ({ path, file: stat(path) }));
  }

  /** @throws when one of them is not there any more, or another is in its place. It may come back. */
  check(): void {
    const now = performance.now();
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      this.#problem = this.#look();
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  #look(): Error | undefined {
    try {
      return this.#places.every(({ path, file }) => isSame(file, stat(path))) ? undefined : new Error(MOVED);
    } catch (cause) {
      return new Error(UNSEEN, { cause });
    }
  }
}

const MOVED = 'its file was deleted, moved or replaced; put it back, or start again with the one that is there';
const UNSEEN = 'it cannot be seen whether its file is still there';

function stat(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function isSame(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one?.dev === other?.dev && one?.ino === other?.ino;
}
