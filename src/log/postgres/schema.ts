/**
 * What the log keeps in PostgreSQL, by version.
 *
 * One row, `courier_log`, has the last number given out. An append locks it until its commit, so that the order of numbers
 * is the order of commits, and a rollback leaves no hole.
 */
import type { ClientBase } from 'pg';
import { type Epoch, newEpochName } from '../positions.ts';
import { appendFunction } from './append.ts';
import { PostgresOpenError } from './server.ts';
import { UNSETTLED_SEQ } from './state-statements.ts';

/** The first key of Courier's advisory locks, which sets them apart from those of others: "COUR" in ASCII. */
export const LOCK_SPACE = 0x434f5552;
/** The two keys of the locks that are taken for one transaction, by what one instance at a time does. */
const LOCKS = {
  migrate: `${LOCK_SPACE}, 0`,
  makePartitions: `${LOCK_SPACE}, 1`,
  dropPartitions: `${LOCK_SPACE}, 2`,
  // Its first key is another: instances of earlier versions, which may run beside this one, take it so.
  addRevocations: '1129270610, 3',
  addContractClients: `${LOCK_SPACE}, 4`,
  forgetStates: `${LOCK_SPACE}, 5`,
};

/** The keys as the functions of locks take them. */
export function lockKeys(task: keyof typeof LOCKS): string {
  return LOCKS[task];
}

/** Given when an event falls on a day that has no partition (check_violation). */
export const NO_PARTITION = '23514';

/** Each entry brings a schema from the version of its index to the next. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE courier_log (
     only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
     identity text NOT NULL DEFAULT gen_random_uuid()::text,
     epoch text NOT NULL,
     server text NOT NULL,
     head bigint NOT NULL DEFAULT 0,
     trimmed_through bigint NOT NULL DEFAULT 0,
     last_appended_ms bigint NOT NULL DEFAULT 0
   ) WITH (fillfactor = 20);
   CREATE TABLE courier_epoch (
     number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     name text NOT NULL UNIQUE,
     first bigint NOT NULL
   );
   CREATE TABLE courier_event (
     seq bigint NOT NULL,
     day integer NOT NULL,
     channel text NOT NULL,
     family smallint NOT NULL,
     type text NOT NULL,
     body text NOT NULL
   ) PARTITION BY RANGE (day);
   CREATE INDEX courier_event_by_seq ON courier_event (seq);
   CREATE INDEX courier_event_by_channel ON courier_event (channel, seq);
   CREATE INDEX courier_event_by_family ON courier_event (family, seq);
   CREATE TABLE courier_idempotency (
     principal text NOT NULL,
     key text NOT NULL,
     seq bigint NOT NULL,
     day integer NOT NULL,
     keyed_ms bigint NOT NULL,
     PRIMARY KEY (principal, key)
   );
   CREATE INDEX courier_idempotency_by_time ON courier_idempotency (keyed_ms);
   CREATE TABLE courier_revocation (
     number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     sub text,
     jti text,
     at_ms bigint NOT NULL
   );

${appendFunction(false)}`,
  // Null stands for every role.
  'ALTER TABLE courier_revocation ADD COLUMN role text',
  // Families had the numbers that they have in events; each event's channel says the name.
  `ALTER TABLE courier_event ADD COLUMN version smallint NOT NULL DEFAULT 1;
   CREATE TABLE courier_family (number smallint PRIMARY KEY, name text NOT NULL UNIQUE);
   SET LOCAL enable_seqscan = off;
   INSERT INTO courier_family
   SELECT f.number, CASE WHEN e.channel = 'global' THEN 'global' ELSE regexp_replace(e.channel, '\\.[^.]*$', '') END
   FROM generate_series(0, 63) AS f(number)
   CROSS JOIN LATERAL (SELECT channel FROM courier_event WHERE family = f.number ORDER BY family, seq LIMIT 1) e;
   SET LOCAL enable_seqscan = on;

${appendFunction(true)}`,
  // Of what was stored before nobody looks the ids up: that would take the log away from its instances for as long.
  `ALTER TABLE courier_event ADD COLUMN correlation_id text, ADD COLUMN cause_seq bigint, ADD COLUMN stored_ms bigint;
   CREATE INDEX courier_event_by_correlation ON courier_event (correlation_id, seq) WHERE correlation_id IS NOT NULL;
   CREATE INDEX courier_event_by_cause ON courier_event (cause_seq, seq) WHERE cause_seq IS NOT NULL;
   DO $$ BEGIN
     IF to_regclass('courier_state') IS NOT NULL THEN
       ALTER TABLE courier_state ADD COLUMN IF NOT EXISTS forgotten_seq bigint;
       ALTER TABLE courier_state_removal ADD COLUMN IF NOT EXISTS until_seq bigint NOT NULL DEFAULT ${UNSETTLED_SEQ};
       DROP INDEX IF EXISTS courier_state_removal_by_seq;
     END IF;
   END $$;

${appendFunction(false, 'read')}

${appendFunction(true, 'read')}

${appendFunction(true, 'given')}`,
];

/**
 * Tables beside the log that instances of earlier versions do not miss. They have no version, so that such instances can still be
 * started, beside this one or in its place.
 */
const BESIDE: Readonly<Record<string, string>> = {
  courier_contract_client: `CREATE TABLE courier_contract_client (
     role text NOT NULL,
     sub text NOT NULL,
     client text NOT NULL,
     contract text NOT NULL,
     uses jsonb NOT NULL,
     last_day integer NOT NULL,
     noted bigint NOT NULL,
     PRIMARY KEY (role, sub, client, contract)
   )`,
  courier_state_build: `CREATE TABLE courier_state_build (
     number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     entity text NOT NULL,
     version integer NOT NULL,
     start_seq bigint NOT NULL,
     seq bigint NOT NULL,
     written_seq bigint NOT NULL,
     is_complete boolean NOT NULL DEFAULT false,
     built_seq bigint NOT NULL DEFAULT 0,
     forgotten_seq bigint NOT NULL DEFAULT 0,
     used_until timestamptz NOT NULL,
     holder text,
     held_until timestamptz
   )`,
  courier_state: `CREATE TABLE courier_state (
     build integer NOT NULL,
     key text NOT NULL,
     channel text NOT NULL,
     family smallint NOT NULL,
     condition smallint NOT NULL,
     seq bigint NOT NULL,
     since_seq bigint NOT NULL,
     ended_ms bigint,
     forgotten_seq bigint,
     body text NOT NULL
   );
   CREATE UNIQUE INDEX courier_state_by_key ON courier_state (build, key, channel);
   CREATE INDEX courier_state_by_family ON courier_state (build, family, condition, seq);
   CREATE INDEX courier_state_by_channel ON courier_state (channel, build, condition, seq);
   CREATE INDEX courier_state_by_end ON courier_state (ended_ms) WHERE ended_ms IS NOT NULL`,
  // Numbers are in the order of commits, as one instance at a time forgets: who follows them misses none.
  courier_state_removal: `CREATE TABLE courier_state_removal (
     number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     build integer NOT NULL,
     channel text NOT NULL,
     key text NOT NULL,
     seq bigint NOT NULL,
     at_ms bigint NOT NULL,
     until_seq bigint NOT NULL DEFAULT ${UNSETTLED_SEQ}
   );
   CREATE INDEX courier_state_removal_by_time ON courier_state_removal (at_ms)`,
};

/** On these tables, and those of earlier versions. */
const BESIDE_INDEXES = `
   CREATE INDEX IF NOT EXISTS courier_state_by_forgotten ON courier_state (build, forgotten_seq) WHERE forgotten_seq IS NOT NULL;
   CREATE INDEX IF NOT EXISTS courier_state_removal_by_until ON courier_state_removal (until_seq, number);
   CREATE INDEX IF NOT EXISTS courier_state_removal_by_key ON courier_state_removal (build, key, channel)`;

/** Brings the schema to this version; does nothing when it is. Returns the version. @throws {PostgresOpenError} */
export async function migrate(client: ClientBase): Promise<number> {
  await transaction(client, async () => {
    await client.query(`SELECT pg_advisory_xact_lock(${lockKeys('migrate')})`);
    const version = await versionOf(client);
    if (version > MIGRATIONS.length) {
      throw new PostgresOpenError(
        `its schema has version ${version}, and this Courier knows versions up to ${MIGRATIONS.length}: use a newer Courier`,
      );
    }
    if (version < MIGRATIONS.length) {
      for (const migration of MIGRATIONS.slice(version)) await client.query(migration);
      await client.query('CREATE TABLE IF NOT EXISTS courier_schema (version integer NOT NULL)');
      await client.query('DELETE FROM courier_schema');
      await client.query('INSERT INTO courier_schema VALUES ($1)', [MIGRATIONS.length]);
    }
    for (const [table, statement] of Object.entries(BESIDE)) if (!(await isThere(client, table))) await client.query(statement);
    await client.query(BESIDE_INDEXES);
  });
  return MIGRATIONS.length;
}

export async function transaction<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function versionOf(client: ClientBase): Promise<number> {
  if (!(await isThere(client, 'courier_schema'))) return 0;
  return (await client.query<{ version: number }>('SELECT version FROM courier_schema')).rows[0]?.version ?? 0;
}

async function isThere(client: ClientBase, table: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table]);
  return rows[0]?.found === true;
}

/** What was acknowledged last is there, and nothing else, unless only a part was restored. @throws {PostgresOpenError} */
export async function checkNewest(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ head: string; newest: string }>(
    'SELECT head, greatest(trimmed_through, (SELECT coalesce(max(seq), 0) FROM courier_event)) AS newest FROM courier_log',
  );
  const [found] = rows;
  if (found === undefined || found.newest === found.head) return;
  const { newest, head } = found;
  throw new PostgresOpenError(
    Number(newest) < Number(head)
      ? `its newest events are missing: the last one is ${newest}, and should be ${head}. Restore all of it; where they are lost for ` +
          `good, say so with UPDATE courier_log SET head = ${newest}, and who had them is told`
      : `it counts ${head} events, and the last one is ${newest}: restore all of it, or let it count on with UPDATE courier_log SET head = ${newest}`,
  );
}

/** The log as it is when an instance opens it. */
export interface FoundLog {
  /** Names the log. */
  readonly identity: string;
  readonly head: number;
  readonly epochs: readonly [Epoch, ...Epoch[]];
}

/** @throws {PostgresOpenError} */
export async function findLog(client: ClientBase): Promise<FoundLog> {
  const { rows } = await client.query<{ identity: string; head: string }>('SELECT identity, head FROM courier_log');
  const epochs = await client.query<{ name: string; first: string }>('SELECT name, first FROM courier_epoch ORDER BY number');
  const [first, ...rest] = epochs.rows.map(({ name, first }) => ({ name, first: Number(first) }));
  const [log] = rows;
  if (log === undefined || first === undefined) throw new PostgresOpenError('it has lost its head');
  return { identity: log.identity, head: Number(log.head), epochs: [first, ...rest] };
}

/**
 * Which server this is: another one, or the same after it was restored or a standby took over, has another name (its
 * system identifier and timeline).
 */
export const SERVER_NAME =
  "(SELECT system_identifier::text FROM pg_control_system()) || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)";

/**
 * Begins another epoch when nobody has the log open, or when its server is not the one that it was: numbers from here on
 * have positions of their own. @param alone whether nobody else has the log open.
 */
export async function beginEpoch(client: ClientBase, alone: boolean): Promise<void> {
  const name = newEpochName();
  await client.query('BEGIN');
  await client.query(`INSERT INTO courier_log (epoch, server) VALUES ($1, ${SERVER_NAME}) ON CONFLICT DO NOTHING`, ['']);
  const { rows } = await client.query<{ head: string }>(
    `UPDATE courier_log SET epoch = $1, server = ${SERVER_NAME} WHERE $2 OR epoch = '' OR server <> ${SERVER_NAME} RETURNING head`,
    [name, alone],
  );
  if (rows[0] !== undefined) {
    // The keys of events that were lost: whoever repeats one is to store it again.
    await client.query('DELETE FROM courier_idempotency WHERE seq > $1', [rows[0].head]);
    // States that have them in it, which are made anew: this is before every event. What was restored may be of before there were states.
    if (await isThere(client, 'courier_state_build'))
      await client.query('UPDATE courier_state_build SET seq = -1 WHERE written_seq > $1', [rows[0].head]);
    await client.query('INSERT INTO courier_epoch (name, first) VALUES ($1, $2)', [name, Number(rows[0].head) + 1]);
  }
  await client.query('COMMIT');
}
