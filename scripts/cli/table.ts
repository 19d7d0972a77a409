/** What commands show of answers that are no events: fields as lines, lists of rows as tables. */
import { printable } from '../../src/errors.ts';

const NAME_WIDTH = 42;
const INDENT = '  ';
/** Between two columns. */
export const GAP = '  ';

/** Nested fields as lines of `name.of.field  value`; lists, whose items are rows, as tables below their names. */
export function fieldLines(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([key, field]): string[] => {
    const name = printable(`${prefix}${key}`);
    if (typeof field !== 'object' || field === null) return [`${name.padEnd(NAME_WIDTH)} ${textOf(field)}`];
    if (Array.isArray(field) && field.length > 0) return [name, ...rowLines(field).map((line) => INDENT + line)];
    return Object.keys(field).length === 0 ? [`${name.padEnd(NAME_WIDTH)} none`] : fieldLines(field, `${name}.`);
  });
}

/** Rows, which have the same fields, below a line of the fields' names; nothing for no rows. */
export function rowLines<T extends object>(rows: readonly T[]): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const columns = (Object.keys(first) as (keyof T & string)[]).map((name) => {
    const width = columnWidth(name, rows);
    return [name, ...rows.map((row) => row[name])].map((cell) => cellOf(cell).padEnd(width));
  });
  return [undefined, ...rows].map((_, line) =>
    columns
      .map((cells) => cells[line])
      .join(GAP)
      .trimEnd(),
  );
}

/** Characters that a column of these rows takes. */
export function columnWidth<T extends object>(name: keyof T & string, rows: readonly T[]): number {
  return rows.reduce((width, row) => Math.max(width, cellOf(row[name]).length), cellOf(name).length);
}

/** A value as it stands in a table. */
export function cellOf(value: unknown): string {
  return printable(textOf(value));
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '-';
  return value instanceof Date ? value.toISOString() : String(value);
}
