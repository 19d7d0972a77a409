/** Events lie in one partition a day (UTC): made before the day begins, and dropped whole when it is past retention. */
import type { ClientBase } from 'pg';
import { LOCK_SPACE } from './postgres-schema.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** The last day that a date can name. */
const MAX_DAY = 8.64e15 / DAY_MS;
/** How long dropping waits for those who read, in ms; appends wait behind it. */
const DROP_LOCK_MS = 1000;

/** Makes the partitions of `count` days from `day` on (days since 1970), where they are missing. */
export async function ensurePartitions(client: ClientBase, day: number, count: number): Promise<void> {
  for (let one = day; one < day + count; one += 1) {
    const name = partitionName(one);
    const { rows } = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [name]);
    if (rows[0]?.found === true) continue;
    await client.query('BEGIN');
    try {
      await client.query('SELECT pg_advisory_xact_lock($1, 1)', [LOCK_SPACE]);
      // Attaching does not keep others from reading and appending, which creating as a partition would.
      await client.query(`CREATE TABLE IF NOT EXISTS ${name} (LIKE courier_event INCLUDING ALL)`);
      const attached = await client.query('SELECT 1 FROM pg_inherits WHERE inhrelid = $1::regclass', [name]);
      if (attached.rows.length === 0)
        await client.query(`ALTER TABLE courier_event ATTACH PARTITION ${name} FOR VALUES FROM (${one}) TO (${one + 1})`);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
}

/** In days since 1970. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** `courier_event_20260131` for the day of that date. */
export function partitionName(day: number): string {
  return `courier_event_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** The time, in ms since 1970, and when the last event was appended, by the database's clock. @param now another clock. */
export async function timesOf(client: ClientBase, now: number | undefined): Promise<{ now: number; lastAppended: number }> {
  const { rows } = await client.query<{ now: string; last: string }>(
    'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now, last_appended_ms AS last FROM courier_log',
  );
  return { now: now ?? Number(rows[0]?.now), lastAppended: Number(rows[0]?.last) };
}

/**
 * Drops the oldest day when all of it is more than `keepMs` ago, and never the one that is written to. One instance at a time
 * does so. Resolves to whether there was one. @param given another clock than the database's.
 */
export async function dropOldestDay(client: ClientBase, epoch: string, keepMs: number, given: number | undefined): Promise<boolean> {
  await client.query('BEGIN');
  await client.query(`SET LOCAL lock_timeout = ${DROP_LOCK_MS}`);
  const { now, lastAppended } = await timesOf(client, given);
  const beforeDay = Math.max(0, Math.min(dayOf(now - keepMs), dayOf(Math.max(now, lastAppended)), MAX_DAY));
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_xact_lock($1, 2) AS locked', [LOCK_SPACE]);
  const oldest = await client.query<{ name: string }>(
    "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'courier_event'::regclass ORDER BY 1 LIMIT 1",
  );
  const name = oldest.rows[0]?.name;
  if (rows[0]?.locked !== true || name === undefined || name >= partitionName(beforeDay)) {
    await client.query('COMMIT');
    return false;
  }
  // Appends lock the counter first, and the events after it; in another order this would be a deadlock.
  await client.query('SELECT 1 FROM courier_log FOR UPDATE');
  await client.query(
    `UPDATE courier_log SET trimmed_through = greatest(trimmed_through, (SELECT coalesce(max(seq), 0) FROM ${name})) WHERE epoch = $1`,
    [epoch],
  );
  await client.query(`DROP TABLE ${name}`);
  await client.query('COMMIT');
  return true;
}
