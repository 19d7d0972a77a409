/** Forgets states in an SQLite database that ended long ago, within a transaction. */
import { REMOVAL_SETTLES_MS, STATE_CONDITIONS, type StateBuild, type StateCondition } from '../state-store.ts';
import type { FamilyNumbers } from './families.ts';
import { UNSETTLED_SEQ } from './state-rows.ts';
import type { Statements } from './statements.ts';

/** What is forgotten in one step, of each kind at most `limit`. */
export interface Forgetting {
  readonly builds: readonly StateBuild[];
  readonly families: FamilyNumbers;
  /** The number of the last event. */
  readonly head: number;
  readonly keepMs: number;
  readonly nowMs: number;
  readonly limit: number;
}

/** Returns whether more may be left. */
export function forgetEnded(statements: Statements, forgetting: Forgetting): boolean {
  const steps = [settle, forgetRemovals, removeGone, forgetClosed, removeForgotten].map((step) => step(statements, forgetting));
  return Math.max(...steps) === forgetting.limit;
}

/** By now everybody has heard of them. */
function settle(statements: Statements, { head, keepMs, nowMs, limit }: Forgetting): number {
  const settled = statements.of(
    `UPDATE state_removal SET until_seq = ? WHERE number IN (
       SELECT number FROM state_removal WHERE until_seq = ? AND at_ms < ? ORDER BY number LIMIT ?)`,
  );
  return Number(settled.run(head, UNSETTLED_SEQ, nowMs - Math.min(keepMs, REMOVAL_SETTLES_MS), limit).changes);
}

/** Whoever knows no more than what was there before them is not told of them any more. */
function forgetRemovals(statements: Statements, { keepMs, nowMs, limit }: Forgetting): number {
  const old = statements
    .of('SELECT number, build, until_seq FROM state_removal WHERE at_ms < ? AND until_seq < ? ORDER BY at_ms LIMIT ?')
    .all(nowMs - keepMs, UNSETTLED_SEQ, limit) as unknown as [number, number, number][];
  const remove = statements.of('DELETE FROM state_removal WHERE number = ?');
  const note = noteForgotten(statements);
  for (const [number, build, untilSeq] of old) {
    remove.run(number);
    note.run(untilSeq + 1, build);
  }
  return old.length;
}

/** Of what an event has ended for good those who watched were told then. */
function removeGone(statements: Statements, forgetting: Forgetting): number {
  const gone = endedRows(statements, forgetting, 'gone');
  const remove = statements.of('DELETE FROM state WHERE id = ?');
  const note = noteForgotten(statements);
  for (const { id, build, seq } of gone) {
    remove.run(id);
    note.run(seq, build);
  }
  return gone.length;
}

function forgetClosed(statements: Statements, forgetting: Forgetting): number {
  const closed = endedRows(statements, forgetting, 'closed');
  const forget = statements.of('UPDATE state SET forgotten_seq = ? WHERE id = ?');
  for (const { id } of closed) forget.run(forgetting.head, id);
  return closed.length;
}

/** Nothing has changed them up to where they are forgotten. */
function removeForgotten(statements: Statements, { builds, nowMs, limit }: Forgetting): number {
  const find = statements.of(
    'SELECT id, channel, key, forgotten_seq FROM state INDEXED BY state_by_forgotten WHERE build = ? AND forgotten_seq <= ? LIMIT ?',
  );
  const remove = statements.of('DELETE FROM state WHERE id = ?');
  const note = statements.of('INSERT INTO state_removal (build, channel, key, seq, at_ms, until_seq) VALUES (?, ?, ?, ?, ?, ?)');
  let removed = 0;
  for (const { number, seq } of builds) {
    const rows = find.all(number, seq, limit - removed) as unknown as [number, string, string, number][];
    for (const [id, channel, key, forgottenSeq] of rows) {
      remove.run(id);
      note.run(number, channel, key, forgottenSeq, nowMs, UNSETTLED_SEQ);
    }
    removed += rows.length;
  }
  return removed;
}

interface Ended {
  readonly id: number;
  readonly build: number;
  readonly seq: number;
}

/** Rows that ended long ago, at most so many. In their order those behind one that ended later wait for that. */
function endedRows(
  statements: Statements,
  { builds, families, keepMs, nowMs, limit }: Forgetting,
  condition: StateCondition,
): readonly Ended[] {
  const ended: Ended[] = [];
  const find = statements.of(
    `SELECT id, seq, ended_ms FROM state INDEXED BY state_by_family
     WHERE build = ? AND family = ? AND condition = ? AND seq <= ? AND forgotten_seq IS NULL ORDER BY seq LIMIT ?`,
  );
  for (const build of builds) {
    for (const family of families.names) {
      const numbers = [build.number, families.get(family) as number, STATE_CONDITIONS.indexOf(condition), build.seq];
      for (const [id, seq, endedMs] of find.all(...numbers, limit - ended.length) as unknown as [number, number, number][]) {
        if (endedMs >= nowMs - keepMs) break;
        ended.push({ id, build: build.number, seq });
      }
    }
  }
  return ended;
}

function noteForgotten(statements: Statements) {
  return statements.of('UPDATE state_build SET forgotten_seq = max(forgotten_seq, ?) WHERE number = ?');
}
