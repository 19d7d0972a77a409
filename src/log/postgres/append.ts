/** How events get their numbers: one statement a commit, which locks the log's counter, so that the order of numbers is that of commits. */
import { numbered } from '../answers.ts';
import { type Appended, IDEMPOTENCY_WINDOW_MS, type NewEvent } from '../log.ts';
import { type Row, storedEvent } from '../reading.ts';
import type { Statement } from './database.ts';

/** Given by `courier_append` when the log has begun another epoch. */
export const OTHER_EPOCH = 'CR001';
/**
 * Where the function has it from which events belong together: `none` where the table has no columns for that, `read` where the caller does
 * not say it, and it is read from the bodies.
 */
export type Relations = 'none' | 'read' | 'given';

/**
 * The function that appends. Each of its forms is part of a version of the schema, and so never changed: another is another
 * migration. Instances of earlier versions use earlier forms, beside this one.
 */
export function appendFunction(hasVersions: boolean, relations: Relations = 'none'): string {
  const versioned = (text: string) => (hasVersions ? text : '');
  const given = (text: string) => (relations === 'given' ? text : '');
  const related = (text: string) => (relations === 'none' ? '' : text);
  // What a probe writes is no JSON.
  const read = `CASE WHEN f.body LIKE '{%' THEN f.body::json #>> '{metadata,correlation_id}' END, NULL::bigint`;
  return `   -- Stores a batch and gives each draft its number, or that of what was stored under its key before. Runs as one
   -- statement: its commit is that of the batch. Keys are looked at once the counter is locked, and so after every
   -- other append has committed or gone.
   CREATE${relations === 'read' ? ' OR REPLACE' : ''} FUNCTION courier_append(
     known_epoch text, at_ms bigint, window_ms bigint,
     channels text[], families smallint[], types text[],${versioned(' versions smallint[],')} bodies text[], principals text[], keys text[]${given(', correlations text[], causes bigint[]')}
   ) RETURNS TABLE (seq bigint, origin integer, duplicate boolean, channel text, family smallint, type text,${versioned(' version smallint,')} body text)
   LANGUAGE plpgsql
   -- The plan must stay one of look-ups by key, whatever the tables' statistics say.
   SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET jit = off
   AS $$
   #variable_conflict use_column
   DECLARE
     log courier_log%ROWTYPE;
     now_ms bigint;
     stored_ms bigint;
     today integer;
   BEGIN
     SELECT * INTO log FROM courier_log FOR UPDATE;
     IF log.epoch <> known_epoch THEN
       RAISE EXCEPTION 'the log has begun the epoch %', log.epoch USING ERRCODE = '${OTHER_EPOCH}';
     END IF;
     now_ms := coalesce(at_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
     stored_ms := greatest(now_ms, log.last_appended_ms);
     today := stored_ms / 86400000;
     RETURN QUERY
     WITH input AS MATERIALIZED (
       SELECT t.channel, t.family, t.type,${versioned(' t.version,')} t.body, t.principal, t.key,${given(' t.correlation, t.cause,')} t.n
       FROM unnest(channels, families, types,${versioned(' versions,')} bodies, principals, keys${given(', correlations, causes')})
            WITH ORDINALITY AS t(channel, family, type,${versioned(' version,')} body, principal, key,${given(' correlation, cause,')} n)
     ), marked AS MATERIALIZED (
       SELECT i.*, k.seq AS known_seq, k.day AS known_day,
              CASE WHEN i.key IS NULL THEN i.n ELSE min(i.n) OVER (PARTITION BY i.principal, i.key) END AS first_n
       FROM input i LEFT JOIN courier_idempotency k
         ON k.principal = i.principal AND k.key = i.key AND now_ms - k.keyed_ms < window_ms AND k.seq > log.trimmed_through
     ), numbered AS MATERIALIZED (
       SELECT m.*, CASE WHEN m.known_seq IS NULL AND m.first_n = m.n
                        THEN log.head + count(*) FILTER (WHERE m.known_seq IS NULL AND m.first_n = m.n) OVER (ORDER BY m.n)
                   END AS new_seq
       FROM marked m
     ), stored AS (
       INSERT INTO courier_event (seq, day, channel, family, type,${versioned(' version,')} body${related(', correlation_id, cause_seq, stored_ms')})
       SELECT f.new_seq, today, f.channel, f.family, f.type,${versioned(' f.version,')} f.body${related(`, ${relations === 'given' ? 'f.correlation, f.cause' : read}, stored_ms`)} FROM numbered f WHERE f.new_seq IS NOT NULL
     ), keyed AS (
       INSERT INTO courier_idempotency (principal, key, seq, day, keyed_ms)
       SELECT f.principal, f.key, f.new_seq, today, now_ms FROM numbered f WHERE f.new_seq IS NOT NULL AND f.key IS NOT NULL
       ON CONFLICT (principal, key) DO UPDATE SET seq = excluded.seq, day = excluded.day, keyed_ms = excluded.keyed_ms
     ), advanced AS (
       UPDATE courier_log SET head = head + (SELECT count(new_seq) FROM numbered), last_appended_ms = stored_ms
     ), placed AS (
       SELECT m.n, m.first_n, m.known_seq, m.known_day,
              CASE WHEN m.key IS NULL THEN m.new_seq ELSE min(m.new_seq) OVER (PARTITION BY m.principal, m.key) END AS new_seq
       FROM numbered m
     )
     SELECT coalesce(m.known_seq, m.new_seq), m.first_n::integer, m.known_seq IS NOT NULL OR m.first_n <> m.n,
            e.channel, e.family, e.type,${versioned(' e.version,')} e.body
     FROM placed m LEFT JOIN courier_event e ON e.seq = m.known_seq AND e.day = m.known_day
     ORDER BY m.n;
   END $$;`;
}

export const APPEND: Statement = {
  name: 'append',
  text: 'SELECT * FROM courier_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)',
};

/** @param now another clock than the database's. */
export function appendValues(
  epoch: string,
  now: number | undefined,
  events: readonly NewEvent[],
  numberOf: (family: string) => number,
): readonly unknown[] {
  return [
    epoch,
    now,
    IDEMPOTENCY_WINDOW_MS,
    events.map(({ channel }) => channel),
    events.map(({ family }) => numberOf(family)),
    events.map(({ type }) => type),
    events.map(({ version }) => version),
    events.map(({ body }) => body),
    events.map(({ idempotency }) => idempotency?.principal),
    events.map(({ idempotency }) => idempotency?.key),
    events.map(({ correlationId }) => correlationId),
    events.map(({ causeSeq }) => causeSeq),
  ];
}

/** @param rows that APPEND has answered with for `events`. A row has no body where the event is one of them. */
export function appendedOf(events: readonly NewEvent[], rows: readonly Row[]): Appended[] {
  return rows.map((row) => ({
    event: row['body'] === null ? numbered(events[Number(row['origin']) - 1] as NewEvent, Number(row['seq'])) : storedEvent(row),
    duplicate: row['duplicate'] === true,
  }));
}
