/** A piece of work as a tree: each event below the one that led to it, in the order of the log. */
import { type PrintedEvent, styleOf } from './format.ts';
import { fittedParts, type Line, type Part, textOf } from './line.ts';
import { cellOf, GAP } from './table.ts';

/** An event as a command gets it, with its times. */
export interface PrintedStep {
  readonly event: PrintedEvent & { readonly metadata: { readonly causation_id?: string | undefined } };
  readonly stored_at: Date | null;
  readonly after_cause_ms: number | null;
}

export interface TreeOptions {
  /** Characters of a line, at most. */
  readonly columns?: number | undefined;
  /** What is stored on this day is shown without it. */
  readonly now?: Date | undefined;
}

/** Levels that are indented, at most; deeper events have the number of their causes in place of more. */
const MOST_LEVELS = 12;
/** Characters of a line for one of these levels: three are drawn, so that the tree takes a third of the line. */
const COLUMNS_PER_LEVEL = 10;
/** Services that the line below the tree names, at most. */
const MOST_SERVICES = 8;

const COLUMNS = ['type', 'channel', 'source', 'stored_at', 'after_cause'] as const;
type Column = (typeof COLUMNS)[number];
/** Which of them have room first. */
const BY_WORTH: readonly Column[] = ['type', 'after_cause', 'stored_at', 'channel', 'source'];
/** Columns that are shown however wide they are. */
const LEAST = 2;

/** An event in its place. */
interface Node {
  readonly step: PrintedStep;
  /** How many causes stand above it. */
  readonly depth: number;
  /** What is drawn before it. */
  readonly box: string;
  /** What is drawn before those that it has caused. */
  readonly margin: string;
}

type Row = Readonly<Record<Column, readonly Part[]>>;

/** A line for each event, below one of the names; and one that says which columns have no room. */
export function treeLines(steps: readonly PrintedStep[], { columns = Infinity, now = new Date() }: TreeOptions = {}): Line[] {
  if (steps.length === 0) return [];
  const levels = Math.max(1, Math.min(MOST_LEVELS, Math.floor(columns / COLUMNS_PER_LEVEL)));
  const isOfToday = steps.every(({ stored_at }) => stored_at === null || dayOf(stored_at) === dayOf(now));
  const slowest = slowestOf(steps);
  const rows = nodesOf(steps, levels).map(({ step, box }): Row => {
    const { type, channel, metadata } = step.event;
    return {
      type: [
        { style: 'dim', text: box },
        { style: styleOf(type), text: type },
      ],
      channel: [channel],
      source: [{ style: 'dim', text: metadata.source }],
      stored_at: [{ style: 'dim', text: timeText(step.stored_at, isOfToday) }],
      after_cause: step === slowest ? [{ style: 'bold', text: `${afterText(step)}  slowest` }] : [afterText(step)],
    };
  });
  return linesOf(rows, columns);
}

/** `5 events; 4 min from first to last; services cartographe, forge; 2 hidden; partial: …` */
export function summary(steps: readonly PrintedStep[], rest: { readonly hidden: number; readonly is_partial: boolean }): string {
  const times = steps.flatMap(({ stored_at }) => (stored_at === null ? [] : [stored_at.getTime()]));
  const bounds = times.reduce(([first, last], time) => [Math.min(first, time), Math.max(last, time)] as const, [
    Infinity,
    -Infinity,
  ] as const);
  const services = [...new Set(steps.map(({ event }) => event.metadata.source))];
  const more = services.length - MOST_SERVICES;
  return [
    `${steps.length} event${steps.length === 1 ? '' : 's'}`,
    ...(times.length > 1 ? [`${durationText(bounds[1] - bounds[0])} from first to last`] : []),
    ...(services.length > 0
      ? [`service${services.length === 1 ? '' : 's'} ${services.slice(0, MOST_SERVICES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`]
      : []),
    ...lacks(rest),
  ].join('; ');
}

/** What there is beside the steps, if anything. */
export function lacks({ hidden, is_partial }: { readonly hidden: number; readonly is_partial: boolean }): string[] {
  return [...(hidden > 0 ? [`${hidden} hidden`] : []), ...(is_partial ? ['partial: there is more than is read of one piece of work'] : [])];
}

/**
 * In the order in which they are shown. A cause comes before what it has caused: one that does not is none. No recursion, as a chain may
 * be as long as a piece of work.
 */
function nodesOf(steps: readonly PrintedStep[], levels: number): readonly Node[] {
  const caused = new Map<PrintedStep, PrintedStep[]>();
  const known = new Map<string, PrintedStep[]>();
  const roots: PrintedStep[] = [];
  for (const step of steps) {
    const { causation_id } = step.event.metadata;
    const siblings = (causation_id === undefined ? undefined : known.get(causation_id)) ?? roots;
    siblings.push(step);
    const own: PrintedStep[] = [];
    caused.set(step, own);
    known.set(step.event.id, own);
  }
  const nodes: Node[] = [];
  /** The last is the next. */
  const open: Node[] = roots.map((step) => ({ step, depth: 0, box: '', margin: '' })).reverse();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    nodes.push(node);
    const { margin } = node;
    const depth = node.depth + 1;
    const below = caused.get(node.step) ?? [];
    for (const [index, step] of [...below.entries()].reverse()) {
      const isLast = index === below.length - 1;
      open.push(
        depth > levels
          ? { step, depth, box: `${margin}${depth}: `, margin }
          : { step, depth, box: `${margin}${isLast ? '└─ ' : '├─ '}`, margin: `${margin}${isLast ? '   ' : '│  '}` },
      );
    }
  }
  return nodes;
}

/** What took longest after its cause; undefined where nothing took any time. */
function slowestOf(steps: readonly PrintedStep[]): PrintedStep | undefined {
  let slowest: PrintedStep | undefined;
  for (const step of steps) if ((step.after_cause_ms ?? 0) > (slowest?.after_cause_ms ?? 0)) slowest = step;
  return slowest;
}

function linesOf(rows: readonly Row[], columns: number): Line[] {
  const widthOf = (name: Column) => rows.reduce((width, row) => Math.max(width, lengthOf(row[name])), name.length);
  const widths = new Map(COLUMNS.map((name) => [name, widthOf(name)]));
  const kept: Column[] = [];
  let width = 0;
  for (const name of BY_WORTH) {
    const wider = width + (kept.length === 0 ? 0 : GAP.length) + (widths.get(name) ?? 0);
    if (wider > columns && kept.length >= LEAST) continue;
    kept.push(name);
    width = wider;
  }
  const shown = COLUMNS.filter((name) => kept.includes(name));
  const left = COLUMNS.filter((name) => !kept.includes(name));
  const line = (cells: (name: Column) => readonly Part[]) =>
    fittedParts(
      shown.flatMap((name, index) => {
        const parts = cells(name);
        const isLast = index === shown.length - 1;
        return isLast ? parts : [...parts, ' '.repeat((widths.get(name) ?? 0) - lengthOf(parts) + GAP.length)];
      }),
      columns,
    );
  return [
    line((name) => [{ style: 'dim', text: name }]),
    ...rows.map((row) => line((name) => row[name])),
    ...(left.length > 0 ? [fittedParts([{ style: 'dim', text: `without ${left.join(', ')}, for which there is no room` }], columns)] : []),
  ];
}

function lengthOf(parts: readonly Part[]): number {
  return parts.reduce((length, part) => length + textOf(part).length, 0);
}

function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

function timeText(time: Date | null, isOfToday: boolean): string {
  return time === null
    ? cellOf(time)
    : time
        .toISOString()
        .slice(isOfToday ? 11 : 0, 23)
        .replace('T', ' ');
}

function afterText({ after_cause_ms }: PrintedStep): string {
  if (after_cause_ms === null) return cellOf(after_cause_ms);
  return `${after_cause_ms < 0 ? '-' : '+'}${durationText(Math.abs(after_cause_ms))}`;
}

/** With the ms of each. */
const UNITS = [
  ['ms', 1],
  ['s', 1000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
] as const;

/** `3 ms`, `1.2 s`, `4 min`: to a tenth of the largest unit. */
export function durationText(ms: number): string {
  const index = Math.max(
    0,
    UNITS.findLastIndex(([, size]) => ms >= size),
  );
  const [name, size] = UNITS[index] as (typeof UNITS)[number];
  const tenths = Math.round((ms / size) * 10) / 10;
  const next = UNITS[index + 1];
  return next !== undefined && tenths * size >= next[1] ? `1 ${next[0]}` : `${tenths} ${name}`;
}
