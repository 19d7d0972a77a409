/** The SQLite log on its one open file: what is appended, read and removed. Synchronous; runs in the worker. */
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { IDEMPOTENCY_WINDOW_MS, type LogBounds, type LogPage, type NewEvent, type StoredEvent } from '../log.ts';
import { type Epoch, newEpochName } from '../positions.ts';
import { largestEvent } from '../probe.ts';
import { fillPage, isEverything, isRelated, spanOf } from '../reading.ts';
import type { Moment } from '../steady-clock.ts';
import type { Append } from './append-frames.ts';
import { type CopyOptions, copyDatabase, copyPathOf, removeCopy } from './copy.ts';
import { FamilyNumbers } from './families.ts';
import type { Answers, Duplicate, Request, WorkerSettings } from './messages.ts';
import { openFile } from './open.ts';

import { PlacedFiles } from './placed-files.ts';
import { checksumOf, EVENT_COLUMNS, epochsOf, intactEvent, transaction } from './schema.ts';
import { Statements } from './statements.ts';
import { SqliteStates } from './states.ts';
import { Trimming } from './trimming.ts';
import { readWork, workOf } from './works.ts';

type ReadRequest = Extract<Request, { kind: 'read' }>;

export class SqliteStore {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #files: PlacedFiles;
  readonly #trimming: Trimming;
  readonly #families: FamilyNumbers;
  readonly states: SqliteStates;
  /** A row as an object costs more than all else that is done with it. */
  readonly #statements: Statements;
  readonly #insert: StatementSync;
  readonly #findTime: StatementSync;
  readonly #findKey: StatementSync;
  readonly #putKey: StatementSync;
  #head: number;
  /** The last number that was removed. */
  #trimmedSeq: number;
  /** The time at the last append before this process began, as far as it was believed; undefined where there was none. */
  readonly knownMs: number | undefined;
  /** Is there a time in the file that was believed, other than that of the last event? */
  #wasInDoubt: boolean;
  readonly epochs: readonly [Epoch, ...Epoch[]];

  /** @throws {LogOpenError} */
  constructor(settings: WorkerSettings) {
    this.#path = settings.path;
    this.#db = openFile(settings);
    removeCopy(copyPathOf(settings.path));
    const db = this.#db;
    this.#statements = new Statements(db);
    const row = db.prepare('SELECT trimmed_through, believed_ms, (SELECT max(seq) FROM event) AS head FROM log').get() ?? {};
    this.#trimmedSeq = Number(row['trimmed_through']);
    this.#head = Math.max(Number(row['head'] ?? 0), this.#trimmedSeq);
    const last = db.prepare('SELECT appended_ms FROM event WHERE seq = ?').get(this.#head);
    const believed = row['believed_ms'] ?? last?.['appended_ms'];
    this.knownMs = believed === undefined ? undefined : Number(believed);
    this.#wasInDoubt = typeof row['believed_ms'] === 'number';
    this.epochs = beginEpoch(db, this.#head + 1);
    this.#files = new PlacedFiles(settings.path, [`${settings.path}-wal`]);
    this.#trimming = new Trimming(db);
    this.#families = new FamilyNumbers(db);
    this.#findTime = db.prepare('SELECT appended_ms AS ms FROM event WHERE seq = ?');
    this.states = new SqliteStates({
      db,
      families: this.#families,
      bounds: () => this.bounds,
      transaction: (work) => this.#transaction(work),
    });
    this.#insert = db.prepare(
      `INSERT INTO event (seq, channel, family, type, version, body, appended_ms, checksum, work, cause_seq)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#findKey = db.prepare(
      `SELECT ${EVENT_COLUMNS}, keyed_ms FROM event JOIN
         (SELECT seq AS keyed_seq, appended_ms AS keyed_ms FROM idempotency WHERE principal = ? AND key = ?) ON keyed_seq = seq`,
    );
    this.#findKey.setReturnArrays(true);
    this.#putKey = db.prepare('INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)');
  }

  get bounds(): LogBounds {
    return { first: this.#trimmedSeq + 1, head: this.#head };
  }

  /** Of the file and its write-ahead log. */
  get bytes(): number {
    return [this.#path, `${this.#path}-wal`].reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
  }

  /** The bounds, and what is left of the disk. @throws when the file is no longer the one of its name. */
  look(): Answers['bounds'] {
    this.#files.check();
    const { bsize, blocks, bavail } = statfsSync(dirname(this.#path));
    return { bounds: this.bounds, disk: { bytes: blocks * bsize, freeBytes: bavail * bsize } };
  }

  /**
   * Writes all appends in one transaction; when this returns they are durable. Returns the number of the first new event, and the
   * events that were stored before.
   */
  append(appends: readonly Append[]): { readonly first: number; readonly duplicates: readonly Duplicate[] } {
    this.#files.check();
    return this.#transaction(() => {
      const last = appends.at(-1);
      if (last !== undefined) this.#noteBelieved(last.now);
      const first = this.#head + 1;
      const duplicates: Duplicate[] = [];
      let index = 0;
      for (const { events, now } of appends) {
        for (const each of events) {
          const event = this.#knownUnder(each, now);
          if (event === undefined) this.#insertNext(each, now);
          else duplicates.push({ index, event });
          index += 1;
        }
      }
      return { first, duplicates };
    });
  }

  /** Writes the largest event, and takes it back. */
  probe(): undefined {
    this.#files.check();
    this.#transaction(() => {
      const seq = this.#head + 1;
      const { channel, type, version, body } = largestEvent();
      this.#insert.run(seq, channel, 0, type, version, body, 0, 0, null, null);
      this.#putKey.run('', '', seq, 0);
      this.#db.prepare('DELETE FROM event WHERE seq = ?').run(seq);
      this.#db.prepare("DELETE FROM idempotency WHERE principal = '' AND key = ''").run();
    });
  }

  /** While two times are possible events have the later one, which must not be taken for known after a start. */
  #noteBelieved({ earliest, latest }: Moment): void {
    const isInDoubt = earliest !== latest;
    if (!isInDoubt && !this.#wasInDoubt) return;
    this.#db.prepare('UPDATE log SET believed_ms = ?').run(isInDoubt ? earliest : null);
    this.#wasInDoubt = isInDoubt;
  }

  /** What was stored under the event's key. */
  #knownUnder({ idempotency }: NewEvent, { earliest }: Moment): StoredEvent | undefined {
    if (idempotency === undefined) return undefined;
    const known = this.#findKey.get(idempotency.principal, idempotency.key) as unknown as unknown[] | undefined;
    return known !== undefined && earliest - Number(known.at(-1)) < IDEMPOTENCY_WINDOW_MS ? eventOf(known) : undefined;
  }

  #insertNext(event: NewEvent, { latest }: Moment): void {
    const seq = this.#head + 1;
    const { channel, type, version, body, idempotency, correlationId, causeSeq = null } = event;
    const family = this.#families.numberOf(event.family);
    const checksum = checksumOf({ seq, channel, type, version, body }, family);
    const work = correlationId === undefined ? null : workOf(seq, correlationId);
    this.#insert.run(seq, channel, family, type, version, body, latest, checksum, work, causeSeq);
    if (idempotency !== undefined) this.#putKey.run(idempotency.principal, idempotency.key, seq, latest);
    this.#head = seq;
  }

  /**
   * Reads a page. One statement is one snapshot, and nothing else writes between it and the bounds.
   *
   * @param isWaitedFor ends the page early.
   */
  read(request: ReadRequest, isWaitedFor: (() => boolean) | undefined): LogPage {
    const { bounds } = this;
    const isDense = isEverything(request.channels, this.#families.names);
    return fillPage(this.#rows(isDense ? { ...request, channels: 'all' } : request), eventOf, {
      span: spanOf(request.start, bounds),
      bounds,
      limit: request.limit,
      types: request.types,
      missing: isDense ? (seq) => damaged(seq, 'is missing') : undefined,
      isWaitedFor,
    });
  }

  /** Each with the values of EVENT_COLUMNS. */
  #rows(request: ReadRequest): Iterable<readonly unknown[]> {
    const { start, limit, channels } = request;
    if (isRelated(channels) && channels.causes === undefined) {
      const work = readWork(EVENT_COLUMNS, channels.correlationId, start, this.bounds);
      return this.#statements.of(work.sql).iterate(...work.parameters, limit) as Iterable<unknown> as Iterable<readonly unknown[]>;
    }
    const { sql, parameters } = readStatement(request, (family) => this.#families.get(family));
    if (sql === undefined) return [];
    const from = parameters.flatMap((parameter) => [parameter, start.beforeSeq ?? start.afterSeq]);
    return this.#statements.of(sql).iterate(...from, limit) as Iterable<unknown> as Iterable<readonly unknown[]>;
  }

  storedAt(seqs: readonly number[]): (number | undefined)[] {
    return seqs.map((seq) => {
      const ms = this.#findTime.get(seq)?.['ms'];
      return ms === undefined ? undefined : Number(ms);
    });
  }

  /** Returns whether more may be left. */
  trim(keepMs: number, limit: number, { earliest: now }: Moment): boolean {
    const oldSeq = this.#trimming.lastOldSeq(now - keepMs, now, limit, this.#head);
    const lastOldSeq = Math.min(oldSeq, this.states.neededSeq ?? oldSeq);
    const isMore = this.#transaction(() => {
      const removed = lastOldSeq > this.#trimmedSeq ? this.#trimming.removeEvents(lastOldSeq) : 0;
      this.#trimmedSeq = Math.max(this.#trimmedSeq, lastOldSeq);
      return Math.max(removed, this.#trimming.forgetKeys(now, limit)) === limit;
    });
    if (isMore) return true;
    const isMoreUnused = this.#trimming.shrink();
    this.#files.note();
    return isMoreUnused;
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

  /** What is not committed is taken back here too. */
  #transaction<T>(work: () => T): T {
    const [head, trimmedSeq, wasInDoubt] = [this.#head, this.#trimmedSeq, this.#wasInDoubt];
    try {
      return transaction(this.#db, work);
    } catch (error) {
      [this.#head, this.#trimmedSeq, this.#wasInDoubt] = [head, trimmedSeq, wasInDoubt];
      this.#families.reset();
      throw error;
    } finally {
      this.#files.note();
    }
  }
}

/** What was in the file when it was closed may not be what is in it now: from here on numbers have positions of their own. */
function beginEpoch(db: DatabaseSync, first: number): [Epoch, ...Epoch[]] {
  db.prepare('INSERT INTO epoch (name, first) VALUES (?, ?)').run(newEpochName(), first);
  return epochsOf(db);
}

/**
 * One range of an index for each family and each single channel, or for each cause, merged by number as they are read: the cost is that
 * of the rows that come out, not of those that match.
 */
export function readStatement(
  { start, channels }: Pick<ReadRequest, 'start' | 'channels'>,
  numberOf: (family: string) => number | undefined,
): { sql: string | undefined; parameters: (string | number)[] } {
  const [range, order] = start.beforeSeq === undefined ? ['seq > ?', 'ORDER BY seq LIMIT ?'] : ['seq < ?', 'ORDER BY seq DESC LIMIT ?'];
  if (channels === 'all') return { sql: `SELECT ${EVENT_COLUMNS} FROM event WHERE 0 = ? AND ${range} ${order}`, parameters: [0] };
  if (isRelated(channels)) {
    const parameters = [...(channels.causes ?? [])];
    const ranges = parameters.map(() => `SELECT ${EVENT_COLUMNS} FROM event INDEXED BY event_by_cause WHERE cause_seq = ? AND ${range}`);
    return ranges.length === 0 ? { sql: undefined, parameters } : { sql: `${ranges.join(' UNION ALL ')} ${order}`, parameters };
  }
  const families = [...channels.families].flatMap((family) => numberOf(family) ?? []);
  const singles = [...channels.singles];
  const ranges = [
    ...families.map(() => `SELECT ${EVENT_COLUMNS} FROM event INDEXED BY event_by_family WHERE family = ? AND ${range}`),
    ...singles.map(() => `SELECT ${EVENT_COLUMNS} FROM event INDEXED BY event_by_channel WHERE channel = ? AND ${range}`),
  ];
  if (ranges.length === 0) return { sql: undefined, parameters: [] };
  return { sql: `${ranges.join(' UNION ALL ')} ${order}`, parameters: [...families, ...singles] };
}

/** @throws when the row is not what was stored. */
function eventOf(row: readonly unknown[]): StoredEvent {
  const event = intactEvent(row);
  if (event === undefined) throw damaged(Number(row[0]), 'is not what was stored');
  return event;
}

function damaged(seq: number, how: string): Error {
  return new Error(`the file is damaged: event ${seq} ${how}; restore a copy`);
}
