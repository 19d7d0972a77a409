/**
 * How the events of one piece of work are found in an SQLite file. An index of ids in their own order would be written all over with each
 * commit; so each block of events has its own part of the index, in which the ids have a hash, and is looked through for itself.
 */
import { crc32 } from 'node:zlib';
import type { LogBounds, LogStart } from '../log.ts';

/** Parts of a file's version: never changed. */
const [BLOCK_EVENTS, HASHES] = [2 ** 14, 2 ** 24];

const blockOf = (seq: number) => Math.floor(seq / BLOCK_EVENTS);
const hashOf = (correlationId: string) => crc32(correlationId) % HASHES;

/** What the index has of an event. */
export function workOf(seq: number, correlationId: string): number {
  return blockOf(seq) * HASHES + hashOf(correlationId);
}

/** The statement, and its parameters but for the limit. Others may have the hash; the body says the id. */
export function readWork(columns: string, correlationId: string, { afterSeq, beforeSeq }: LogStart, { first, head }: LogBounds) {
  const [from, to] = [Math.max(first, (afterSeq ?? 0) + 1), Math.min(head, (beforeSeq ?? head + 1) - 1)];
  const [range, seq, order] = beforeSeq === undefined ? ['>', afterSeq, ''] : ['<', beforeSeq, 'ORDER BY event.seq DESC'];
  // Block after block, and in each by number: that is the order of the log.
  const sql = `WITH RECURSIVE block (number) AS (SELECT ? UNION ALL SELECT number + 1 FROM block WHERE number < ?)
    SELECT ${columns} FROM block CROSS JOIN event INDEXED BY event_by_work
    WHERE work = block.number * ${HASHES} + ? AND seq ${range} ? AND json_extract(body, '$.metadata.correlation_id') = ? ${order} LIMIT ?`;
  return { sql, parameters: [blockOf(from), blockOf(to), hashOf(correlationId), seq, correlationId] };
}
