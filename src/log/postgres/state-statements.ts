/**
 * What the states of entities ask of PostgreSQL. Of the builds in the tables, those are none any more that have missed events: nobody used
 * them, and so retention did not spare what they had yet to fold.
 */

import { PAGE_BYTES } from '../log.ts';
import { MAX_ROWS_OF_EVENT } from '../state-store.ts';
import type { Statement } from './database.ts';
import { BOUNDS } from './statements.ts';

/** Up to where who has the states may not have heard of a removal, as long as anybody may not have. */
export const UNSETTLED_SEQ = Number.MAX_SAFE_INTEGER;
/** For how long after `register` or `claim` a build counts as used. */
const USED = "interval '1 hour'";
const LOG = 'log.epoch, log.head, log.trimmed_through';
const ROW = 's.build, s.key, s.channel, s.condition, s.seq, s.since_seq, s.body';

/** Those who change several things lock them in this order: builds by their numbers, the log, rows. */
export const LOCK_BUILDS: Statement = {
  name: 'state-lock-builds',
  text: 'SELECT number FROM courier_state_build WHERE $1::integer[] IS NULL OR number = ANY ($1) ORDER BY number FOR UPDATE',
};
/** Until the commit no event is appended, and none is removed. */
export const LOCK_LOG: Statement = { name: 'state-lock-log', text: `${BOUNDS.text} FOR UPDATE` };

export const LOOK: Statement = {
  name: 'state-look',
  text: `SELECT ${LOG}, (SELECT max(number) FROM courier_state_removal) AS removals,
           b.number, b.entity, b.version, b.start_seq, b.seq, b.written_seq, b.is_complete, b.built_seq, b.forgotten_seq
         FROM courier_log log LEFT JOIN courier_state_build b ON b.entity = ANY ($1::text[]) AND b.seq >= log.trimmed_through
         ORDER BY b.number`,
};

/** Begins builds with the first retained event: of entities without a build of their version, or, to replace it, without one that is being made. */
const begin = (name: string, unless: string): Statement => ({
  name,
  text: `INSERT INTO courier_state_build (entity, version, start_seq, seq, written_seq, used_until)
         SELECT t.entity, t.version, log.trimmed_through, log.trimmed_through, log.trimmed_through, statement_timestamp() + ${USED}
         FROM courier_log log CROSS JOIN (
           SELECT entity, version, min(n) AS n FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS t(entity, version, n) GROUP BY 1, 2
         ) t
         WHERE NOT EXISTS (
           SELECT FROM courier_state_build b
           WHERE b.entity = t.entity AND b.version = t.version AND b.seq >= log.trimmed_through AND ${unless})
         ORDER BY t.n`,
});
export const BEGIN_FIRST = begin('state-begin-first', 'true');
export const BEGIN_AGAIN = begin('state-begin-again', 'NOT b.is_complete');

/** @param $3 those that are locked: whatever was begun meanwhile is used as it is. */
export const USE: Statement = {
  name: 'state-use',
  text: `UPDATE courier_state_build b SET used_until = statement_timestamp() + ${USED}
         FROM courier_log log CROSS JOIN unnest($1::text[], $2::integer[]) AS t(entity, version)
         WHERE b.entity = t.entity AND b.version = t.version AND b.number = ANY ($3::integer[]) AND b.seq >= log.trimmed_through`,
};

const IS_FREE = 'holder IS NULL OR holder = $1 OR held_until <= statement_timestamp()';
export const CLAIM: Statement = {
  name: 'state-claim',
  text: `UPDATE courier_state_build SET used_until = statement_timestamp() + ${USED},
           holder = CASE WHEN ${IS_FREE} THEN $1 ELSE holder END,
           held_until = CASE WHEN ${IS_FREE} THEN statement_timestamp() + $3::float8 * interval '1 millisecond' ELSE held_until END
         WHERE number = ANY ($2::integer[]) AND seq >= (SELECT trimmed_through FROM courier_log)
         RETURNING number, holder = $1 AS is_held`,
};
export const RELEASE: Statement = {
  name: 'state-release',
  text: 'UPDATE courier_state_build SET holder = NULL, held_until = NULL WHERE holder = $1',
};

export const FIND: Statement = {
  name: 'state-find',
  text: `SELECT ${LOG}, ${ROW}, CASE WHEN s.build IS NOT NULL THEN s.forgotten_seq ELSE (
           SELECT max(r.seq) FROM courier_state_removal r WHERE r.build = t.build AND r.key = t.key AND r.channel = t.channel) END AS forgotten_seq
         FROM courier_log log CROSS JOIN unnest($1::integer[], $2::text[], $3::text[]) WITH ORDINALITY AS t(build, key, channel, n)
         LEFT JOIN LATERAL (
           SELECT * FROM courier_state s WHERE s.build = t.build AND s.key = t.key AND s.channel = t.channel LIMIT 1
         ) s ON true
         ORDER BY t.n`,
};

/** Rows that a read looks at, at most: all of an event are among them that begins within the limit. */
const MOST = `$6::integer + ${MAX_ROWS_OF_EVENT}`;

/** A page, and the bounds of the log and the builds that belong to it, as one snapshot. The page ends where an event does. */
const read = (name: string, found: string): Statement => ({
  name,
  text: `
    WITH built AS (
      SELECT ${LOG}, CASE WHEN $7::boolean THEN max(b.written_seq) ELSE min(b.seq) END AS checkpoint,
        max(b.written_seq) AS written_seq
      FROM courier_log log LEFT JOIN courier_state_build b ON b.number = ANY ($1::integer[]) AND b.seq >= log.trimmed_through
      GROUP BY 1, 2, 3
    ), found AS (SELECT * FROM (${found}) s ORDER BY s.seq LIMIT ${MOST}),
    measured AS (
      SELECT *, count(*) OVER before AS rows_before, coalesce(sum(octet_length(body)) OVER before, 0) AS bytes_before FROM found
      WINDOW before AS (ORDER BY seq GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    )
    SELECT log.*, (SELECT count(*) FROM found) AS found, ${ROW}
    FROM built log LEFT JOIN measured s ON s.rows_before < $6 AND s.bytes_before <= ${PAGE_BYTES}
    ORDER BY s.seq`,
});

/** As in the reads of events, only the one index has this order, whatever the statistics say. */
const range = (columns: readonly string[], values: readonly string[]) => {
  const row = [...columns, 'seq'].map((column) => `s.${column}`).join(', ');
  return `SELECT ${ROW} FROM courier_state s
          WHERE (${row}) > (${values.join(', ')}, $5::bigint) AND (${row}) <= (${values.join(', ')}, (SELECT checkpoint FROM built))
          ORDER BY ${row} LIMIT ${MOST}`;
};

/** One range for each build, condition, and family or single channel, none longer than the page. Without families it is all that there are. */
export const READ_CHANNELS = read(
  'state-read-channels',
  `SELECT x.* FROM unnest($1::integer[]) n CROSS JOIN unnest($2::smallint[]) c
     CROSS JOIN unnest(coalesce($3::smallint[], ARRAY(SELECT number FROM courier_family))) f
     CROSS JOIN LATERAL (${range(['build', 'family', 'condition'], ['n', 'f', 'c'])}) x
   UNION ALL
   SELECT x.* FROM unnest($1::integer[]) n CROSS JOIN unnest($2::smallint[]) c CROSS JOIN unnest($4::text[]) o
     CROSS JOIN LATERAL (${range(['channel', 'build', 'condition'], ['o', 'n', 'c'])}) x`,
);
/** Few rows have one of some keys: they are read and put in order. OFFSET keeps each look-up one of the index by key. */
export const READ_KEYS = read(
  'state-read-keys',
  `SELECT ${ROW} FROM unnest($1::integer[]) n CROSS JOIN unnest($8::text[]) k
     CROSS JOIN LATERAL (SELECT * FROM courier_state WHERE build = n AND key = k OFFSET 0) s
   WHERE s.condition = ANY ($2::smallint[]) AND s.seq > $5::bigint AND s.seq <= (SELECT checkpoint FROM built)
     AND ($3::smallint[] IS NULL OR s.family = ANY ($3) OR s.channel = ANY ($4::text[]))`,
);

export const NOTE: Statement = {
  name: 'state-note',
  text: `UPDATE courier_state_build SET written_seq = greatest(written_seq, $2::bigint), seq = greatest(seq, $3::bigint)
         WHERE number = ANY ($1::integer[]) AND seq >= (SELECT trimmed_through FROM courier_log)
         RETURNING number`,
};
/** Of rows with one name the latest counts. */
export const PUT: Statement = {
  name: 'state-put',
  text: `INSERT INTO courier_state AS s (build, key, channel, family, condition, seq, since_seq, ended_ms, body)
         SELECT DISTINCT ON (t.build, t.key, t.channel) t.build, t.key, t.channel, t.family, t.condition, t.seq, t.since_seq,
           CASE WHEN t.condition <> 0 THEN $9::bigint END, t.body
         FROM unnest($1::integer[], $2::text[], $3::text[], $4::smallint[], $5::smallint[], $6::bigint[], $7::bigint[], $8::text[])
           WITH ORDINALITY AS t(build, key, channel, family, condition, seq, since_seq, body, n)
         ORDER BY t.build, t.key, t.channel, t.seq DESC, t.n
         ON CONFLICT (build, key, channel) DO UPDATE SET condition = excluded.condition, seq = excluded.seq, since_seq = excluded.since_seq,
           ended_ms = excluded.ended_ms, body = excluded.body, forgotten_seq = NULL WHERE excluded.seq > s.seq`,
};
export const COMPLETE: Statement = {
  name: 'state-complete',
  // Where there was none before nobody has a state of another. That there was may be forgotten once events are.
  text: `UPDATE courier_state_build b SET is_complete = true, built_seq = CASE WHEN $3::bigint > 1 OR EXISTS (
           SELECT FROM courier_state_build o WHERE o.entity = b.entity AND o.is_complete
         ) THEN $2::bigint ELSE 0 END
         WHERE number = ANY ($1::integer[]) AND NOT is_complete`,
};
/** Who knows states of builds that somebody holds, of all or of one, may know them up to now, and come to where others are served. */
export const NOTE_OTHERS: Statement = {
  name: 'state-note-others',
  text: `UPDATE courier_state_build b SET built_seq = log.head FROM courier_log log
         WHERE b.is_complete AND EXISTS (
           SELECT FROM courier_state_build o
           WHERE o.entity = b.entity AND o.is_complete AND o.number <> b.number
             AND CASE WHEN $1::text IS NULL THEN o.held_until > statement_timestamp() ELSE o.holder = $1 END)`,
};
/** Of builds that are used again after others were: whoever wrote those may have ended without a word. */
export const NOTE_RETURNED: Statement = {
  name: 'state-note-returned',
  text: `UPDATE courier_state_build b SET built_seq = log.head
         FROM courier_log log CROSS JOIN unnest($1::text[], $2::integer[]) AS t(entity, version)
         WHERE b.entity = t.entity AND b.version = t.version AND b.is_complete AND EXISTS (
           SELECT FROM courier_state_build o WHERE o.entity = b.entity AND o.is_complete AND (o.seq, o.number) > (b.seq, b.number))`,
};
/** It looks at all of them, by the index. */
export const COUNT: Statement = {
  name: 'state-count',
  text: `SELECT ${LOG}, s.build, s.condition, s.count
         FROM courier_log log LEFT JOIN (
           SELECT build, condition, count(*) FROM courier_state WHERE build = ANY ($1::integer[]) AND condition < 2 GROUP BY 1, 2
         ) s ON true`,
};

/** By now everybody has heard of them. */
export const SETTLE: Statement = {
  name: 'state-settle',
  text: `UPDATE courier_state_removal SET until_seq = log.head FROM courier_log log
         WHERE number = ANY (ARRAY(
           SELECT number FROM courier_state_removal WHERE until_seq = ${UNSETTLED_SEQ} AND at_ms < $1::bigint ORDER BY until_seq, number LIMIT $2))`,
};
const ENDED = 's.ended_ms < $1::bigint AND s.forgotten_seq IS NULL';
/** Whether there may be rows to forget. */
export const HAS_ENDED: Statement = {
  name: 'state-has-ended',
  text: `SELECT EXISTS (SELECT FROM courier_state s WHERE ${ENDED}) AS has`,
};
/** Of what an event has ended for good those who watched were told then; what else ended before $1 is forgotten behind $3. */
export const REMOVE_GONE: Statement = {
  name: 'state-remove-gone',
  text: `DELETE FROM courier_state WHERE ctid = ANY (ARRAY(
           SELECT s.ctid FROM courier_state s JOIN courier_state_build b ON b.number = s.build
           WHERE ${ENDED} AND s.condition = 2 AND s.seq <= b.seq ORDER BY s.ended_ms LIMIT $2))
         RETURNING build, seq`,
};
export const FORGET_CLOSED: Statement = {
  name: 'state-forget-closed',
  text: `UPDATE courier_state SET forgotten_seq = $3::bigint WHERE ctid = ANY (ARRAY(
           SELECT s.ctid FROM courier_state s JOIN courier_state_build b ON b.number = s.build
           WHERE ${ENDED} AND s.condition = 1 AND s.seq <= b.seq ORDER BY s.ended_ms LIMIT $2))`,
};
/** Nothing has changed them up to where they are forgotten. */
export const REMOVE_FORGOTTEN: Statement = {
  name: 'state-remove-forgotten',
  text: `WITH removed AS (
           DELETE FROM courier_state WHERE ctid = ANY (ARRAY(
             SELECT s.ctid FROM courier_state_build b CROSS JOIN LATERAL (
               SELECT o.ctid FROM courier_state o WHERE o.build = b.number AND o.forgotten_seq <= b.seq LIMIT $1) s
             LIMIT $1))
           RETURNING build, channel, key, forgotten_seq
         )
         INSERT INTO courier_state_removal (build, channel, key, seq, at_ms)
         SELECT build, channel, key, forgotten_seq, $2::bigint FROM removed`,
};
export const FORGET_REMOVALS: Statement = {
  name: 'state-forget-removals',
  text: `DELETE FROM courier_state_removal WHERE number = ANY (ARRAY(
           SELECT number FROM courier_state_removal WHERE at_ms < $1::bigint AND until_seq < ${UNSETTLED_SEQ} ORDER BY at_ms LIMIT $2))
         RETURNING build, until_seq + 1 AS seq`,
};
export const NOTE_FORGOTTEN: Statement = {
  name: 'state-note-forgotten',
  text: `UPDATE courier_state_build b SET forgotten_seq = greatest(b.forgotten_seq, t.seq)
         FROM (SELECT build, max(seq) AS seq FROM unnest($1::integer[], $2::bigint[]) AS t(build, seq) GROUP BY build) t WHERE b.number = t.build`,
};
/** A build that nobody uses, and that another has replaced or that has missed events. */
export const OLD_BUILD: Statement = {
  name: 'state-old-build',
  text: `SELECT b.number FROM courier_state_build b CROSS JOIN courier_log log
         WHERE b.used_until <= statement_timestamp() AND (b.seq < log.trimmed_through OR EXISTS (
           SELECT FROM courier_state_build o
           WHERE o.entity = b.entity AND o.is_complete AND o.number > b.number AND o.seq >= log.trimmed_through))
         ORDER BY b.number LIMIT 1`,
};
/** It is before every event, and so none any more. */
export const END_BUILD: Statement = { name: 'state-end-build', text: 'UPDATE courier_state_build SET seq = -1 WHERE number = $1' };
export const FORGET_ROWS: Statement = {
  name: 'state-forget-rows',
  text: `DELETE FROM courier_state
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM courier_state WHERE build = $1 ORDER BY build, key, channel LIMIT $2))`,
};
export const FORGET_BUILD: Statement = {
  name: 'state-forget-build',
  text: `WITH removals AS (DELETE FROM courier_state_removal WHERE build = $1) DELETE FROM courier_state_build WHERE number = $1`,
};

export const REMOVALS: Statement = {
  name: 'state-removals',
  text: `SELECT ${LOG}, r.number, r.build, r.channel, r.key, r.seq
         FROM courier_log log LEFT JOIN LATERAL (
           SELECT * FROM courier_state_removal
           WHERE number >= (SELECT number FROM courier_state_removal WHERE until_seq >= $2 ORDER BY until_seq, number LIMIT 1) AND number > $1
           ORDER BY number LIMIT $3
         ) r ON true
         ORDER BY r.number`,
};
