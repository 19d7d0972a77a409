/** The benchmark in README.md: tables of what is in `results.json`. */
import { CONTENDERS, type ContenderName, TITLES } from './protocols.ts';
import { formatFigure, type Report, ratioToCourier } from './report.ts';
import type { Row } from './workloads/workload.ts';

/** A figure of some cases of a workload. */
interface Selected {
  readonly workload: string;
  readonly column: string;
  readonly cases?: RegExp;
}

/** Contenders side by side. */
interface Comparison {
  readonly heading: string;
  readonly contenders: readonly ContenderName[];
  readonly figures: readonly Selected[];
}

const COMPARISONS: readonly Comparison[] = [
  {
    heading: 'server CPU for a delivery of 300 bytes, in µs',
    contenders: CONTENDERS,
    figures: [
      { workload: 'fan-out', column: 'CPU µs/delivery', cases: /300 B/ },
      { workload: 'channels', column: 'CPU µs/delivery' },
    ],
  },
  {
    heading: 'latency, and memory of idle connections',
    contenders: CONTENDERS,
    figures: [
      { workload: 'latency', column: 'p50 ms' },
      { workload: 'latency', column: 'p99 ms' },
      { workload: 'latency', column: 'p99.9 ms' },
      { workload: 'fairness', column: 'event loop p99 ms' },
      { workload: 'idle', column: 'KB/connection' },
    ],
  },
  {
    heading: 'publishing, to disk with Courier and to nowhere with the others',
    contenders: ['courier', 'stock-trpc', 'ws-echo', 'fastify', 'node-http'],
    figures: [
      { workload: 'publish', column: 'acks/s', cases: /, (?:64|128) in flight/ },
      { workload: 'publish', column: 'CPU µs/event', cases: /, (?:64|128) in flight/ },
    ],
  },
  {
    heading: 'one process, and two workers on the same two cores',
    contenders: ['courier', 'courier-workers'],
    figures: [
      { workload: 'workers', column: 'acks/s' },
      { workload: 'workers', column: 'CPU µs/event' },
      { workload: 'workers', column: 'CPU µs/delivery' },
      { workload: 'workers', column: 'p50 ms, same worker' },
      { workload: 'workers', column: 'p50 ms, other worker' },
    ],
  },
];

/** Workloads of Courier alone, of which each figure is shown. */
const ALONE = ['state', 'clients', 'sync', 'beside-replay', 'replay', 'herd', 'connections', 'cluster'];

/** What stands between the marks in README.md. */
export function benchmarkBlock(report: Report): string {
  const { results } = report;
  const comparisons = COMPARISONS.map((comparison) => comparisonTable(comparison, report));
  const alone = ALONE.flatMap((name) => results.filter(({ workload }) => workload === name)).map(({ title, rows, notes = [] }) =>
    [tableOfAll(title, rows), ...notes].join('\n\n'),
  );
  return [provenance(report), ...comparisons, ...alone].join('\n\n');
}

function provenance({ date, commit, machine, versions }: Report): string {
  const changes = commit.isClean ? '' : ', with changes that are not in it';
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `Measured on ${date} at commit ${commit.id.slice(0, 7)}${changes}: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGB} GB, Linux ${machine.kernel}; ${programs.join(', ')}.`;
}

function comparisonTable({ heading, contenders, figures }: Comparison, { results }: Report): string {
  const isOne = new Set(figures.map(({ column }) => column)).size === 1;
  const lines = figures.flatMap(({ workload, column, cases = /(?:)/ }) => {
    const rows = results.find((result) => result.workload === workload)?.rows ?? [];
    return casesOf(rows)
      .filter((name) => cases.test(name))
      .map((name) => [isOne ? name : `${column}: ${name}`, ...contenders.map((contender) => cellOf(rows, name, contender, column))]);
  });
  return tableOf(
    [heading, ...contenders.map((contender) => TITLES[contender])],
    lines.filter(([, ...cells]) => cells.some((cell) => cell !== '')),
  );
}

function cellOf(rows: readonly Row[], name: string, contender: ContenderName, column: string): string {
  const index = rows.findIndex((row) => row.case === name && row.contender === contender);
  const figure = formatFigure(rows[index]?.figures[column]);
  const ratio = ratioToCourier(rows, index, column);
  return figure === '' || ratio === '' ? figure : `${figure} (${ratio})`;
}

function tableOfAll(title: string, rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  return tableOf(
    [title, ...columns],
    rows.map(({ case: name, figures }) => [name, ...columns.map((column) => formatFigure(figures[column]))]),
  );
}

function tableOf([first = '', ...others]: readonly string[], lines: readonly (readonly string[])[]): string {
  const lineOf = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [lineOf([first, ...others]), `| --- |${' ---: |'.repeat(others.length)}`, ...lines.map(lineOf)].join('\n');
}

const casesOf = (rows: readonly Row[]): string[] => [...new Set(rows.map((row) => row.case))];
