/** The benchmark runs: its contenders start, are measured and compared. Its figures are not looked at. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { plotOf, type Result, tableOf } from '../../scripts/bench/report.ts';

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

test('the plot has a line for each contender', () => {
  const plot = plotOf({ workload: 'fan-out', title: '', rows: [...rowsOf('200', 1e6, 25e3), ...rowsOf('1,000', 2e6, 20e3)] });
  expect(plot.match(/<polyline/g)).toHaveLength(2);
  expect(plot).toContain('1,000,000');
  expect(plot).not.toContain('NaN');
});
