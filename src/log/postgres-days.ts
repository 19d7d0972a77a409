/** Events lie in one partition a day (UTC): made before the day begins, and dropped whole when it is past retention. */
import type { ClientBase } from 'pg';
import { LOCK_SPACE } from './postgres-schema.ts';

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

/** `courier_event_20260131` for the day of that date. */
export function partitionName(day: number): string {
  return `courier_event_${new Date(day * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Drops the oldest day when it is before `beforeDay`. One instance at a time does so. Resolves to whether there was one. */
export async function dropOldestDay(client: ClientBase, epoch: string, beforeDay: number): Promise<boolean> {
  await client.query('BEGIN');
  await client.query(`SET LOCAL lock_timeout = ${DROP_LOCK_MS}`);
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
