/** Stores what has changed, and then says that it is stored. */

import type { StateRow, StateStore } from '../log/state-store.ts';
import type { Folding } from './folding.ts';

/** Rows, and UTF-16 units of them, that are stored at once, about: other requests have their turn in between. */
const ROWS = 500;
const UNITS = 512 * 1024;

/**
 * Stores all that has changed up to now in some builds. Returns the number up to which that is.
 *
 * @throws what the storage throws.
 */
export async function writeChanges(folding: Folding, store: StateStore, builds: readonly number[], nowMs: number): Promise<number> {
  const { changes } = folding;
  const checkpoint = folding.seq;
  if (checkpoint <= changes.floor) return checkpoint;
  const things = [...changes.after(changes.floor)].filter(({ target }) => builds.includes(target.build));
  let at = 0;
  do {
    const rows: StateRow[] = [];
    for (let units = 0; at < things.length && rows.length < ROWS && units < UNITS; at += 1) {
      // As it is by now: it may have changed again.
      const row = changes.rowOf(things[at] as (typeof things)[number]);
      rows.push(row);
      units += row.body.length;
    }
    const isLast = at === things.length;
    await store.write({ rows, builds, writtenSeq: folding.seq, ...(isLast && { checkpoint }), nowMs });
  } while (at < things.length);
  return checkpoint;
}
