/**
 * The files of a log that is open: whether they are still those of their names, and as the log left them. The system acknowledges
 * what is written to a file that was deleted, moved or replaced, and it is gone with the process; what is written into a file that
 * somebody has put something else into is of no use.
 */
import { type BigIntStats, closeSync, openSync, readSync, statSync } from 'node:fs';

/** How long a look is good for, in ms. */
const LOOK_MS = 500;
/** Bytes at the beginning of an SQLite file that change with whatever is written to it. */
const HEADER_BYTES = 100;
/** Beyond the coarsest clock of a file system, in ms. */
const TICK_MS = 3000;

export class PlacedFiles implements Disposable {
  readonly #path: string;
  /** Open as long as the database is: closing it would let go of the locks that SQLite has on the file. */
  readonly #fd: number;
  readonly #opened: readonly { readonly path: string; readonly file: BigIntStats | undefined }[];
  #left: { readonly mtimeNs: bigint; readonly size: bigint; readonly header: string } | undefined;
  #lookedAt = performance.now();
  #problem: Error | undefined;
  #isSpoilt = false;

  /** @param path of a database that was just opened; `others` belong to it. */
  constructor(path: string, others: readonly string[]) {
    this.#path = path;
    this.#fd = openSync(path, 'r');
    this.#opened = [path, ...others].map((one) => ({ path: one, file: stat(one) }));
    this.note();
  }

  /** Something was written by us. Never throws. */
  note(): void {
    try {
      const found = stat(this.#path);
      // What lies in its place is not ours.
      if (found === undefined || !isSame(this.#opened[0]?.file, found)) return;
      // Most writes go to the write-ahead log. Two within one tick of the clock have the same time.
      if (this.#isLeft(found) && Date.now() - Number(found.mtimeMs) > TICK_MS) return;
      this.#left = { mtimeNs: found.mtimeNs, size: found.size, header: this.#header() };
    } catch {
      // Whoever checks next is told.
    }
  }

  /**
   * @throws when one of them is not there any more, or another is in its place, from where it may come back; or when something
   * else was put into the database.
   */
  check(): void {
    const now = performance.now();
    // Before the next write: that could make it look as if nothing had happened.
    if (now - this.#lookedAt >= LOOK_MS || this.#hasChanged()) {
      this.#lookedAt = now;
      this.#problem = this.#look();
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  #hasChanged(): boolean {
    try {
      const found = stat(this.#path);
      return found === undefined || !this.#isLeft(found);
    } catch {
      return true;
    }
  }

  #look(): Error | undefined {
    try {
      const found = this.#opened.map(({ path }) => stat(path));
      if (this.#opened.some(({ file }, index) => !isSame(file, found[index]))) return new Error(MOVED);
      const [database] = found;
      if (database !== undefined && this.#left !== undefined && !this.#isLeft(database)) {
        // Times are changed by much that does no harm.
        this.#isSpoilt ||= database.size !== this.#left.size || this.#header() !== this.#left.header;
        if (!this.#isSpoilt) this.note();
      }
      return this.#isSpoilt ? new Error(SPOILT) : undefined;
    } catch (cause) {
      return new Error(UNSEEN, { cause });
    }
  }

  #isLeft({ mtimeNs, size }: BigIntStats): boolean {
    return mtimeNs === this.#left?.mtimeNs && size === this.#left.size;
  }

  #header(): string {
    const header = Buffer.alloc(HEADER_BYTES);
    readSync(this.#fd, header, 0, HEADER_BYTES, 0);
    return header.toString('latin1');
  }

  /** Only once the database is closed. */
  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

const MOVED = 'its file was deleted, moved or replaced; put it back, or start again with the one that is there';
const SPOILT = 'its file was overwritten or cut off: end the gateway and start it again first; restore a copy if that does not help';
const UNSEEN = 'it cannot be seen whether its file is still there';

function stat(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function isSame(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one?.dev === other?.dev && one?.ino === other?.ino;
}
