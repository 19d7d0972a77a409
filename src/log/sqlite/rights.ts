/** Who may read and write the file of a log: the gateway's user only, whatever the umask; nobody where the file system is read-only. */
import { accessSync, chmodSync, closeSync, constants, fchmodSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const MODE = 0o600;
/** The permission bits of a mode. */
const PERMISSIONS = 0o777;

/** Makes an empty file where there is none; one that is there stays as it is. */
export function makePrivate(path: string): void {
  let file: number;
  try {
    file = openSync(path, 'ax', MODE);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return;
    throw error;
  }
  try {
    // The umask may have taken away what its owner needs.
    fchmodSync(file, MODE);
  } finally {
    closeSync(file);
  }
}

/** Takes wider rights from a file that belongs to the gateway's user; those of another's are the other's business. */
export function narrow(path: string): void {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined || file.uid !== process.getuid?.()) return;
  if ((file.mode & PERMISSIONS & ~MODE) !== 0) chmodSync(path, MODE);
}

export const READ_ONLY = 'the file system is read-only: see why, as disks that fail become so, and mount it to be written to';

/** Whether the file system of a file takes no writes, which it says by a code that SQLite does not pass on. */
export function isReadOnly(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EROFS';
  }
}
