/** The benchmark runs: its contenders start, are measured and compared. Its figures are not looked at. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { plotOf, type Report, type Result, tableOf } from '../../scripts/bench/report.ts';
import { joined, PLOT_FILE, readReport } from '../../scripts/bench/results.ts';

const RUN = fileURLToPath(new URL('../../scripts/bench/run.ts', import.meta.url));
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [RUN, ...args]).then(
    ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, stdout, stderr }),
  );

test('a brief run of every contender prints a table', { timeout: 60_000 }, async () => {
  const { code, stdout } = await run('--quick', '--only', 'idle,herd', '--seconds', '0.05');
  expect(code).toBe(0);
  for (const title of ['Courier', 'tRPC, stock adapter', 'socket.io 4, rooms', 'ws, send per socket', 'ws, shared frames (limit)']) {
    expect(stdout).toMatch(new RegExp(`${title.replace(/[()]/g, '\\$&')} +\\d`));
  }
  expect(stdout).toMatch(/500 clients, 200 events each +Courier +\d/);
});

test('our own clients, replays and the disk are measured', { timeout: 60_000 }, async () => {
  const { code, stdout } = await run('--quick', '--only', 'clients,beside-replay,sync', '--seconds', '0.05');
  expect(code).toBe(0);
  expect(stdout).toMatch(/TypeScript, publish, 1000 in flight +Courier( +[\d,.]+){3}\n/);
  expect(stdout).toMatch(/TypeScript, BackgroundPublisher, 1000 waiting +Courier( +[\d,.]+){3}\n/);
  expect(stdout).toMatch(/Python, publish, 256 in flight +Courier( +[\d,.]+){3}\n|without the Python client/);
  expect(stdout).toMatch(/events replayed again and again +Courier( +[\d,.]+){7}\n/);
  expect(stdout).toMatch(/to 100 subscribers +Courier( +[-\d,.]+){6}\n/);
});

test('connections are counted, and come back after the gateway was ended', { timeout: 60_000 }, async () => {
  const { code, stdout } = await run('--quick', '--only', 'connections', '--seconds', '0.05');
  expect(code).toBe(0);
  expect(stdout).toMatch(/100 connections +Courier( +[-\d,.]+){12}\n/);
});

test('wrong options are one line, and exit code 2', async () => {
  expect(await run('--only', 'nothing')).toMatchObject({ code: 2, stderr: 'bench: --only: there is no workload nothing\n' });
  expect(await run('--rounds', 'many')).toMatchObject({ code: 2, stderr: 'bench: --rounds must be a positive number\n' });
});

const rowsOf = (subscribers: string, courier: number, stock: number): Result['rows'] => [
  {
    case: `20 a turn, 300 B, to ${subscribers}`,
    contender: 'courier',
    figures: { 'deliveries/s': courier, 'CPU µs/delivery': 1e6 / courier },
  },
  {
    case: `20 a turn, 300 B, to ${subscribers}`,
    contender: 'stock-trpc',
    figures: { 'deliveries/s': stock, 'CPU µs/delivery': 1e6 / stock },
  },
];

test('ratios are to Courier in the same case', () => {
  const table = tableOf({ workload: 'fan-out', title: 'Fan-out', rows: rowsOf('200', 1_000_000, 25_000) });
  expect(table.slice(1, 3)).toEqual(['Fan-out', expect.stringMatching(/deliveries\/s +CPU µs\/delivery +to Courier$/)]);
  expect(table[3]).toMatch(/^20 a turn, 300 B, to 200 +Courier +1,000,000 +1\.00$/);
  expect(table[4]).toMatch(/^ +tRPC, stock adapter +25,000 +40\.00 +× 40\.00$/);
});

const reportOf = (id: string, ...workloads: string[]): Report => ({
  ...readReport(),
  commit: { id, isClean: true },
  results: workloads.map((workload) => ({ workload, title: id, rows: [] })),
});

test('results are kept together only when they are of one commit', () => {
  const order = ['fan-out', 'replay', 'sync'];
  const named = ({ results }: Report) => results.map(({ workload }) => workload);
  const before = reportOf('a', 'sync', 'replay');
  expect(named(joined(before, reportOf('a', 'fan-out', 'sync'), order))).toEqual(order);
  expect(named(joined(before, reportOf('b', 'fan-out'), order))).toEqual(['fan-out']);
  expect(named(joined(before, { ...reportOf('a', 'fan-out'), commit: { id: 'a', isClean: false } }, order))).toEqual(['fan-out']);
});

test('the picture is that of the results', () => {
  const fanOut = readReport().results.find(({ workload }) => workload === 'fan-out');
  expect(readFileSync(PLOT_FILE, 'utf8')).toBe(plotOf(fanOut as Result));
});

test('the plot has a line for each contender', () => {
  const plot = plotOf({ workload: 'fan-out', title: '', rows: [...rowsOf('200', 1e6, 25e3), ...rowsOf('1,000', 2e6, 20e3)] });
  expect(plot.match(/<polyline/g)).toHaveLength(2);
  expect(plot).toContain('1,000,000');
  expect(plot).not.toContain('NaN');
});
