/** Rows made of events. */

/** Events that a part of the page keeps, and rows that it shows. */
export const HISTORY = 1000;
export const SHOWN = 8;

/**
 * Folds events into one row for each key; the row that changed last comes first.
 *
 * @param next the row after an event. `row` is that before it; undefined for the first.
 */
export function rowsOf<E, R>(events: readonly E[], keyOf: (event: E) => string, next: (event: E, row: R | undefined) => R): [string, R][] {
  const rows = new Map<string, R>();
  for (const event of events) {
    const key = keyOf(event);
    const row = next(event, rows.get(key));
    rows.delete(key);
    rows.set(key, row);
  }
  return [...rows].reverse();
}

const PERCENT = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function percent(fraction: number): string {
  return PERCENT.format(fraction);
}
