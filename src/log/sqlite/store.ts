/** The statements of the SQLite log, on one open file. Synchronous; runs in the worker. */
import { closeSync, existsSync, openSync, readSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CHANNEL_FAMILIES, type ChannelFamily } from '../../contract/channels.ts';
import { IDEMPOTENCY_WINDOW_MS, type LogBounds, type LogPage, type NewEvent, PAGE_BYTES, type StoredEvent } from '../log.ts';
import { type Epoch, newEpochName } from '../positions.ts';
import { lengthOf, spanOf } from '../span.ts';
import type { Moment } from '../steady-clock.ts';
import { type CopyOptions, copyDatabase, copyPathOf, removeCopy } from './copy.ts';
import type { Disk, Placement, Request, WorkerSettings } from './messages.ts';
import { PlacedFiles } from './placed-files.ts';
import { isReadOnly, makePrivate, narrow, READ_ONLY } from './rights.ts';
import { checksumOf, epochsOf, LogOpenError, openProblem, pragma, prepareFile, recognise } from './schema.ts';

/** Shapes of reads whose statements are kept. */
const MAX_PREPARED_READS = 64;
/** Pages of the write-ahead log after which it is moved into the file. */
const CHECKPOINT_PAGES = 4000;
/** Unused pages that a file keeps whatever its size, for events to come, and how many are given back in one step. */
const MIN_UNUSED_PAGES = 16_384;
const SHRINK_PAGES = 256;
const COLUMNS = 'seq, channel, family, type, body, checksum';
const FAMILY_NUMBER = new Map(CHANNEL_FAMILIES.map((family, index) => [family, index]));

type ReadRequest = Extract<Request, { kind: 'read' }>;

export class SqliteStore {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #files: PlacedFiles;
  readonly #reads = new Map<string, StatementSync>();
  readonly #insert: StatementSync;
  readonly #findKey: StatementSync;
  readonly #putKey: StatementSync;
  #head: number;
  #trimmedThrough: number;
  /** The time at the last append before this process began, as far as it was believed; undefined where there was none. */
  readonly knownMs: number | undefined;
  /** Is there a time in the file that was believed, other than that of the last event? */
  #wasInDoubt: boolean;
  /** Events up to here are old, whatever their own times say. */
  #oldThrough = 0;
  /** The first event that is not from a time to come, of those behind `lookedThrough`, once it was found. */
  #firstPast: { readonly seq: number; readonly ms: number } | undefined;
  #lookedThrough = 0;
  readonly epochs: readonly [Epoch, ...Epoch[]];

  constructor(settings: WorkerSettings) {
    this.#path = settings.path;
    this.#db = open(settings);
    removeCopy(copyPathOf(settings.path));
    const db = this.#db;
    const row = db.prepare('SELECT trimmed_through, believed_ms, (SELECT max(seq) FROM event) AS head FROM log').get() ?? {};
    this.#trimmedThrough = Number(row['trimmed_through']);
    this.#head = Math.max(Number(row['head'] ?? 0), this.#trimmedThrough);
    const last = db.prepare('SELECT appended_ms FROM event WHERE seq = ?').get(this.#head);
    const believed = row['believed_ms'] ?? last?.['appended_ms'];
    this.knownMs = believed === undefined ? undefined : Number(believed);
    this.#wasInDoubt = typeof row['believed_ms'] === 'number';
    this.epochs = beginEpoch(db, this.#head + 1);
    this.#files = new PlacedFiles(settings.path, [`${settings.path}-wal`]);
    this.#insert = db.prepare('INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#findKey = db.prepare(
      'SELECT i.appended_ms AS keyed_ms, e.* FROM idempotency i JOIN event e ON e.seq = i.seq WHERE i.principal = ? AND i.key = ?',
    );
    this.#putKey = db.prepare('INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)');
  }

  get bounds(): LogBounds {
    return { first: this.#trimmedThrough + 1, head: this.#head };
  }

  /** Of the file and its write-ahead log. */
  get bytes(): number {
    return [this.#path, `${this.#path}-wal`].reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
  }

  get disk(): Disk {
    const { bsize, blocks, bavail } = statfsSync(dirname(this.#path));
    return { bytes: blocks * bsize, freeBytes: bavail * bsize };
  }

  /** @throws when what is written to is no longer the file of that name. */
  checkPlace(): void {
    this.#files.check();
  }

  /** Writes all appends in one transaction; when this returns they are durable. */
  append(appends: readonly { readonly drafts: readonly NewEvent[]; readonly now: Moment }[]): Placement[][] {
    this.#files.check();
    const before = { head: this.#head, wasInDoubt: this.#wasInDoubt };
    return this.#transaction(
      () => {
        const last = appends.at(-1);
        if (last !== undefined) this.#noteBelieved(last.now);
        return appends.map(({ drafts, now }) => drafts.map((draft) => this.#place(draft, now)));
      },
      () => {
        this.#head = before.head;
        this.#wasInDoubt = before.wasInDoubt;
      },
    );
  }

  /** While two times are possible events have the later one, which must not be taken for known after a start. */
  #noteBelieved({ earliest, latest }: Moment): void {
    const isInDoubt = earliest !== latest;
    if (!isInDoubt && !this.#wasInDoubt) return;
    this.#db.prepare('UPDATE log SET believed_ms = ?').run(isInDoubt ? earliest : null);
    this.#wasInDoubt = isInDoubt;
  }

  #place(draft: NewEvent, { earliest, latest }: Moment): Placement {
    const { idempotency } = draft;
    if (idempotency !== undefined) {
      const known = this.#findKey.get(idempotency.principal, idempotency.key);
      if (known !== undefined && earliest - Number(known['keyed_ms']) < IDEMPOTENCY_WINDOW_MS) return storedEvent(known);
    }
    const seq = this.#head + 1;
    const { channel, type, body } = draft;
    const family = FAMILY_NUMBER.get(draft.family) ?? -1;
    this.#insert.run(seq, channel, family, type, body, latest, checksumOf(seq, channel, family, type, body));
    if (idempotency !== undefined) this.#putKey.run(idempotency.principal, idempotency.key, seq, latest);
    this.#head = seq;
    return seq;
  }

  /** Reads a page. One statement is one snapshot, and nothing else writes between it and the bounds. */
  read(request: ReadRequest): LogPage {
    const { limit } = request;
    const types = request.types && new Set(request.types);
    const { begin, step, end } = spanOf(request.start, this.bounds);
    const events: StoredEvent[] = [];
    let rows = 0;
    let bytes = 0;
    let endSeq = end;
    for (const row of this.#rows(request)) {
      if (rows === limit || bytes > PAGE_BYTES) break;
      const event = storedEvent(row);
      // Everything was asked for, so the numbers are dense.
      const expected = begin + rows * step;
      if (request.families === 'all' && event.seq !== expected) throw damaged(expected, 'is missing');
      rows += 1;
      endSeq = event.seq;
      bytes += Buffer.byteLength(event.body);
      if (types?.has(event.type) ?? true) events.push(event);
    }
    if (rows < limit && bytes <= PAGE_BYTES) endSeq = end;
    if (request.families === 'all' && rows < lengthOf({ begin, step, end: endSeq }, this.bounds))
      throw damaged(begin + rows * step, 'is missing');
    return { events, endSeq, ...this.bounds };
  }

  #rows(request: ReadRequest): Iterable<Record<string, unknown>> {
    const { start, limit } = request;
    const { sql, parameters } = readStatement(request);
    if (sql === undefined) return [];
    let statement = this.#reads.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      if (this.#reads.size >= MAX_PREPARED_READS) this.#reads.delete(this.#reads.keys().next().value ?? '');
      this.#reads.set(sql, statement);
    }
    return statement.iterate(...parameters.flatMap((parameter) => [parameter, start.beforeSeq ?? start.afterSeq]), limit);
  }

  /** Removes the oldest events that were appended more than `keepMs` ago, and keys that are past their window; `limit` of each at most. */
  trim(keepMs: number, limit: number, { earliest: now }: Moment): boolean {
    const through = this.#oldThroughOf(now - keepMs, now, limit);
    const previous = this.#trimmedThrough;
    const isMore = this.#transaction(
      () => {
        let rows = 0;
        if (through > previous) {
          rows += Number(this.#db.prepare('DELETE FROM event WHERE seq <= ?').run(through).changes);
          this.#db.prepare('DELETE FROM idempotency WHERE seq <= ?').run(through);
          this.#db.prepare('UPDATE log SET trimmed_through = ?').run(through);
          this.#trimmedThrough = through;
        }
        const expired = this.#db
          .prepare('SELECT seq, appended_ms FROM idempotency ORDER BY seq LIMIT ?')
          .all(limit)
          .filter((row) => now - Number(row['appended_ms']) >= IDEMPOTENCY_WINDOW_MS);
        const forget = this.#db.prepare('DELETE FROM idempotency WHERE seq = ?');
        for (const row of expired) forget.run(Number(row['seq']));
        return Math.max(rows, expired.length) === limit;
      },
      () => {
        this.#trimmedThrough = previous;
      },
    );
    return isMore || this.#shrink();
  }

  /**
   * One short step of giving back what the file does not use any more, once that is a quarter of it. Returns whether more may be
   * left. A file that an earlier version has made keeps what it has.
   */
  #shrink(): boolean {
    const unused = pragma(this.#db, 'freelist_count');
    if (unused < MIN_UNUSED_PAGES || unused * 4 < pragma(this.#db, 'page_count')) return false;
    this.#db.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`);
    this.#files.note();
    return pragma(this.#db, 'freelist_count') < unused;
  }

  /**
   * The number up to which the first `limit` events were appended before `before`. An event is at least as old as those behind
   * it: one from a time that is still to come, as a clock said that was wrong, goes with the next that is not.
   */
  #oldThroughOf(before: number, now: number, limit: number): number {
    const rows = this.#db.prepare('SELECT seq, appended_ms FROM event ORDER BY seq LIMIT ?').all(limit);
    const last = Number(rows.at(-1)?.['seq'] ?? 0);
    if (last <= this.#oldThrough) return last;
    const isPast = ({ appended_ms: ms }: Readonly<Record<string, unknown>>) => Number(ms) <= now || Number(ms) < before;
    if (rows.length === limit && !rows.some(isPast)) {
      this.#firstPast ??= this.#findPast(now);
      if (this.#firstPast === undefined || this.#firstPast.ms >= before) return 0;
      this.#oldThrough = this.#firstPast.seq;
      this.#lookedThrough = this.#firstPast.seq;
      this.#firstPast = undefined;
      return last;
    }
    let through = Math.min(this.#oldThrough, last);
    for (const row of rows.filter(isPast)) {
      if (Number(row['appended_ms']) >= before) break;
      through = Number(row['seq']);
    }
    return through;
  }

  /** Each event is looked at once. */
  #findPast(now: number): { seq: number; ms: number } | undefined {
    const head = this.#head;
    const row = this.#db
      .prepare('SELECT seq, appended_ms FROM event WHERE seq > ? AND appended_ms <= ? ORDER BY seq LIMIT 1')
      .get(this.#lookedThrough, now);
    if (row !== undefined) return { seq: Number(row['seq']), ms: Number(row['appended_ms']) };
    this.#lookedThrough = head;
    return undefined;
  }

  /**
   * Copies everything; resolves to where it is. A file that was deleted or moved is copied too: what is left of it can be saved
   * in no other way.
   */
  async copy(options: CopyOptions): Promise<string> {
    const path = copyPathOf(this.#path);
    await copyDatabase(this.#db, path, options);
    return path;
  }

  close(): void {
    this.#db.close();
    this.#files[Symbol.dispose]();
  }

  #transaction<T>(work: () => T, undo: () => void): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      undo();
      // After a full disk SQLite has rolled back already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#files.note();
    }
  }
}

function open({ path, mustExist, maxBytes }: WorkerSettings): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    if (mustExist) requireFile(path);
    refuseStrangeWal(path);
    if (!mustExist) makePrivate(path);
    db = new DatabaseSync(path, { timeout: 0 });
    // Held from the first read to the close, it keeps every other process out.
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
    const problem = !(error instanceof LogOpenError) && isReadOnly(path) ? READ_ONLY : openProblem(error);
    throw new LogOpenError(`the event log ${path} cannot be opened: ${problem}`);
  }
}

const NO_LOG = 'it is empty, and mode=rw expects a log that is there: put it in place, or leave the mode out to begin a new one';

/** What is empty is not opened at all: a write-ahead log beside it is another's. @throws {LogOpenError} */
function requireFile(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw new LogOpenError(NO_LOG.replace('is empty', 'is not there'));
  if (size === 0) throw new LogOpenError(NO_LOG);
}

/** Of a file that is in write-ahead mode, in its header (https://sqlite.org/fileformat.html, section 1.3.3). */
const WAL_MODE = 2;
const MODE_AT = 18;
const STRANGE_WAL =
  'beside it lies a write-ahead log (-wal) of another file, and SQLite would write that into it: where this one was restored, remove the other';

/**
 * What SQLite finds beside a file it writes into it, whatever file it is of. A file without content, or one that was never in
 * write-ahead mode since it was made, as a backup is, has none of its own. @throws {LogOpenError}
 */
function refuseStrangeWal(path: string): void {
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  const header = Buffer.alloc(MODE_AT + 1);
  if (existsSync(path)) {
    const fd = openSync(path, 'r');
    readSync(fd, header);
    closeSync(fd);
  }
  if (header[MODE_AT] !== WAL_MODE) throw new LogOpenError(STRANGE_WAL);
}

/** What was in the file when it was closed may not be what is in it now: from here on numbers have positions of their own. */
function beginEpoch(db: DatabaseSync, first: number): [Epoch, ...Epoch[]] {
  db.prepare('INSERT INTO epoch (name, first) VALUES (?, ?)').run(newEpochName(), first);
  return epochsOf(db);
}

/**
 * One range of an index for each family and each single channel, merged by number as they are read: the cost is that
 * of the rows that come out, not of those that match.
 */
export function readStatement({ start, families, singles }: Pick<ReadRequest, 'start' | 'families' | 'singles'>): {
  sql: string | undefined;
  parameters: (string | number)[];
} {
  const [range, order] = start.beforeSeq === undefined ? ['seq > ?', 'ORDER BY seq LIMIT ?'] : ['seq < ?', 'ORDER BY seq DESC LIMIT ?'];
  if (families === 'all') return { sql: `SELECT ${COLUMNS} FROM event WHERE 0 = ? AND ${range} ${order}`, parameters: [0] };
  const ranges = [
    ...families.map(() => `SELECT ${COLUMNS} FROM event INDEXED BY event_by_family WHERE family = ? AND ${range}`),
    ...singles.map(() => `SELECT ${COLUMNS} FROM event INDEXED BY event_by_channel WHERE channel = ? AND ${range}`),
  ];
  if (ranges.length === 0) return { sql: undefined, parameters: [] };
  return {
    sql: `${ranges.join(' UNION ALL ')} ${order}`,
    parameters: [...families.map((family) => FAMILY_NUMBER.get(family) ?? -1), ...singles],
  };
}

/** @throws when the row is not what was stored. */
function storedEvent(row: Record<string, unknown>): StoredEvent {
  const seq = Number(row['seq']);
  const channel = String(row['channel']);
  const family = Number(row['family']);
  const type = String(row['type']);
  const body = String(row['body']);
  if (row['checksum'] !== checksumOf(seq, channel, family, type, body)) throw damaged(seq, 'is not what was stored');
  return { seq, channel, family: CHANNEL_FAMILIES[family] as ChannelFamily, type, body };
}

function damaged(seq: number, how: string): Error {
  return new Error(`the file is damaged: event ${seq} ${how}; restore a copy`);
}
