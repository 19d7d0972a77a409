/** The demo, run as its user runs it, and the arithmetic that it shows. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readBars } from '../../scripts/demo/bars.ts';
import { backtest, type Result, testOf } from '../../scripts/demo/moving-average.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { httpClient } from '../helpers/gateway.ts';
import { DEMO, type KeptDemo, keepDemo, type Running, startedBy, stillRunning } from './kept-demo.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function runDemo(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { ...ENVIRONMENT, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, stdout, stderr };
}

test('the demo ends well, loses nothing, shows every outcome, and gives the same results twice', { timeout: 120_000 }, async () => {
  const [first, second] = [await runDemo(), await runDemo()];
  for (const { code, stdout, stderr } of [first, second]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/published (\d+), stored \1, delivered \1, lost 0, duplicated 0, in the order of the log/);
    expect(stdout).toMatch(/^positions: 1\n.*\nstrategy\.sma-50-200 +sma-50-200\/SPX +no +0 +0 +-2535\.50 /m);
    expect(stdout).toMatch(/^orders: 20\n(.*\n){5}16 more$/m);
    expect(stdout).toMatch(/^things in the state 34, made of the events anew 34, differences 0$/m);
    // Links end with the demo.
    expect(stdout).toMatch(/^gateway on \S+, log in \S+\n\n/);
    expect(stdout).not.toContain('/admin/');
    for (const outcome of [
      'strategy.generation.failed',
      'backtest.failed',
      'forge.job.failed',
      'forge.job.completed',
      'position.updated',
    ]) {
      expect(stdout).toContain(outcome);
    }
  }
  expect(results(first)).toHaveLength(8);
  expect(results(second)).toEqual(results(first));
});

/** What came of the research: the figures, the failures and the winner. */
function results({ stdout }: { readonly stdout: string }): string[] {
  return (stdout.match(/^(sma-|winner|(strategy|backtest|forge)\.\S+: ).*$/gm) ?? []).sort();
}

test('with two of the services in Python the results are the same, on one gateway and on two', { timeout: 180_000 }, async () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts/python.ts'), '--only', 'environment'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const expected = results(await runDemo());
  for (const args of [['--python'], ['--python', '--cluster']]) {
    const ended = await runDemo(...args);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/published 138, stored 138, delivered 138, lost 0, duplicated 0, in the order of the log/);
    expect(results(ended)).toEqual(expected);
  }
});

test.for(['no Python', 'a Python without venv'])('with %s it says what to install', { timeout: 60_000 }, async (which) => {
  using folder = temporaryFolder();
  // The repository as it is before its first use of Python.
  for (const name of ['scripts', 'src', 'node_modules', 'package.json']) symlinkSync(join(ROOT, name), folder.file(name));
  mkdirSync(folder.file('client/python'), { recursive: true });
  copyFileSync(join(ROOT, 'client/python/requirements-dev.txt'), folder.file('client/python/requirements-dev.txt'));
  if (which !== 'no Python') writeFileSync(folder.file('python3'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--preserve-symlinks', '--preserve-symlinks-main', folder.file('scripts/demo/run.ts'), '--python'],
    { env: { PATH: folder.file('') }, encoding: 'utf8' },
  );
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(
    /^demo: there is no Python 3\.10 or later with venv .*: install it \(.*python3 and python3-venv\), or name it in \S+\n$/,
  );
});

test('with two gateways, one of them killed half-way, nothing is lost either', { timeout: 120_000 }, async () => {
  const { code, stdout, stderr } = await runDemo('--cluster');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+ was killed$/m);
  expect(stdout).toMatch(/published (\d+), stored \1, delivered \1, lost 0, duplicated 0, in the order of the log/);
});

test('with --keep it goes on with other candidates, for the link that it prints to look at', { timeout: 120_000 }, async () => {
  await using demo = keepDemo();
  const [, url = '', token = ''] = await demo.line(/^dashboard: (http:\/\/127\.0\.0\.1:\d+)\/admin\/#token=(\S+)$/);
  const trpc = httpClient(url, token);
  expect(await trpc.auth.whoami.query()).toMatchObject({ sub: 'demo', role: 'admin' });
  await demo.line(/^published (\d+), stored \1, delivered \1, lost 0, duplicated 0, in the order of the log$/);
  for (const job of ['research-2', 'research-3']) await demo.line(new RegExp(` forge.job.${job} .* forge.job.(completed|failed) `));
  const { events } = await trpc.events.history.query({ channels: ['strategy.*'], types: ['strategy.generation.started'], limit: 1000 });
  const proposedIn = (round: string) =>
    events.filter(({ metadata }) => metadata.correlation_id === round).map(({ channel }) => channel.replace('strategy.', ''));
  const [first, second, third] = ['research-2000-2020', 'research-2', 'research-3'].map(proposedIn);
  expect([first?.length, second?.length, third?.length]).toEqual([6, 4, 4]);
  expect(third?.filter((strategy) => second?.includes(strategy))).toEqual([]);
});

test.for(['TypeScript', 'Python'])(
  'in %s it fails a strategy of somebody else that it cannot test, and goes on',
  { timeout: 120_000 },
  async (language) => {
    await using demo = keepDemo(...(language === 'Python' ? ['--python'] : []));
    const [, url = '', token = ''] = await demo.line(/^dashboard: (http:\/\/127\.0\.0\.1:\d+)\/admin\/#token=(\S+)$/);
    await demo.line(/^still running, until Ctrl-C$/);
    const { events } = httpClient(url, token);
    for (const [strategy_id, parameters] of [
      ['bare', undefined],
      ['odd', { fast: 'ten', slow: 0 }],
    ] as const)
      await events.publish.mutate({
        channel: `strategy.${strategy_id}`,
        type: 'strategy.generation.completed',
        data: { strategy_id, ...(parameters && { parameters }) },
      });
    const codes = async () => {
      const failed = await events.history.query({ channels: ['backtest.bt-bare', 'backtest.bt-odd'], types: ['backtest.failed'] });
      return failed.events.map(({ data }) => 'code' in data && data.code);
    };
    await expect.poll(codes, { timeout: 60_000, interval: 50 }).toEqual(['no_windows', 'no_windows']);
    await demo.line(/ forge.job.research-3 .* forge.job.(completed|failed) /);
  },
);

test('it says what its options are, and refuses others', { timeout: 60_000 }, async () => {
  const help = await runDemo('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const option of ['--cluster', '--python', '--keep', '--help']) expect(help.stdout).toContain(`  ${option}`);
  for (const wrong of ['--kep', 'keep', '--keep=yes']) {
    const { code, stdout, stderr } = await runDemo(wrong);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^demo: /);
    expect(stderr).toContain(help.stdout);
  }
});

/** The ways to end the demo, and its exit code. */
test.for<readonly [string, (demo: KeptDemo) => unknown, number | null]>([
  [
    'Ctrl-C, which npm passes on,',
    (demo) => {
      process.kill(-demo.pid, 'SIGINT');
      demo.signal('SIGINT');
    },
    0,
  ],
  ['SIGINT', (demo) => demo.signal('SIGINT'), 0],
  ['SIGTERM', (demo) => demo.signal('SIGTERM'), 0],
  ['SIGKILL', (demo) => demo.signal('SIGKILL'), null],
])('%s ends all that the demo has started', { timeout: 90_000 }, async ([, end, code]) => {
  await using demo = keepDemo();
  await demo.line(/^still running, until Ctrl-C$/);
  const started = startedBy(demo.pid);
  expect(started.map(({ command }) => /(\w+)\.ts$/.exec(command)?.[1]).sort()).toEqual([
    'cartographe',
    'chevalier',
    'forge',
    'main',
    'prophet',
  ]);
  end(demo);
  expect(await demo.exited).toBe(code);
  await nothingLeft(started);
  expect(await demo.complaints).toBe('');
});

test('a second Ctrl-C ends it all too, without waiting for the gateway', { timeout: 90_000 }, async () => {
  await using demo = keepDemo();
  await demo.line(/^still running, until Ctrl-C$/);
  const started = startedBy(demo.pid);
  const gateway = started.find(({ command }) => command.endsWith('main.ts')) as Running;
  // It cannot end in order.
  process.kill(gateway.pid, 'SIGSTOP');
  demo.signal('SIGINT');
  await nothingLeft(started.filter((one) => one !== gateway));
  const impatience = setInterval(() => demo.signal('SIGINT'), 100);
  expect(await demo.exited).toBe(1);
  clearInterval(impatience);
  process.kill(gateway.pid, 'SIGCONT');
  await nothingLeft(started);
});

test('a signal while it starts ends it all', { timeout: 90_000 }, async () => {
  await using demo = keepDemo();
  await demo.line(/^gateway on /);
  const started = startedBy(demo.pid);
  demo.signal('SIGTERM');
  expect(await demo.exited).toBe(1);
  await nothingLeft(started);
  expect(await demo.complaints).toBe('demo: SIGTERM\n');
});

test('SIGKILL ends PostgreSQL, Redis and the services in Python too', { timeout: 120_000 }, async () => {
  await using demo = keepDemo('--cluster', '--python');
  await demo.line(/^still running, until Ctrl-C$/);
  const started = startedBy(demo.pid);
  for (const program of [/\/postgres -D/, /(redis|valkey)-server/, /python \S+prophet\.py$/, /python \S+cartographe\.py /, /main\.ts$/]) {
    expect(started.filter(({ command }) => program.test(command))).not.toEqual([]);
  }
  demo.signal('SIGKILL');
  expect(await demo.exited).toBeNull();
  await nothingLeft(started);
});

/** What the demo has not ended itself notices that it has gone. */
async function nothingLeft(started: readonly Running[]): Promise<void> {
  await expect.poll(() => stillRunning(started), { timeout: 20_000, interval: 50 }).toEqual([]);
}

describe('the moving-average crossover', () => {
  const bar = (open: number, close: number, index: number) => ({ date: `2024-01-${String(index + 1).padStart(2, '0')}`, open, close });
  const run = (bars: ReturnType<typeof bar>[], fast: number, slow: number): Result => {
    const steps = backtest(bars, { fast, slow });
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  };

  test('buys at the open after the fast average rose above the slow one, and sells at the open after it fell', () => {
    // Closes 10 10 12 8 8: with windows 1 and 2 the fast one is above after day 3 only.
    const bars = [bar(10, 10, 0), bar(10, 10, 1), bar(10, 12, 2), bar(11, 8, 3), bar(9, 8, 4)];
    const { trades, metrics } = run(bars, 1, 2);
    expect(trades).toEqual([{ entry: { date: '2024-01-04', price: 11 }, exit: { date: '2024-01-05', price: 9 } }]);
    expect(metrics).toMatchObject({ total_return: -0.1818, trades: 1, win_rate: 0 });
    // From 1 down to 8/11 on the fourth day.
    expect(metrics.max_drawdown).toBe(0.2727);
  });

  test('closes what is still open at the last close, and counts it as won', () => {
    const { trades, metrics } = run([bar(10, 10, 0), bar(10, 11, 1), bar(11, 12, 2), bar(12, 22, 3)], 1, 2);
    expect(trades).toEqual([{ entry: { date: '2024-01-03', price: 11 }, exit: { date: '2024-01-04', price: 22 } }]);
    expect(metrics).toMatchObject({ total_return: 1, max_drawdown: 0, win_rate: 1 });
  });

  test('reads all 5,105 bars, and says when they are too few', () => {
    expect(readBars()).toHaveLength(5105);
    expect(readBars()[0]).toEqual({ date: '2000-01-03', open: 1469.25, close: 1455.219971 });
    expect(testOf({ fast: 1, slow: 5104 }, 5105)).toEqual({ fast: 1, slow: 5104 });
    expect(testOf({ fast: 1, slow: 6000 }, 5105)).toMatchObject({ code: 'too_few_bars', message: expect.stringContaining('6000') });
  });
});
