/** Items of the state as tables, one for each entity: the fields of its states that are texts, numbers or booleans, as many as fit. */
import { cut } from '../../src/errors.ts';
import { fitted, type Line } from './line.ts';
import { cellOf, columnWidth, GAP, rowLines } from './table.ts';
import type { StateItem } from './watched-state.ts';

/** Characters of a cell, at most. */
const CELL = 32;

export interface TableOptions {
  /** Characters of a line, at most. */
  readonly columns?: number | undefined;
  /** Lines of all tables together, at most. */
  readonly rows?: number | undefined;
}

type Row = Readonly<Record<string, unknown>>;

/** A table for each entity, below its name where there are several. */
export function stateLines(items: readonly StateItem[], { columns = Infinity, rows = Infinity }: TableOptions = {}): Line[] {
  const entities = [...new Set(items.map(({ entity }) => entity))].sort();
  const tables = entities.map((entity) => ({ entity, items: items.filter((item) => item.entity === entity).sort(byName) }));
  const overhead = tables.reduce((lines, table) => lines + linesBeside(tables.length, table.items), 0);
  // What has few rows is shown whole, where that is possible; the last has what is left.
  let room = Math.max(tables.length, rows - overhead);
  const shown = new Map<string, number>();
  for (const [index, table] of [...tables].sort((a, b) => a.items.length - b.items.length).entries()) {
    const share = Math.min(table.items.length, Math.max(1, Math.floor(room / (tables.length - index))));
    shown.set(table.entity, share);
    room -= share;
  }
  return tables.flatMap(({ entity, items: all }): Line[] => [
    ...(tables.length > 1 ? [{ style: 'bold', text: fitted(entity, columns) } as const] : []),
    ...tableLines(all, shown.get(entity) ?? all.length, columns),
  ]);
}

/** Lines that are no rows: the name, the head, and what says that something is not shown. */
function linesBeside(tables: number, items: readonly StateItem[]): number {
  return (tables > 1 ? 1 : 0) + (items.length === 0 ? 0 : 2);
}

function tableLines(all: readonly StateItem[], count: number, columns: number): Line[] {
  const rows = all.map(rowOf);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].sort((a, b) => rank(a) - rank(b));
  const told = names.filter((name) => FIRST.includes(name) || tellsMore(name, all, rows));
  const kept: string[] = [];
  let width = 0;
  for (const name of told) {
    const wider = width + (kept.length === 0 ? 0 : GAP.length) + columnWidth(name, rows);
    if (wider > columns && kept.length >= LEAST) continue;
    kept.push(name);
    width = wider;
  }
  const left = told.filter((name) => !kept.includes(name));
  const [head = '', ...lines] = rowLines(
    rows.slice(0, count).map((row) => Object.fromEntries(kept.map((name) => [name, row[name] ?? null]))),
  );
  const beside = [
    ...(all.length > count ? [`${all.length - count} more`] : []),
    ...(left.length > 0 ? [`without ${left.join(', ')}, for which there is no room`] : []),
  ];
  return [
    { style: 'dim', text: fitted(head, columns) },
    ...lines.map((line) => fitted(line, columns)),
    ...(beside.length > 0 ? [{ style: 'dim', text: fitted(beside.join('; '), columns) } as const] : []),
  ];
}

/** What a table has of every entity, in this order. */
const FIRST: readonly string[] = ['channel', 'key', 'open'];
/** Columns that are shown however wide they are: without a key nobody knows what a line is about. */
const LEAST = 2;
/** Fields that most entities have and that say most, first. */
const EARLY: readonly string[] = [...FIRST, 'status'];

function rank(name: string): number {
  const at = EARLY.indexOf(name);
  return at < 0 ? EARLY.length : at;
}

/** A state's fields could have the names of the first columns: those say what the item says. */
function rowOf({ channel, key, open, state }: StateItem): Row {
  const fields = Object.entries(state ?? {}).filter(([name, value]) => !FIRST.includes(name) && typeof value !== 'object');
  const first = { channel: text(channel), key: text(key), open: open ? 'yes' : 'no' };
  return { ...first, ...Object.fromEntries(fields.map(([name, value]) => [name, typeof value === 'string' ? text(value) : value])) };
}

function text(value: string): string {
  return cut(value, CELL);
}

/** Whether a column says anything that does not stand in the key or the channel. */
function tellsMore(name: string, items: readonly StateItem[], rows: readonly Row[]): boolean {
  return items.some(({ channel, key }, index) => {
    const value = rows[index]?.[name];
    if (value === undefined || value === null) return false;
    return !(key.split('/').includes(String(value)) || channel.endsWith(`.${value}`));
  });
}

/** By channel and key, numbers in them by their size: what changes stays where it is. */
function byName(a: StateItem, b: StateItem): number {
  return ORDER.compare(a.channel, b.channel) || ORDER.compare(a.key, b.key);
}

const ORDER = new Intl.Collator('en', { numeric: true });

/** `strategy.s1  order  o1  open  status=open symbol=SPX`: a change of one thing as a line. */
export function changeLine({ channel, entity, key, open, state }: StateItem): Line {
  const fields = Object.entries(state ?? {}).filter(([, value]) => typeof value !== 'object');
  const condition = state === null ? 'gone' : open ? 'open' : 'closed';
  return [
    `${cellOf(channel).padEnd(24)} `,
    { style: 'cyan', text: cellOf(entity).padEnd(10) },
    ` ${cellOf(key).padEnd(16)} `,
    { style: state === null ? 'red' : open ? 'green' : 'dim', text: fields.length === 0 ? condition : condition.padEnd(6) },
    fields.length === 0 ? '' : ` ${fields.map(([name, value]) => `${name}=${value}`).join(' ')}`,
  ];
}
