/** `npm run bench`: Courier beside what people use today, in one run on one machine. */

import { createRequire } from 'node:module';
import { VERSION } from '../../src/version.ts';
import { renewDocuments } from '../docs.ts';
import { readOptions } from '../options.ts';
import { describeMachine, type Report, type Result, tableOf } from './report.ts';
import { commitNow, renderPlot, saveReport } from './results.ts';
import { clusterWorkloads } from './workloads/cluster.ts';
import { connectionWorkloads } from './workloads/connections.ts';
import { deliveryWorkloads } from './workloads/delivery.ts';
import { logWorkloads } from './workloads/log.ts';
import { operationsWorkloads } from './workloads/operations.ts';
import { ownClientWorkloads } from './workloads/own-clients.ts';
import { replayWorkloads } from './workloads/replay.ts';
import { stateWorkloads } from './workloads/state.ts';
import { workersWorkloads } from './workloads/workers.ts';
import type { Settings } from './workloads/workload.ts';

const WORKLOADS = [
  ...deliveryWorkloads,
  ...logWorkloads,
  ...replayWorkloads,
  ...ownClientWorkloads,
  ...operationsWorkloads,
  ...workersWorkloads,
  ...stateWorkloads,
  ...connectionWorkloads,
  ...clusterWorkloads,
];
const QUICK = ['fan-out', 'latency', 'idle', 'publish', 'replay', 'herd', 'metrics', 'health'];

const HELP = `Usage: npm run bench -- [options]

Starts each contender in its own process, drives it from another, and prints medians and ratios.

  --quick              the main workloads, smaller, in about a minute
  --only NAME[,NAME]   ${WORKLOADS.map(({ name }) => name).join(', ')}
  --rounds N           how often each case is measured (3; 1 with --quick)
  --seconds N          how long each measurement takes (2; 0.4 with --quick)
  --save               write results.json to scripts/bench/results, and render it; what is there of other workloads stays when it
                       is of the same commit
  --render             measure nothing: write the picture and the tables in README.md as results.json has them
  --help
`;

const values = readOptions('bench', HELP, {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  save: { type: 'boolean', default: false },
  render: { type: 'boolean', default: false },
});

if (values.render) {
  render();
  process.exit();
}
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

const options = { quick: settings.quick, rounds: settings.rounds, seconds: settings.seconds };
const commit = commitNow();
const startedAt = performance.now();
const results: Result[] = [];
for (const { name, title, run } of WORKLOADS.filter((workload) => only.includes(workload.name))) {
  notes = [];
  const result = { workload: name, title, rows: await run(settings), notes, options };
  results.push(result);
  showProgress('');
  process.stdout.write(`${tableOf(result).join('\n')}\n`);
}
const report: Report = {
  commit,
  date: new Date().toISOString().slice(0, 10),
  machine: describeMachine(),
  versions: versions(),
  results,
};
const { machine } = report;
process.stdout.write(
  `\n${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; ${Object.entries(report.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}; ${Math.round((performance.now() - startedAt) / 1000)} s\n`,
);
if (values.save) {
  saveReport(
    report,
    WORKLOADS.map(({ name }) => name),
  );
  render();
}

function render(): void {
  renderPlot();
  renewDocuments();
}

function versions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const of = (name: string) => (require(`${name}/package.json`) as { version: string }).version;
  return {
    node: process.versions.node,
    courier: VERSION,
    '@trpc/server': of('@trpc/server'),
    'socket.io': of('socket.io'),
    ws: of('ws'),
    fastify: of('fastify-5'),
  };
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
