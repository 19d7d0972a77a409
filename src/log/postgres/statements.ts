/** What the log asks of PostgreSQL, and what the rows mean that it answers with. */
import { includesChannel } from '../../contract/channels.ts';
import { unavailable } from '../answers.ts';
import { IDEMPOTENCY_WINDOW_MS, type LogBounds, type LogPage, type LogQuery, type LogStart, PAGE_BYTES } from '../log.ts';
import { isEverything, isRelated, lengthOf, type Row, spanOf, storedEvent } from '../reading.ts';
import type { Statement } from './database.ts';

export const BOUNDS: Statement = {
  name: 'bounds',
  text: 'SELECT epoch, head, trimmed_through, extract(epoch FROM clock_timestamp()) * 1000 AS now FROM courier_log',
};
/** Is there a commit of ours that waits for a standby? */
export const WAITS_FOR_STANDBY: Statement = {
  name: 'waits-for-standby',
  text: `SELECT 1 FROM pg_stat_activity WHERE application_name = 'courier' AND datname = current_database() AND wait_event = 'SyncRep' LIMIT 1`,
};
export const STORED_AT: Statement = {
  name: 'stored-at',
  text: `SELECT epoch, head, trimmed_through, t.n, e.stored_ms FROM courier_log
         CROSS JOIN unnest($1::bigint[]) WITH ORDINALITY AS t(seq, n) LEFT JOIN courier_event e ON e.seq = t.seq ORDER BY t.n`,
};
export const BYTES: Statement = {
  name: 'bytes',
  text: `SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) + pg_total_relation_size('courier_idempotency') AS bytes
         FROM pg_inherits WHERE inhparent = 'courier_event'::regclass`,
};
export const TRIM_KEYS: Statement = {
  name: 'trim-keys',
  text: `DELETE FROM courier_idempotency WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM courier_idempotency
           WHERE keyed_ms <= coalesce($1::bigint, (extract(epoch FROM statement_timestamp()) * 1000)::bigint) - ${IDEMPOTENCY_WINDOW_MS}
           ORDER BY keyed_ms LIMIT $2 FOR UPDATE SKIP LOCKED))`,
};
const EVENT_COLUMNS = 'e.seq, e.channel, e.family, e.type, e.version, e.body';

/** The statements of one order of reading: of everything, and of some families and single channels. */
function reads(
  name: string,
  [beyond, within, order]: ['>', '<=', 'ASC'] | ['<', '>=', 'DESC'],
): Record<'all' | 'some' | 'correlated' | 'caused', Statement> {
  // Bodies of other types stay where they are. After PAGE_BYTES of bodies the page ends.
  const page = (found: string) => `
    WITH found AS (${found}),
      measured AS (SELECT *, sum(octet_length(body)) OVER (ORDER BY seq ${order} ROWS UNBOUNDED PRECEDING) AS total FROM found)
    SELECT log.epoch, log.head, log.trimmed_through, e.seq, e.channel, e.family, e.type, e.version, e.total,
           CASE WHEN $3::text[] IS NULL OR e.type = ANY ($3) THEN e.body END AS body
    FROM courier_log log LEFT JOIN measured e ON e.total - octet_length(e.body) <= ${PAGE_BYTES}
    ORDER BY e.seq ${order}`;
  const all = `SELECT ${EVENT_COLUMNS} FROM courier_event e WHERE e.seq ${beyond} $1 ORDER BY e.seq ${order} LIMIT $2`;
  // Only the index of `column` has this order. With an equality the index by number would have it too, and the server would
  // look through the whole log there for a rare value that its statistics take for a common one.
  const range = (column: 'family' | 'channel' | 'correlation_id' | 'cause_seq', value: string) => `
    SELECT ${EVENT_COLUMNS} FROM courier_event e
    WHERE (e.${column}, e.seq) ${beyond} (${value}, $1) AND e.${column} ${within} ${value}
    ORDER BY e.${column} ${order}, e.seq ${order} LIMIT $2`;
  // One range for each family and each single channel, none longer than the page.
  const some = `
    SELECT * FROM (
      SELECT x.* FROM unnest($4::smallint[]) f CROSS JOIN LATERAL (${range('family', 'f')}) x
      UNION ALL
      SELECT x.* FROM unnest($5::text[]) c CROSS JOIN LATERAL (${range('channel', 'c')}) x
    ) e ORDER BY seq ${order} LIMIT $2`;
  const caused = `
    SELECT x.* FROM unnest($4::bigint[]) c CROSS JOIN LATERAL (${range('cause_seq', 'c')}) x
    ORDER BY x.seq ${order} LIMIT $2`;
  return {
    all: { name: `read-all-${name}`, text: page(all) },
    some: { name: `read-some-${name}`, text: page(some) },
    correlated: { name: `read-correlated-${name}`, text: page(range('correlation_id', '$4::text')) },
    caused: { name: `read-caused-${name}`, text: page(caused) },
  };
}

const OLDEST_FIRST = reads('oldest', ['>', '<=', 'ASC']);
const NEWEST_FIRST = reads('newest', ['<', '>=', 'DESC']);

/** What reads a page and the bounds that belong to it, as one snapshot. */
export const readsFrom = ({ beforeSeq }: LogStart) => (beforeSeq === undefined ? OLDEST_FIRST : NEWEST_FIRST);

/** The statement that reads a page, and its values. */
export function readCall({ channels, types, limit, ...start }: LogQuery, families: ReadonlyMap<string, number>): [Statement, unknown[]] {
  const { all, some, correlated, caused } = readsFrom(start);
  const values = [start.beforeSeq ?? start.afterSeq, limit, types && [...types]];
  if (isRelated(channels))
    return channels.causes === undefined ? [correlated, [...values, channels.correlationId]] : [caused, [...values, [...channels.causes]]];
  if (channels === 'all' || isEverything(channels, families.keys())) return [all, values];
  const numbers = [...channels.families].flatMap((family) => families.get(family) ?? []);
  return [some, [...values, numbers, [...channels.singles]]];
}

/** @param rows that a read has answered with, beside its bounds. A row has no body where its type was not asked for. */
export function pageOf(
  rows: readonly Row[],
  { channels, limit, ...start }: LogQuery,
  bounds: LogBounds,
  families: ReadonlyMap<string, number>,
): LogPage {
  const found = rows.filter((row) => row['seq'] !== null);
  const last = found.at(-1);
  const span = spanOf(start, bounds);
  const isFull = last !== undefined && (found.length === limit || Number(last['total']) > PAGE_BYTES);
  const endSeq = isFull ? Number(last['seq']) : span.endSeq;
  if (isEverything(channels, families.keys()) && found.length !== lengthOf({ ...span, endSeq }, bounds))
    throw unavailable(`it is damaged, an event from ${span.beginSeq} to ${endSeq} is missing: restore a copy`);
  const events = found.filter((row) => row['body'] !== null).map(storedEvent);
  // Another instance may have begun a family meanwhile.
  const selected =
    channels === 'all' || isRelated(channels) ? events : events.filter(({ family, channel }) => includesChannel(channels, family, channel));
  return { events: selected, endSeq, ...bounds };
}
