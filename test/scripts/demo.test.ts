/** The demo, run as its user runs it, and the arithmetic that it shows. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readBars } from '../../scripts/demo/bars.ts';
import { backtest, type Result, untestable } from '../../scripts/demo/moving-average.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { httpClient } from '../helpers/gateway.ts';

const DEMO = fileURLToPath(new URL('../../scripts/demo/run.ts', import.meta.url));

async function runDemo(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { ...ENVIRONMENT, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, stdout, stderr };
}

test('the demo ends well, loses nothing, shows every outcome, and gives the same results twice', async () => {
  const [first, second] = [await runDemo(), await runDemo()];
  for (const { code, stdout, stderr } of [first, second]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/published (\d+), stored \1, delivered \1, lost 0, duplicated 0, in the order of the log/);
    expect(stdout).toMatch(/^gateway on (\S+), log in \S+\ndashboard: \1\/admin\/#token=\S+\n\n/);
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
  const results = ({ stdout }: { stdout: string }) => stdout.match(/^(sma-|winner).*$/gm);
  expect(results(first)).toHaveLength(5);
  expect(results(second)).toEqual(results(first));
});

test('with two gateways, one of them killed half-way, nothing is lost either', { timeout: 60_000 }, async () => {
  const { code, stdout, stderr } = await runDemo('--cluster');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+ was killed$/m);
  expect(stdout).toMatch(/published (\d+), stored \1, delivered \1, lost 0, duplicated 0, in the order of the log/);
});

test('with --keep it goes on with other candidates, for the link that it prints to look at, until Ctrl-C', async () => {
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
  expect(await demo.interrupt()).toEqual({ code: 0, stderr: '' });
});

test('it says what its options are, and refuses others', async () => {
  const help = await runDemo('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const option of ['--cluster', '--keep', '--help']) expect(help.stdout).toContain(`  ${option}`);
  for (const wrong of ['--kep', 'keep', '--keep=yes']) {
    const { code, stdout, stderr } = await runDemo(wrong);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^demo: /);
    expect(stderr).toContain(help.stdout);
  }
});

interface KeptDemo extends AsyncDisposable {
  /** Resolves to the match once a line matches; rejects when the demo ends before. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  /** What Ctrl-C does: SIGINT to the demo and to all that it started. Resolves to how it ended. */
  interrupt(): Promise<{ code: unknown; stderr: string }>;
}

function keepDemo(): KeptDemo {
  const child = spawn(process.execPath, [DEMO, '--keep'], {
    env: { ...ENVIRONMENT, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stderr = text(child.stderr);
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const seen: string[] = [];
  lines.on('line', (line) => seen.push(line));
  const signal = (name: NodeJS.Signals) => process.kill(-(child.pid as number), name);
  return {
    line: async (pattern) => {
      for (;;) {
        const [match] = seen.map((line) => pattern.exec(line)).filter((found) => found !== null);
        if (match !== undefined) return match;
        const ended = exited.then(async () => {
          throw new Error(`the demo ended: ${await stderr}`);
        });
        await Promise.race([once(lines, 'line'), ended]);
      }
    },
    interrupt: async () => {
      signal('SIGINT');
      const [code] = await exited;
      return { code, stderr: await stderr };
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      signal('SIGKILL');
      await exited;
    },
  };
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
    expect(untestable({ fast: 1, slow: 5104 }, 5105)).toBeUndefined();
    expect(untestable({ fast: 1, slow: 6000 }, 5105)).toMatch(/6000/);
  });
});
