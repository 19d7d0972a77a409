/**
 * Removes from the file what is past its time: events from the front, and idempotency keys. An event is at least as old as
 * those behind it: one from a time that is still to come, by a clock that was wrong, goes with the next that is not.
 */
import type { DatabaseSync } from 'node:sqlite';
import { IDEMPOTENCY_WINDOW_MS } from '../log.ts';
import type { Row } from '../reading.ts';
import { pragma } from './schema.ts';

/** Unused pages that a file keeps whatever its size, for events to come, and how many are given back in one step. */
const MIN_UNUSED_PAGES = 16_384;
const SHRINK_PAGES = 256;

export class Trimming {
  readonly #db: DatabaseSync;
  /** Events up to this number are old, whatever their own times say. */
  #oldSeq = 0;
  /** The first event that is not from a time to come, of those behind `#lookedAtSeq`, once it was found. */
  #firstPast: { readonly seq: number; readonly ms: number } | undefined;
  #lookedAtSeq = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /**
   * Looks at the first `limit` events. Returns the number of the last one that was appended before `beforeMs`; when there is none,
   * 0 or the number of an event that was removed.
   */
  lastOldSeq(beforeMs: number, now: number, limit: number, head: number): number {
    const rows = this.#db.prepare('SELECT seq, appended_ms FROM event ORDER BY seq LIMIT ?').all(limit);
    const lastSeq = Number(rows.at(-1)?.['seq'] ?? 0);
    if (lastSeq <= this.#oldSeq) return lastSeq;
    const isPast = ({ appended_ms: ms }: Row) => Number(ms) <= now || Number(ms) < beforeMs;
    if (rows.length === limit && !rows.some(isPast)) {
      // Each event is looked at once.
      this.#firstPast ??= this.#findPast(now);
      if (this.#firstPast === undefined) this.#lookedAtSeq = head;
      if (this.#firstPast === undefined || this.#firstPast.ms >= beforeMs) return 0;
      this.#oldSeq = this.#firstPast.seq;
      this.#lookedAtSeq = this.#firstPast.seq;
      this.#firstPast = undefined;
      return lastSeq;
    }
    let oldSeq = Math.min(this.#oldSeq, lastSeq);
    for (const row of rows.filter(isPast)) {
      if (Number(row['appended_ms']) >= beforeMs) break;
      oldSeq = Number(row['seq']);
    }
    return oldSeq;
  }

  #findPast(now: number): { seq: number; ms: number } | undefined {
    const row = this.#db
      .prepare('SELECT seq, appended_ms FROM event WHERE seq > ? AND appended_ms <= ? ORDER BY seq LIMIT 1')
      .get(this.#lookedAtSeq, now);
    return row && { seq: Number(row['seq']), ms: Number(row['appended_ms']) };
  }

  /** Removes the events up to a number, with their keys. Returns how many events. */
  removeEvents(lastSeq: number): number {
    const { changes } = this.#db.prepare('DELETE FROM event WHERE seq <= ?').run(lastSeq);
    this.#db.prepare('DELETE FROM idempotency WHERE seq <= ?').run(lastSeq);
    this.#db.prepare('UPDATE log SET trimmed_through = ?').run(lastSeq);
    return Number(changes);
  }

  /** Forgets keys that are past their window, `limit` at most. Returns how many. */
  forgetKeys(now: number, limit: number): number {
    const expired = this.#db
      .prepare('SELECT seq, appended_ms FROM idempotency ORDER BY seq LIMIT ?')
      .all(limit)
      .filter((row) => now - Number(row['appended_ms']) >= IDEMPOTENCY_WINDOW_MS);
    const forget = this.#db.prepare('DELETE FROM idempotency WHERE seq = ?');
    for (const row of expired) forget.run(Number(row['seq']));
    return expired.length;
  }

  /**
   * Gives pages that are not used any more back to the disk, SHRINK_PAGES at most, once they are a quarter of the file. Returns
   * whether more may be left. A file that an earlier version has made keeps what it has.
   */
  shrink(): boolean {
    const unused = pragma(this.#db, 'freelist_count');
    if (unused < MIN_UNUSED_PAGES || unused * 4 < pragma(this.#db, 'page_count')) return false;
    this.#db.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`);
    return pragma(this.#db, 'freelist_count') < unused;
  }
}
