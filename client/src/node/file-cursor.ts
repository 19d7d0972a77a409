/**
 * A cursor in a file, for Node.js.
 *
 * Two ways of writing keep it exact where that is cheap, and safe where it is not. At most every `syncEveryMs` the position goes to
 * a temporary file, which is synced to the disk and then renamed over the file. In between it is written over the one in the file,
 * which has the same length, so that the file holds a whole position at any moment: after a crash of the process the last one,
 * after a crash of the machine that of the last sync or a later one.
 *
 * There is one writer. A sync begins when the one before has ended, and takes the newest position then; while one is under way,
 * nothing is written over the file, as the rename would put an older position in its place.
 */
import { randomUUID } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { type Cursor, cursorUnavailable, positionIn } from '../cursor.ts';
import { CourierError, invalidArgument, messageOf } from '../errors.ts';
import { assertArgument, assertOptions, FILE_CURSOR_CHECKS, isText } from '../option-checks.ts';

export interface FileCursorOptions {
  /** The shortest time between two syncs, in ms; 1,000 by default. 0: each position is synced. */
  readonly syncEveryMs?: number | undefined;
}

/** A cursor in a file. Each subscription needs a file of its own, as two would overwrite each other's position. */
export interface FileCursor extends Cursor, AsyncDisposable {
  load(): string | null;
  /** Syncs the last position. Each position that is saved later is synced too. */
  close(): Promise<void>;
}

const SYNC_EVERY_MS = 1000;
/** Bytes of the file: the longest position has 49. One sector of a disk, which is written whole or not at all, has 512 or more. */
const FILE_BYTES = 64;
/** What the name of a temporary file ends with. */
const LEFTOVER = /\.[0-9a-f-]{36}\.tmp$/;
/** The age from which on a temporary file is nobody's any more, in ms. */
const LEFTOVER_MS = 60_000;

/**
 * A cursor in the file at `path`, whose folder it makes.
 *
 * What a crash costs: after one of the process, the event that was being handled comes again; after one of the machine, the events
 * of the last `syncEveryMs` and a moment come again. No event is left out.
 *
 * @throws {CourierError} INVALID_ARGUMENT when the file cannot be used, or holds something else. `load`, `save` and `close` throw
 * CURSOR_UNAVAILABLE.
 */
export function fileCursor(path: string, options: FileCursorOptions = {}): FileCursor {
  assertArgument('path', path, isText);
  assertOptions(options, FILE_CURSOR_CHECKS);
  return new PositionFile(resolve(path), options.syncEveryMs ?? SYNC_EVERY_MS);
}

class PositionFile implements FileCursor {
  readonly #path: string;
  readonly #syncEveryMs: number;
  #syncedAt = Number.NEGATIVE_INFINITY;
  /** The newest position, while it is not synced. */
  #unsynced: string | undefined;
  /** The last of the syncs that are under way. It does not reject. */
  #syncing: Promise<void> | undefined;
  #isClosed = false;

  constructor(path: string, syncEveryMs: number) {
    this.#path = path;
    this.#syncEveryMs = syncEveryMs;
    try {
      makeFolder(dirname(path));
      accessSync(dirname(path), constants.W_OK);
      removeLeftovers(path);
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) throw new Error('is no file');
      this.load();
    } catch (error) {
      if (error instanceof CourierError && error.code === 'INVALID_ARGUMENT') throw error;
      throw invalidArgument('path', messageOf(error), error);
    }
  }

  load(): string | null {
    let text: string | null = null;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (cause) {
      if (!isMissing(cause)) throw cursorUnavailable(this.#path, cause);
    }
    return positionIn(text, 'path', this.#path);
  }

  save(position: string): void | Promise<void> {
    this.#unsynced = position;
    const isDue = this.#isClosed || performance.now() - this.#syncedAt >= this.#syncEveryMs;
    if (isDue || this.#syncing !== undefined) return this.#sync();
    try {
      this.#overwrite(position);
    } catch (cause) {
      // Somebody has removed the file.
      if (isMissing(cause)) return this.#sync();
      throw cursorUnavailable(this.#path, cause);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writes to memory of the operating system, which takes less time than to wait for another thread that does it. */
  #overwrite(position: string): void {
    const file = openSync(this.#path, 'r+');
    try {
      writeSync(file, padded(position), 0);
    } finally {
      closeSync(file);
    }
  }

  /** Resolves once the newest position is synced. */
  async #sync(): Promise<void> {
    const synced = (this.#syncing ?? Promise.resolve()).then(() => this.#syncNewest());
    const syncing = synced.catch(() => undefined);
    this.#syncing = syncing;
    try {
      await synced;
    } finally {
      if (this.#syncing === syncing) this.#syncing = undefined;
    }
  }

  async #syncNewest(): Promise<void> {
    const position = this.#unsynced;
    if (position === undefined) return;
    const folder = dirname(this.#path);
    // Nobody can have put something else at a name that nobody knows.
    const temporary = join(folder, `.${basename(this.#path)}.${randomUUID()}.tmp`);
    try {
      await writeSynced(temporary, padded(position));
      await rename(temporary, this.#path);
      await syncFolder(folder);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw cursorUnavailable(this.#path, cause);
    }
    this.#syncedAt = performance.now();
    if (this.#unsynced === position) this.#unsynced = undefined;
  }
}

function padded(position: string): string {
  return `${position.padEnd(FILE_BYTES - 1)}\n`;
}

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
}

/** Syncs the name of a file that was renamed. */
async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders, and syncs names by itself.
  if (process.platform === 'win32') return;
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** Makes a folder and its parents, one by one: where one cannot be made, as in /proc, a recursive mkdir of Node.js may never end. */
function makeFolder(path: string): void {
  if (isFolder(path) || path === dirname(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made it.
    if (!isFolder(path)) throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Removes the temporary files of processes that ended while they wrote one. What cannot be removed stays: it is in nobody's way. */
function removeLeftovers(path: string): void {
  const folder = dirname(path);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`.${basename(path)}.`) || !LEFTOVER.test(name)) continue;
    try {
      const leftover = lstatSync(join(folder, name));
      if (leftover.isFile() && leftover.mtimeMs < Date.now() - LEFTOVER_MS) rmSync(join(folder, name));
    } catch {
      // Another process has removed it, or another user owns it.
    }
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
