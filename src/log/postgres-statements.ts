/** What the log asks of PostgreSQL: each statement is prepared once for each connection. */
import { CHANNEL_FAMILIES, type ChannelFamily } from '../contract/channels.ts';
import { PAGE_BYTES, type StoredEvent } from './log.ts';
import type { Row, Statement } from './postgres-database.ts';

export const APPEND: Statement = { name: 'append', text: 'SELECT * FROM courier_append($1, $2, $3, $4, $5, $6, $7, $8, $9)' };
export const BOUNDS: Statement = { name: 'bounds', text: 'SELECT epoch, head, trimmed_through FROM courier_log' };
export const BYTES: Statement = {
  name: 'bytes',
  text: `SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) + pg_total_relation_size('courier_idempotency') AS bytes
         FROM pg_inherits WHERE inhparent = 'courier_event'::regclass`,
};
export const TRIM_KEYS: Statement = {
  name: 'trim-keys',
  text: `DELETE FROM courier_idempotency WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM courier_idempotency WHERE keyed_ms <= $1 ORDER BY keyed_ms LIMIT $2 FOR UPDATE SKIP LOCKED))`,
};
/**
 * A page and the bounds that belong to it, as one snapshot. Bodies of other types stay where they are. After PAGE_BYTES
 * of bodies it ends.
 */
const page = (name: string, rows: string): Statement => ({
  name,
  text: `WITH found AS (${rows}),
           measured AS (SELECT *, sum(octet_length(body)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS total FROM found)
         SELECT log.epoch, log.head, log.trimmed_through, e.seq, e.channel, e.family, e.type, e.total,
                CASE WHEN $3::text[] IS NULL OR e.type = ANY ($3) THEN e.body END AS body
         FROM courier_log log LEFT JOIN measured e ON e.total - octet_length(e.body) <= ${PAGE_BYTES}
         ORDER BY e.seq`,
});
const EVENT_COLUMNS = 'e.seq, e.channel, e.family, e.type, e.body';
export const READ_ALL = page('read-all', `SELECT ${EVENT_COLUMNS} FROM courier_event e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2`);
/** One range of an index for each family and each single channel, none longer than the page. */
export const READ_SOME = page(
  'read-some',
  `SELECT * FROM (
     SELECT x.* FROM unnest($4::smallint[]) f CROSS JOIN LATERAL (
       SELECT ${EVENT_COLUMNS} FROM courier_event e WHERE e.family = f AND e.seq > $1 ORDER BY e.seq LIMIT $2) x
     UNION ALL
     SELECT x.* FROM unnest($5::text[]) c CROSS JOIN LATERAL (
       SELECT ${EVENT_COLUMNS} FROM courier_event e WHERE e.channel = c AND e.seq > $1 ORDER BY e.seq LIMIT $2) x
   ) e ORDER BY seq LIMIT $2`,
);

/** Families as the tables have them. */
export const FAMILY_NUMBER = new Map(CHANNEL_FAMILIES.map((family, index) => [family, index]));

export function storedEvent(row: Row): StoredEvent {
  return {
    seq: Number(row['seq']),
    channel: String(row['channel']),
    family: CHANNEL_FAMILIES[Number(row['family'])] as ChannelFamily,
    type: String(row['type']),
    body: String(row['body']),
  };
}
