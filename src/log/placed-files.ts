/**
 * Files that are open, and whether they are still those of their names, and whole. What is written to a file that was deleted,
 * moved or replaced is acknowledged by the system, and gone with the process.
 */
import { type BigIntStats, statSync } from 'node:fs';

/** How long a look is good for, in ms. */
const LOOK_MS = 500;

export interface Place {
  readonly path: string;
  /** What the file has at least, in bytes, when it is smaller than it was; where its size says anything. */
  readonly leastBytes?: () => number;
}

interface OpenFile extends Place {
  readonly opened: BigIntStats | undefined;
  /** When it was looked at last. */
  bytes: number;
}

export class PlacedFiles {
  readonly #files: readonly OpenFile[];
  #lookedAt = performance.now();
  #problem: Error | undefined;
  #isCut = false;

  /** @param places of files that have just been opened. */
  constructor(places: readonly Place[]) {
    this.#files = places.map((place) => {
      const opened = stat(place.path);
      return { ...place, opened, bytes: Number(opened?.size ?? 0) };
    });
  }

  /**
   * @throws when one of them is not there any more, or another is in its place, from where it may come back; or when it was cut
   * off.
   */
  check(): void {
    const now = performance.now();
    // The next write may make one that was cut off as long as it was, with nothing in between.
    if (now - this.#lookedAt >= LOOK_MS || this.#files.some(hasShrunk)) {
      this.#lookedAt = now;
      this.#problem = this.#look();
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  #look(): Error | undefined {
    try {
      for (const file of this.#files) {
        const found = stat(file.path);
        if (!isSame(file.opened, found)) return new Error(MOVED);
        const bytes = Number(found?.size ?? 0);
        if (file.leastBytes !== undefined && bytes < file.bytes && bytes < file.leastBytes()) this.#isCut = true;
        file.bytes = bytes;
      }
      return this.#isCut ? new Error(CUT) : undefined;
    } catch (cause) {
      return new Error(UNSEEN, { cause });
    }
  }
}

function hasShrunk({ path, bytes, leastBytes }: OpenFile): boolean {
  if (leastBytes === undefined) return false;
  try {
    return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) < bytes;
  } catch {
    return true;
  }
}

const CUT = 'its file was cut off: restore a copy';
const MOVED = 'its file was deleted, moved or replaced; put it back, or start again with the one that is there';
const UNSEEN = 'it cannot be seen whether its file is still there';

function stat(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function isSame(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one?.dev === other?.dev && one?.ino === other?.ino;
}
