/** Events lie in one partition a day (UTC): made before the day begins, and dropped whole when it is past retention. */
import pg, { type ClientBase } from 'pg';
import type { PostgresDatabase } from './database.ts';
import { lockKeys, transaction } from './schema.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Days that have partitions, the present one among them. */
const DAYS_AHEAD = 3;
/** The last day that a date can name. */
const MAX_DAY = 8.64e15 / DAY_MS;
/** How long dropping a day waits for appends, and then for reads, in ms. While it waits for reads, appends wait behind it. */
const COUNTER_LOCK_MS = 1000;
const DROP_LOCK_MS = 50;
/** How long a day that another session has locked is left alone, in ms. */
const LOCKED_PAUSE_MS = 30_000;
/** For how long it may be locked before that is said, in ms: a backup takes its time. */
const LOCKED_TOLERANCE_MS = 6 * 60 * 60 * 1000;
/** SQLSTATE lock_not_available. */
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Makes the partitions of DAYS_AHEAD days where they are missing, from the day on that the next event falls on: that of the
 * database's clock, and never before that of the last event.
 *
 * @param given another clock than the database's, in ms since 1970.
 */
export async function ensurePartitions(client: ClientBase, given: number | undefined): Promise<void> {
  const { now, lastAppended } = await timesOf(client, given);
  const today = dayOf(Math.max(now, lastAppended));
  for (let day = today; day < today + DAYS_AHEAD; day += 1) {
    const name = partitionName(day);
    const { rows } = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [name]);
    if (rows[0]?.found === true) continue;
    await transaction(client, async () => {
      await client.query(`SELECT pg_advisory_xact_lock(${lockKeys('makePartitions')})`);
      // Attaching does not keep others from reading and appending, which creating as a partition would.
      await client.query(`CREATE TABLE IF NOT EXISTS ${name} (LIKE courier_event INCLUDING ALL)`);
      const attached = await client.query('SELECT 1 FROM pg_inherits WHERE inhrelid = $1::regclass', [name]);
      if (attached.rows.length === 0)
        await client.query(`ALTER TABLE courier_event ATTACH PARTITION ${name} FOR VALUES FROM (${day}) TO (${day + 1})`);
    });
  }
}

/** In days since 1970. */
function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** `courier_event_20260131` for the day of that date. */
function partitionName(day: number): string {
  return `courier_event_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** The time, in ms since 1970, and when the last event was appended, by the database's clock. @param given another clock. */
async function timesOf(client: ClientBase, given: number | undefined): Promise<{ now: number; lastAppended: number }> {
  const { rows } = await client.query<{ now: string; last: string }>(
    'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now, last_appended_ms AS last FROM courier_log',
  );
  return { now: given ?? Number(rows[0]?.now), lastAppended: Number(rows[0]?.last) };
}

/**
 * Drops days that are past. One that another session has locked, as a pg_dump does, is left for later: appends wait for about
 * DROP_LOCK_MS, and not again for LOCKED_PAUSE_MS.
 */
export class PastDays {
  #lockedSince: number | undefined;
  #leftAloneUntil = 0;

  /** Resolves to whether a day was dropped. @param given another clock than the database's. */
  async dropOldest(database: PostgresDatabase, epoch: string, keepMs: number, given: number | undefined): Promise<boolean> {
    if (performance.now() < this.#leftAloneUntil) return false;
    const oldest = await database.with((client) => dropOldestDay(client, epoch, keepMs, given));
    if (oldest === 'locked') {
      this.#lockedSince ??= Date.now();
      this.#leftAloneUntil = performance.now() + LOCKED_PAUSE_MS;
    } else if (oldest !== 'busy') this.#lockedSince = undefined;
    return oldest === 'dropped';
  }

  /** What an operator should see to, if anything. */
  get concern(): string | undefined {
    const lockedMs = this.#lockedSince === undefined ? 0 : Date.now() - this.#lockedSince;
    if (lockedMs < LOCKED_TOLERANCE_MS) return undefined;
    const hours = Math.floor(lockedMs / 3_600_000);
    return `events past retention cannot be removed since ${hours} h, as another session of the database holds their table: end it (pg_locks)`;
  }
}

/** `busy`: another instance sees to it. */
type OldestDay = 'dropped' | 'kept' | 'locked' | 'busy';

/**
 * Drops the oldest day when all of it is more than `keepMs` ago, and never the one that is written to. One instance at a time
 * does so. @param given another clock than the database's.
 */
async function dropOldestDay(client: ClientBase, epoch: string, keepMs: number, given: number | undefined): Promise<OldestDay> {
  await client.query('BEGIN');
  await client.query(`SET LOCAL lock_timeout = ${COUNTER_LOCK_MS}`);
  const { now, lastAppended } = await timesOf(client, given);
  const beforeDay = Math.max(0, Math.min(dayOf(now - keepMs), dayOf(Math.max(now, lastAppended)), MAX_DAY));
  const { rows } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_xact_lock(${lockKeys('dropPartitions')}) AS locked`);
  const oldest = await client.query<{ name: string }>(
    "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'courier_event'::regclass ORDER BY 1 LIMIT 1",
  );
  const name = oldest.rows[0]?.name;
  if (rows[0]?.locked !== true || name === undefined || name >= partitionName(beforeDay)) {
    await client.query('COMMIT');
    return rows[0]?.locked === true ? 'kept' : 'busy';
  }
  // Appends lock the counter first, and the events after it; in another order this would be a deadlock.
  await client.query('SELECT 1 FROM courier_log FOR UPDATE');
  const noted = await client.query(
    `UPDATE courier_log log SET trimmed_through = greatest(log.trimmed_through, day.seq)
     FROM (SELECT coalesce(max(seq), 0) AS seq FROM ${name}) day
     WHERE log.epoch = $1 AND NOT EXISTS (
       SELECT FROM courier_state_build b
       WHERE b.used_until > statement_timestamp() AND b.seq >= log.trimmed_through AND b.seq < day.seq)`,
    [epoch],
  );
  // Of another epoch nothing is this instance's to remove, nor what the states of entities have yet to fold.
  if (noted.rowCount === 0) {
    await client.query('ROLLBACK');
    return 'kept';
  }
  await client.query(`SET LOCAL lock_timeout = ${DROP_LOCK_MS}`);
  try {
    await client.query(`DROP TABLE ${name}`);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE)) throw error;
    await client.query('ROLLBACK');
    return 'locked';
  }
  await client.query('COMMIT');
  return 'dropped';
}
