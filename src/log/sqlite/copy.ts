/**
 * Copying an SQLite file that is open and written to. The copy is the file as it is at one moment, the last of the copying:
 * SQLite copies a few pages at a time, and puts into the copy what is written through the same connection meanwhile.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type BackupProgressInfo, backup, type DatabaseSync } from 'node:sqlite';
import type { LogCopy } from '../log.ts';
import { makePrivate } from './rights.ts';
import { MODE_OFFSET } from './schema.ts';

/** Pages that are copied at once: a commit waits for so many, and for more only where it adds more. */
const STEP_PAGES = 64;
/**
 * Pages after which those that were copied are synced. SQLite syncs the copy at its end, which a commit has to wait for: that
 * must find little to do.
 */
const SYNC_PAGES = 256;

/** Bytes of a copy that are given back to the disk at once. */
const RELEASE_BYTES = 64 * 1024 * 1024;

export interface CopyOptions {
  /** Ends the copying. */
  readonly signal: AbortSignal;
  /** Called between two steps: only then may the connection be written through, as steps run on a thread of their own. */
  readonly onStep?: (pages: BackupProgressInfo) => void;
}

/** Where the copy of the log at `path` lies until it has been opened. Whatever an earlier process has left there is nobody's. */
export function copyPathOf(path: string): string {
  return `${path}-copying`;
}

/**
 * Copies the database to a new file that its owner only may read. Nothing is left of a copy that fails or is ended.
 *
 * @throws the signal's reason; what SQLite or the file system says.
 */
export async function copyDatabase(db: DatabaseSync, path: string, { signal, onStep }: CopyOptions): Promise<void> {
  removeCopy(path);
  makePrivate(path);
  const file = openSync(path, 'r+');
  let copiedPages = 0;
  const onProgress = (pages: BackupProgressInfo) => {
    signal.throwIfAborted();
    copiedPages += STEP_PAGES;
    if (copiedPages % SYNC_PAGES === 0) fdatasyncSync(file);
    onStep?.(pages);
  };
  try {
    await backup(db, path, { rate: STEP_PAGES, progress: onProgress });
    signal.throwIfAborted();
    // Out of write-ahead mode: a write-ahead log beside the place that it is put in is then known to be another's.
    writeSync(file, Buffer.from([1, 1]), 0, 2, MODE_OFFSET);
    fdatasyncSync(file);
  } catch (error) {
    removeCopy(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

/** Removes the copy at `path`, whole or not. */
export function removeCopy(path: string): void {
  for (const suffix of ['', '-journal']) rmSync(path + suffix, { force: true });
}

/** Opens the copy at `path` and takes its name away: the system removes it when it is closed, or the process ends. */
export async function openCopy(path: string, onClose: () => void): Promise<LogCopy> {
  const file = await open(path, 'r+').finally(() => removeCopy(path));
  const { size } = await file.stat();
  return {
    bytes: size,
    read: () => file.createReadStream({ start: 0, autoClose: false }),
    [Symbol.asyncDispose]: async () => {
      onClose();
      // A large file that goes at once holds up the disk.
      for (let left = size - RELEASE_BYTES; left > 0; left -= RELEASE_BYTES) await file.truncate(left);
      await file.close();
    },
  };
}
