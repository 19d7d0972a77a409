/** Files that only the gateway's user may read and write, whatever the umask. */
import { chmodSync, closeSync, fchmodSync, openSync, statSync } from 'node:fs';

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
