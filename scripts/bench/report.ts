/** The benchmark's results as a table for people, and as JSON for machines. */
import { cpus, release, totalmem } from 'node:os';
import { type ContenderName, TITLES } from './protocols.ts';
import type { Row } from './workloads/workload.ts';

export interface Result {
  readonly workload: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** What was left out, and why. */
  readonly notes?: readonly string[];
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface Report {
  readonly date: string;
  /** What was measured: a commit, and whether there was nothing beside it. */
  readonly commit: { readonly id: string; readonly isClean: boolean };
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryGB: number; readonly kernel: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

export function describeMachine(): Report['machine'] {
  const [cpu] = cpus();
  return { cpu: cpu?.model ?? 'unknown', cores: cpus().length, memoryGB: Math.round(totalmem() / 1e9), kernel: release() };
}

/** A workload's rows as lines of a table: every figure, and for the first of them the ratio to Courier. */
export function tableOf({ title, rows, notes = [] }: Result): string[] {
  const columns = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  const [first = ''] = columns;
  const cells = rows.map(({ case: name, contender, figures }, index) => [
    name === rows[index - 1]?.case ? '' : name,
    TITLES[contender],
    ...columns.map((column) => formatFigure(figures[column])),
    ratioToCourier(rows, index, columns.includes('CPU µs/delivery') ? 'CPU µs/delivery' : first),
  ]);
  const header = ['', '', ...columns, 'to Courier'];
  const widths = header.map((_, column) => Math.max(...[header, ...cells].map((line) => line[column]?.length ?? 0)));
  const lineOf = (line: readonly string[]) =>
    line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ');
  return ['', title, lineOf(header), ...cells.map(lineOf), ...notes].map((line) => line.trimEnd());
}

export function ratioToCourier(rows: readonly Row[], index: number, column: string): string {
  const row = rows[index];
  const courier = rows.find((other) => other.contender === 'courier' && other.case === row?.case);
  if (row === undefined || courier === undefined || row === courier) return '';
  const ratio = (row.figures[column] ?? Number.NaN) / (courier.figures[column] ?? Number.NaN);
  return Number.isNaN(ratio) ? '' : `× ${ratio.toFixed(2)}`;
}

export function formatFigure(figure: number | undefined): string {
  if (figure === undefined || Number.isNaN(figure)) return '';
  return figure.toLocaleString('en-US', { maximumFractionDigits: figure < 100 ? 2 : 0, minimumFractionDigits: figure < 100 ? 2 : 0 });
}

const COLOURS: Readonly<Record<ContenderName, string>> = {
  courier: '#d6336c',
  'courier-unmetered': '#f783ac',
  'courier-quiet': '#faa2c1',
  'courier-workers': '#e64980',
  'stock-trpc': '#1971c2',
  'socket-io': '#2f9e44',
  'ws-send': '#e8590c',
  'ws-shared': '#868e96',
  'node-http': '#868e96',
  fastify: '#e8590c',
  'ws-echo': '#868e96',
};
const PLOT_TITLE = 'Deliveries a second against subscribers of one channel (300-byte events, 20 a turn)';
const WIDTH = 760;
const HEIGHT = 420;
const LEFT = 80;
const RIGHT = 200;
const TOP = 48;
const BOTTOM = 48;

interface Point {
  readonly contender: ContenderName;
  readonly x: number;
  readonly y: number;
}

const LABEL_HEIGHT = 15;

/** Labels stand at the ends of their lines, pushed apart where these are close. */
function labelPositions(points: readonly Point[], yAt: (y: number) => number): Map<ContenderName, number> {
  const right = Math.max(...points.map(({ x }) => x));
  const ends = points.filter(({ x }) => x === right).sort((a, b) => b.y - a.y);
  const positions = new Map<ContenderName, number>();
  let lowest = Number.NEGATIVE_INFINITY;
  for (const { contender, y } of ends) {
    lowest = Math.max(yAt(y) + 4, lowest + LABEL_HEIGHT);
    positions.set(contender, lowest);
  }
  return positions;
}

/** Deliveries/s against subscribers, both logarithmic, from the fan-out of 300 bytes at 20 events a turn. */
export function plotOf({ rows }: Result): string {
  const points = rows.flatMap(({ case: name, contender, figures }) => {
    const match = /^20 a turn, 300 B, to ([\d,]+)$/.exec(name);
    return match === null ? [] : [{ contender, x: Number(match[1]?.replaceAll(',', '')), y: figures['deliveries/s'] ?? Number.NaN }];
  });
  const [xMin, xMax] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const [yMin, yMax] = [
    10 ** Math.floor(Math.log10(Math.min(...points.map(({ y }) => y)))),
    10 ** Math.ceil(Math.log10(Math.max(...points.map(({ y }) => y)))),
  ];
  const xAt = (x: number) => LEFT + (Math.log(x / xMin) / Math.log(xMax / xMin)) * (WIDTH - LEFT - RIGHT);
  const yAt = (y: number) => HEIGHT - BOTTOM - (Math.log(y / yMin) / Math.log(yMax / yMin)) * (HEIGHT - TOP - BOTTOM);
  const text = (x: number, y: number, content: string, attributes = '') =>
    `<text x="${x.toFixed(0)}" y="${y.toFixed(0)}" ${attributes}>${content}</text>`;
  const ticks: string[] = [];
  for (let y = yMin; y <= yMax; y *= 10) {
    ticks.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${yAt(y).toFixed(0)}" y2="${yAt(y).toFixed(0)}" stroke="#dee2e6"/>`);
    ticks.push(text(LEFT - 8, yAt(y) + 4, y.toLocaleString('en-US'), 'text-anchor="end"'));
  }
  for (const x of new Set(points.map((point) => point.x)))
    ticks.push(text(xAt(x), HEIGHT - BOTTOM + 20, x.toLocaleString('en-US'), 'text-anchor="middle"'));
  const labelAt = labelPositions(points, yAt);
  const lines = (Object.keys(TITLES) as ContenderName[]).flatMap((contender) => {
    const own = points.filter((point) => point.contender === contender).sort((a, b) => a.x - b.x);
    const last = own.at(-1);
    if (last === undefined) return [];
    const path = own.map(({ x, y }) => `${xAt(x).toFixed(1)},${yAt(y).toFixed(1)}`).join(' ');
    const dots = own.map(
      ({ x, y }) => `<circle cx="${xAt(x).toFixed(1)}" cy="${yAt(y).toFixed(1)}" r="3.5" fill="${COLOURS[contender]}"/>`,
    );
    return [
      `<polyline points="${path}" fill="none" stroke="${COLOURS[contender]}" stroke-width="2"/>`,
      ...dots,
      text(xAt(last.x) + 10, labelAt.get(contender) ?? 0, TITLES[contender], `fill="${COLOURS[contender]}"`),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#495057">`,
    `<title>${PLOT_TITLE}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 24, PLOT_TITLE, 'font-size="14" fill="#212529"'),
    ...ticks,
    ...lines,
    text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8, 'subscribers', 'text-anchor="middle"'),
    '</svg>',
    '',
  ].join('\n');
}
