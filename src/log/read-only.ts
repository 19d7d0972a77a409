/** A file system that takes no writes says so by a code that SQLite does not pass on. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';

export const READ_ONLY = 'the file system is read-only: see why, as disks that fail become so, and mount it to be written to';

/** Whether the file system of a file takes no writes. */
export function isReadOnly(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EROFS';
  }
}
