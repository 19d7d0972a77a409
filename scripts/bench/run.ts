/** `npm run bench`: Courier beside what people use today, in one run on one machine. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { VERSION } from '../../src/version.ts';
import { readOptions } from '../options.ts';
import { describeMachine, plotOf, type Report, type Result, tableOf } from './report.ts';
import { clusterWorkloads } from './workloads/cluster.ts';
import { connectionWorkloads } from './workloads/connections.ts';
import { deliveryWorkloads } from './workloads/delivery.ts';
import { logWorkloads } from './workloads/log.ts';
import { operationsWorkloads } from './workloads/operations.ts';
import { ownClientWorkloads } from './workloads/own-clients.ts';
import { replayWorkloads } from './workloads/replay.ts';
import type { Settings } from './workloads/workload.ts';

const WORKLOADS = [
  ...deliveryWorkloads,
  ...logWorkloads,
  ...replayWorkloads,
  ...ownClientWorkloads,
  ...operationsWorkloads,
  ...connectionWorkloads,
  ...clusterWorkloads,
];
const RESULTS = new URL('./results/', import.meta.url);
const QUICK = ['fan-out', 'latency', 'idle', 'publish', 'replay', 'herd', 'metrics', 'health'];

const HELP = `Usage: npm run bench -- [options]

Starts each contender in its own process, drives it from another, and prints medians and ratios.

  --quick              the main workloads, smaller, in about a minute
  --only NAME[,NAME]   ${WORKLOADS.map(({ name }) => name).join(', ')}
  --rounds N           how often each case is measured (3; 1 with --quick)
  --seconds N          how long each measurement takes (2; 0.4 with --quick)
  --save               write results.json and deliveries.svg to scripts/bench/results
  --help
`;

const values = readOptions('bench', HELP, {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  save: { type: 'boolean', default: false },
});

const only = values.only?.split(',') ?? (values.quick ? QUICK : WORKLOADS.map(({ name }) => name));
const unknown = only.find((name) => !WORKLOADS.some((workload) => workload.name === name));
if (unknown !== undefined) fail(`--only: there is no workload ${unknown}`);
let notes: string[] = [];
const settings: Settings = {
  quick: values.quick,
  rounds: positive('rounds', values.rounds, values.quick ? 1 : 3),
  seconds: positive('seconds', values.seconds, values.quick ? 0.4 : 2),
  progress: showProgress,
  note: (text) => notes.push(text),
};

const startedAt = performance.now();
const results: Result[] = [];
for (const { name, title, run } of WORKLOADS.filter((workload) => only.includes(workload.name))) {
  notes = [];
  const result = { workload: name, title, rows: await run(settings), notes };
  results.push(result);
  showProgress('');
  process.stdout.write(`${tableOf(result).join('\n')}\n`);
}
const report: Report = {
  date: new Date().toISOString().slice(0, 10),
  machine: describeMachine(),
  versions: versions(),
  options: { quick: settings.quick, rounds: settings.rounds, seconds: settings.seconds, workloads: only },
  results,
};
const { machine } = report;
process.stdout.write(
  `\n${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; ${Object.entries(report.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}; ${Math.round((performance.now() - startedAt) / 1000)} s\n`,
);
if (values.save) save(report);

function save(whole: Report): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(new URL('results.json', RESULTS), `${JSON.stringify(whole, null, 1)}\n`);
  const fanOut = whole.results.find(({ workload }) => workload === 'fan-out');
  if (fanOut !== undefined) writeFileSync(new URL('deliveries.svg', RESULTS), plotOf(fanOut));
}

function versions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const of = (name: string) => (require(`${name}/package.json`) as { version: string }).version;
  return { node: process.versions.node, courier: VERSION, '@trpc/server': of('@trpc/server'), 'socket.io': of('socket.io'), ws: of('ws') };
}

/** On a terminal one line that is written over; elsewhere a line each. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}

function positive(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!(number > 0)) fail(`--${name} must be a positive number`);
  return number;
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}
