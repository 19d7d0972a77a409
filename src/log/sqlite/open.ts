/** Opens the file of a log, or makes it: for one process at a time, for its owner only, and so that an ack means durable. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { ownerProblem } from '../../owners.ts';
import type { WorkerSettings } from './messages.ts';
import { isReadOnly, makePrivate, narrow, READ_ONLY } from './rights.ts';
import { IN_USE, LogOpenError, MODE_OFFSET, openProblem, pragma, prepareFile, recognise } from './schema.ts';

/** Pages of the write-ahead log after which it is moved into the file. */
const CHECKPOINT_PAGES = 4000;
const NO_LOG = 'it is empty, and mode=rw expects a log that is there: put it in place, or leave the mode out to begin a new one';
/** As the header tells it. */
const WAL_MODE = 2;
const STRANGE_WAL =
  'beside it lies a write-ahead log (-wal) of another file, and SQLite would write that into it: where this one was restored, remove the other';

/** @throws {LogOpenError} when it is damaged, in use, or no log of ours. */
export function openFile({ path, mustExist, maxBytes }: WorkerSettings): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    if (mustExist) requireFile(path);
    refuseStrangeWal(path);
    if (!mustExist) makePrivate(path);
    db = new DatabaseSync(path, { timeout: 0 });
    // This lock lasts from the first read to the close, and keeps every other process out.
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    // Of a file that is made so, pages that are not used any more can be given back.
    if (pragma(db, 'page_count') === 0) db.exec('PRAGMA auto_vacuum = INCREMENTAL');
    const version = recognise(db);
    if (mustExist && version === 0) throw new LogOpenError(NO_LOG);
    db.exec('PRAGMA journal_mode = WAL');
    // An ack promises that the event is on disk; NORMAL would sync only at checkpoints.
    db.exec('PRAGMA synchronous = FULL');
    db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    prepareFile(db, version);
    // Only now is it known to be ours. What SQLite makes beside it from here on has the same rights.
    for (const suffix of ['', '-wal', '-shm']) narrow(path + suffix);
    if (maxBytes !== undefined) db.exec(`PRAGMA max_page_count = ${Math.ceil(maxBytes / pragma(db, 'page_size'))}`);
    return db;
  } catch (error) {
    db?.close();
    const problem = error instanceof LogOpenError ? error.message : (problemOfFiles(path) ?? openProblem(error));
    const advice = problem === IN_USE ? ', most likely a gateway that runs already: end that, or name another file' : '';
    throw new LogOpenError(`the event log ${path} cannot be opened: ${problem}${advice}`);
  }
}

/** What keeps SQLite from the files, which it does not say. */
function problemOfFiles(path: string): string | undefined {
  if (isReadOnly(path)) return READ_ONLY;
  return ['', '-wal'].map((suffix) => ownerProblem(path + suffix, 'write')).find((problem) => problem !== undefined);
}

/** An empty file is not opened at all: a write-ahead log beside it is another's. @throws {LogOpenError} */
function requireFile(path: string): void {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) throw new LogOpenError(NO_LOG.replace('is empty', 'is not there'));
  if (bytes === 0) throw new LogOpenError(NO_LOG);
}

/**
 * SQLite writes the write-ahead log that it finds beside a file into it, whatever file that log is of. A file without content,
 * or one that was never in write-ahead mode since it was made, as a backup is, has none of its own. @throws {LogOpenError}
 */
function refuseStrangeWal(path: string): void {
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  const header = Buffer.alloc(MODE_OFFSET + 1);
  if (existsSync(path)) {
    const fd = openSync(path, 'r');
    readSync(fd, header);
    closeSync(fd);
  }
  if (header[MODE_OFFSET] !== WAL_MODE) throw new LogOpenError(STRANGE_WAL);
}
