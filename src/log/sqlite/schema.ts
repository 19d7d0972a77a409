/** The SQLite file: its identity, its schema by version, and the checks that a file is one of ours and whole. */
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import { familyIn } from '../../contract/channels.ts';
import type { StoredEvent } from '../log.ts';
import { type Epoch, newEpochName, Positions } from '../positions.ts';
import { storedEvent } from '../reading.ts';
import { FORGOTTEN_STATES, STATE_TABLES } from './state-tables.ts';
import { workOf } from './works.ts';

/** Marks the file as a log of Courier: "COUR" in ASCII. */
const APPLICATION_ID = 0x434f5552;
/**
 * Where in the file's header stand the two bytes that tell its mode, for writing and for reading: 2 for write-ahead mode, else 1
 * (https://sqlite.org/fileformat.html, section 1.3.3).
 */
export const MODE_OFFSET = 18;
/** Files up to this size are checked whole when they are opened, indexes against rows; larger ones at their ends only. */
const FULL_CHECK_BYTES = 64 * 1024 * 1024;

/** Each entry brings a file from the version of its index to the next. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE log (epoch TEXT NOT NULL, trimmed_through INTEGER NOT NULL) STRICT;
   INSERT INTO log SELECT courier_epoch(), 0;
   CREATE TABLE event (
     seq INTEGER PRIMARY KEY,
     channel TEXT NOT NULL,
     family INTEGER NOT NULL,
     type TEXT NOT NULL,
     body TEXT NOT NULL,
     appended_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX event_by_channel ON event (channel, seq);
   CREATE INDEX event_by_family ON event (family, seq);
   CREATE TABLE idempotency (
     principal TEXT NOT NULL,
     key TEXT NOT NULL,
     seq INTEGER NOT NULL,
     appended_ms INTEGER NOT NULL,
     PRIMARY KEY (principal, key)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX idempotency_by_seq ON idempotency (seq);`,
  `ALTER TABLE event ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
   UPDATE event SET checksum = courier_checksum(seq, channel, family, type, body);
   CREATE TABLE epoch (name TEXT NOT NULL UNIQUE, first INTEGER NOT NULL) STRICT;
   INSERT INTO epoch SELECT epoch, 1 FROM log;
   ALTER TABLE log DROP COLUMN epoch;`,
  // The time while it is in doubt; else null.
  'ALTER TABLE log ADD COLUMN believed_ms INTEGER',
  // Families had the numbers that they have in events; each event's channel says the name.
  `ALTER TABLE event ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
   CREATE TABLE family (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
   WITH RECURSIVE used (number) AS (
     SELECT min(family) FROM event
     UNION ALL SELECT (SELECT min(family) FROM event WHERE family > used.number) FROM used WHERE used.number IS NOT NULL
   )
   INSERT INTO family
   SELECT number, courier_family((SELECT channel FROM event WHERE family = number LIMIT 1)) FROM used WHERE number IS NOT NULL;`,
  STATE_TABLES,
  // What cannot be read as JSON is damaged, and told when it is read.
  `ALTER TABLE event ADD COLUMN work INTEGER;
   ALTER TABLE event ADD COLUMN cause_seq INTEGER;
   UPDATE event SET work = courier_work(seq, json_extract(body, '$.metadata.correlation_id'))
   WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.metadata.correlation_id') IS NOT NULL END;
   CREATE INDEX event_by_work ON event (work) WHERE work IS NOT NULL;
   CREATE INDEX event_by_cause ON event (cause_seq) WHERE cause_seq IS NOT NULL;
   ${FORGOTTEN_STATES}`,
];

const SCHEMA_VERSION = MIGRATIONS.length;
export const EVENT_COLUMNS = 'seq, channel, family, type, version, body, checksum';

/** Why a file cannot be used; one line. */
export class LogOpenError extends Error {
  override readonly name = 'LogOpenError';
}

/** What `openProblem` says of a log that a gateway has open. */
export const IN_USE = 'another process is using it';

/** What was thrown, in its own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a file cannot be used, of whatever was thrown while it was opened. */
export function openProblem(error: unknown): string {
  const message = messageOf(error);
  if (error instanceof LogOpenError) return message;
  if (/locked|busy/i.test(message)) return IN_USE;
  if (/not a database/i.test(message)) return 'it is not an SQLite file';
  // Statements that are always the same.
  if (/malformed|disk image|no such (?:column|table|index)/i.test(message)) return `it is damaged: ${message}`;
  return message;
}

/**
 * The version of a log's file, and 0 of one that has nothing in it yet. Changes nothing.
 *
 * @throws {LogOpenError} when it is something else, or of a version to come.
 */
export function recognise(db: DatabaseSync): number {
  const applicationId = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  const empty = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] === 0;
  if (applicationId !== APPLICATION_ID && !(applicationId === 0 && empty)) {
    throw new LogOpenError('it is an SQLite file, but not an event log of Courier');
  }
  if (version > SCHEMA_VERSION) {
    throw new LogOpenError(`it has version ${version}, and this Courier knows versions up to ${SCHEMA_VERSION}: use a newer Courier`);
  }
  return version;
}

/** Makes an empty file a log, or checks one that is, and brings it to this version. @throws {LogOpenError} when it is damaged. */
export function prepareFile(db: DatabaseSync, version: number): void {
  if (version > 0) checkIntegrity(db);
  db.function('courier_checksum', { deterministic: true }, (seq, channel, family, type, body) =>
    checksumOf({ seq: Number(seq), channel: String(channel), type: String(type), version: 1, body: String(body) }, Number(family)),
  );
  db.function('courier_family', { deterministic: true }, (channel) => familyIn(String(channel)) ?? null);
  db.function('courier_work', { deterministic: true }, (seq, correlationId) => workOf(Number(seq), String(correlationId)));
  db.function('courier_epoch', newEpochName);
  transaction(db, () => {
    for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
}

export function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    // After a full disk SQLite has rolled back already.
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/**
 * What SQLite's own checks do not see is a changed bit within a value: every event carries a CRC-32 of all that is read
 * of it.
 */
export function checksumOf({ seq, channel, type, version, body }: Omit<StoredEvent, 'family'>, familyNumber: number): number {
  // Events of before there were versions have the first.
  const head = `${seq} ${channel} ${familyNumber} ${type}${version === 1 ? '' : ` ${version}`}`;
  return crc32(body, crc32(head));
}

/** The event of a row whose fields are EVENT_COLUMNS; undefined when it is not what was stored. */
export function intactEvent([seq, channel, family, type, version, body, checksum]: readonly unknown[]): StoredEvent | undefined {
  const event = storedEvent({ seq, channel, type, version, body });
  return checksum === checksumOf(event, Number(family)) ? event : undefined;
}

function checkIntegrity(db: DatabaseSync): void {
  if (pragma(db, 'page_count') * pragma(db, 'page_size') <= FULL_CHECK_BYTES) checkPages(db);
  const row = db
    .prepare('SELECT (SELECT min(seq) FROM event) AS first, (SELECT max(seq) FROM event) AS head, trimmed_through AS trimmed FROM log')
    .get();
  if (row === undefined) throw new LogOpenError('it is damaged: it has lost its head');
  const first = row['first'] === null ? null : Number(row['first']);
  if (first !== null && first !== Number(row['trimmed']) + 1) {
    throw new LogOpenError(`it is damaged: its first event is ${first}, and should be ${Number(row['trimmed']) + 1}`);
  }
}

/** Checks all pages, and indexes against rows. @throws {LogOpenError} */
function checkPages(db: DatabaseSync): void {
  const problem = db.prepare('PRAGMA integrity_check(1)').get()?.['integrity_check'];
  if (problem !== 'ok') throw new LogOpenError(`it is damaged: ${String(problem)}`);
}

/** Every epoch of a log, oldest first. @throws {LogOpenError} */
export function epochsOf(db: DatabaseSync): [Epoch, ...Epoch[]] {
  const [oldest, ...rest] = db.prepare('SELECT name, first FROM epoch ORDER BY rowid').all() as unknown as Epoch[];
  if (oldest === undefined) throw new LogOpenError('it is damaged: it has lost its epochs');
  return [oldest, ...rest];
}

/** Reads a pragma that is a number. */
export function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

export interface LogFile {
  readonly bytes: number;
  readonly schemaVersion: number;
  readonly events: number;
  /** Positions of the oldest event and of the last; null when there is none. */
  readonly first: string | null;
  readonly last: string | null;
}

/**
 * Checks all of a file that nobody has open. Synchronous, and takes some 14 s for a GB.
 *
 * @throws {LogOpenError} when it is no log of this version, or damaged.
 */
export function inspectLogFile(path: string): LogFile {
  const url = pathToFileURL(path);
  // It is whole without a write-ahead log, and nothing is to be made beside it.
  url.searchParams.set('immutable', '1');
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(url, { readOnly: true });
    return inspect(db);
  } catch (error) {
    throw new LogOpenError(openProblem(error));
  } finally {
    db?.close();
  }
}

function inspect(db: DatabaseSync): LogFile {
  const schemaVersion = recognise(db);
  if (schemaVersion < SCHEMA_VERSION) throw new LogOpenError(`it has version ${schemaVersion}: use the Courier that wrote it`);
  checkPages(db);
  const firstSeq = Number(db.prepare('SELECT trimmed_through FROM log').get()?.['trimmed_through']) + 1;
  let nextSeq = firstSeq;
  const statement = db.prepare(`SELECT ${EVENT_COLUMNS} FROM event ORDER BY seq`);
  statement.setReturnArrays(true);
  for (const row of statement.iterate() as Iterable<unknown> as Iterable<readonly unknown[]>) {
    if (row[0] !== nextSeq) throw new LogOpenError(`it is damaged: event ${nextSeq} is missing`);
    if (intactEvent(row) === undefined) throw new LogOpenError(`it is damaged: event ${nextSeq} is not what was stored`);
    nextSeq += 1;
  }
  const positions = new Positions(epochsOf(db));
  const events = nextSeq - firstSeq;
  return {
    bytes: pragma(db, 'page_count') * pragma(db, 'page_size'),
    schemaVersion,
    events,
    first: events === 0 ? null : positions.at(firstSeq),
    last: events === 0 ? null : positions.at(nextSeq - 1),
  };
}
