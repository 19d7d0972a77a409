/** The disk that the file of the log is on: its folder, and the room that is left. */
import { existsSync, mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unavailable } from '../answers.ts';
import type { Concern } from '../log.ts';
import type { Disk } from './messages.ts';
import { LogOpenError } from './schema.ts';

const MEBIBYTE = 1024 * 1024;
/** A disk is nearly full when less than this is left of it: a share of it, and so many bytes at most. */
const MIN_FREE_SHARE = 0.05;
const MIN_FREE_BYTES = 5 * 1024 * MEBIBYTE;
/** Bytes of the disk that a copy leaves free, at least: what is published meanwhile needs room too. */
const SPARE_BYTES = 64 * MEBIBYTE;

/** Makes the folder of the file. @throws {LogOpenError} */
export function makeFolder(path: string): void {
  try {
    makeWithParents(dirname(path));
  } catch (cause) {
    throw new LogOpenError(`the folder of the event log ${path} cannot be made: ${(cause as Error).message}`, { cause });
  }
}

/** Node.js' own `recursive` never ends below a folder, such as /proc, that takes none and says that there is no such. */
function makeWithParents(folder: string): void {
  if (existsSync(folder)) return;
  makeWithParents(dirname(folder));
  mkdirSync(folder);
}

/** What is the matter with the disk; nothing where it is not known. */
export function concernsOf(disk: Disk | undefined): readonly Concern[] {
  if (disk === undefined || disk.freeBytes >= Math.min(disk.bytes * MIN_FREE_SHARE, MIN_FREE_BYTES)) return [];
  const left = mebibytes(disk.freeBytes);
  const action = `its disk has ${left} MiB left, and publishes are refused when it is full: make room, or keep less (COURIER_RETENTION_DAYS)`;
  return [{ about: 'disk', action }];
}

/** @param bytes of the file. @throws {CourierError} when a copy would leave too little of the disk. */
export async function requireRoomForCopy(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path)).catch((cause: unknown) => {
    throw unavailable('the folder of its file is gone', cause);
  });
  const needed = bytes + SPARE_BYTES;
  if (bavail * bsize >= needed) return;
  throw unavailable(`a copy needs ${mebibytes(needed)} MiB beside its file, and the disk has ${mebibytes(bavail * bsize)} MiB left`);
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / MEBIBYTE);
}
