/** Forgets states in an SQLite database that ended long ago, within a transaction. */
import { STATE_CONDITIONS, type StateBuild } from '../state-store.ts';
import type { FamilyNumbers } from './families.ts';
import type { Statements } from './statements.ts';

type Ended = readonly [id: number, build: number, channel: string, key: string, condition: number, seq: number, endedMs: number];

/** What is forgotten in one step. */
export interface Forgetting {
  readonly builds: readonly StateBuild[];
  readonly families: FamilyNumbers;
  /** The number of the last event. */
  readonly head: number;
  /** The number of the last event of a channel; 0 where none is retained. */
  readonly lastSeqOf: (channel: string) => number;
  readonly keepMs: number;
  readonly nowMs: number;
  readonly limit: number;
}

/** Makes removals of rows, and forgets old removals. Returns whether more may be left. */
export function forgetEnded(statements: Statements, forgetting: Forgetting): boolean {
  const { head, keepMs, limit, nowMs } = forgetting;
  const [removal, forgotten] = [
    statements.of('INSERT INTO state_removal (build, channel, key, seq, at_ms) VALUES (?, ?, ?, ?, ?)'),
    statements.of('UPDATE state_build SET forgotten_seq = max(forgotten_seq, ?) WHERE number = ?'),
  ];
  const ended = endedRows(statements, forgetting);
  const removeRow = statements.of('DELETE FROM state WHERE id = ?');
  for (const [id, build, channel, key, condition, seq] of ended) {
    removeRow.run(id);
    if (STATE_CONDITIONS[condition] === 'gone') forgotten.run(seq, build);
    else removal.run(build, channel, key, head, nowMs);
  }
  const told = statements
    .of('SELECT number, build, seq FROM state_removal WHERE at_ms < ? ORDER BY at_ms LIMIT ?')
    .all(nowMs - keepMs, limit) as unknown as [number, number, number][];
  const removeRemoval = statements.of('DELETE FROM state_removal WHERE number = ?');
  for (const [number, build, seq] of told) {
    removeRemoval.run(number);
    forgotten.run(seq, build);
  }
  return Math.max(ended.length, told.length) === limit;
}

/** Rows that ended before a time, at most so many. In their order those behind one that ended later wait for that. */
function endedRows(statements: Statements, { builds, families, lastSeqOf, keepMs, nowMs, limit }: Forgetting): Ended[] {
  const ended: Ended[] = [];
  const statement = statements.of(
    `SELECT id, build, channel, key, condition, seq, ended_ms FROM state INDEXED BY state_by_family
     WHERE build = ? AND family = ? AND condition = ? AND seq <= ? ORDER BY seq LIMIT ?`,
  );
  for (const { number, seq } of builds) {
    for (const family of families.names) {
      for (const condition of [STATE_CONDITIONS.indexOf('closed'), STATE_CONDITIONS.indexOf('gone')]) {
        const rows = statement.all(number, families.get(family) as number, condition, seq, limit - ended.length);
        for (const row of rows as unknown as Ended[]) {
          if (row[6] >= nowMs - keepMs) break;
          // What has changed meanwhile has yet to be stored.
          if (lastSeqOf(row[2]) <= seq) ended.push(row);
        }
      }
    }
  }
  return ended;
}
