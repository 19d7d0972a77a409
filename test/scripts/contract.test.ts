/** `courier contract` as people and continuous integration use it: in a process, in repositories of its own. */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { CONTRACT_HASH } from '../helpers/lumiere.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SNAPSHOT = 'src/contract/snapshot.json';

interface Result {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A copy of the command line and its sources under version control, whose contract a test may change. */
function temporaryTree() {
  const folder = temporaryFolder();
  for (const part of ['package.json', 'src', 'client/src', 'scripts/courier.ts', 'scripts/cli', 'scripts/contract']) {
    cpSync(`${ROOT}${part}`, folder.file(part), { recursive: true });
  }
  symlinkSync(`${ROOT}node_modules`, folder.file('node_modules'));
  const env = { PATH: process.env['PATH'], NO_COLOR: '1' };
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder.path, '-c', 'user.name=t', '-c', 'user.email=t@localhost', ...args], { env });
  const run = (args: string[], cwd = folder.path) =>
    new Promise<Result>((resolve) => {
      execFile(process.execPath, [folder.file('scripts/courier.ts'), 'contract', ...args], { cwd, env }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  const commit = () => {
    git('add', SNAPSHOT);
    git('commit', '--quiet', '--allow-empty', '-m', 'the contract');
  };
  git('init', '--quiet', '--initial-branch', 'main');
  commit();
  return {
    file: folder.file,
    run,
    commit,
    edit: (path: string, from: string, to: string) => {
      const source = readFileSync(folder.file(path), 'utf8');
      expect(source).toContain(from);
      writeFileSync(folder.file(path), source.replace(from, to));
    },
    renew: async () => expect(await run(['export', '--output', SNAPSHOT])).toEqual({ code: 0, stdout: '', stderr: '' }),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

const EVENTS = 'src/contract/events/cartographe.ts';
const STALE = `courier: nothing breaks, but ${SNAPSHOT} is out of date: courier contract export --output ${SNAPSHOT}\n`;

describe('export', () => {
  test.each([
    ['json-schema', 'contract.json'],
    ['asyncapi', 'asyncapi.json'],
  ])('%s is what a gateway serves at /%s', async (format, path) => {
    await using gateway = await startGateway();
    await using run = runCli(['contract', 'export', '--format', format]);
    expect(await run.exit).toBe(0);
    expect(JSON.parse(run.stdout.join(''))).toEqual(await (await fetch(`${gateway.url}/${path}`)).json());
  });

  test('typescript is what the client is made from', async () => {
    await using run = runCli(['contract', 'export', '--format', 'typescript']);
    expect(await run.exit).toBe(0);
    expect(`${run.stdout.join('\n')}\n`).toBe(readFileSync(`${ROOT}client/src/contract.ts`, 'utf8'));
    expect(run.stdout).toContain(`export const CONTRACT_HASH = '${CONTRACT_HASH}';`);
  });

  test('a format that there is none of is wrong usage', async () => {
    await using run = runCli(['contract', 'export', '--format', 'xml']);
    expect(await run.exit).toBe(2);
    expect(run.stderr[0]).toMatch(/'xml' is invalid\. Allowed choices are json-schema, asyncapi, typescript, python\.$/);
  });
});

describe('check', { timeout: 60_000 }, () => {
  test('the snapshot of this tree is up to date', async () => {
    await using run = runCli(['contract', 'check']);
    expect([run.stdout, await run.exit, run.stderr]).toEqual([[], 0, ['the contract is the same']]);
  });

  test('a compatible change is shown until the snapshot is renewed, and is compatible with what was committed', async () => {
    using tree = temporaryTree();
    tree.edit(EVENTS, 'message: text.optional(),', 'message: text.optional(), eta: date.optional(),');
    expect(await tree.run(['check'])).toEqual({
      code: 4,
      stdout: `  path      change                publishers  subscribers  reason
backtest.progress
  data.eta  optional field added  compatible  compatible   publishers need not send it; subscribers pass over it
`,
      stderr: STALE,
    });
    const [line = '', ...others] = (await tree.run(['check', '--json'])).stdout.trim().split('\n');
    expect(others).toEqual([]);
    expect(JSON.parse(line)).toEqual({
      subject: 'backtest.progress',
      path: 'data.eta',
      change: 'optional field added',
      publishers: 'compatible',
      subscribers: 'compatible',
      reason: 'publishers need not send it; subscribers pass over it',
    });
    expect(await tree.run(['check', '--against', 'HEAD'])).toMatchObject({ code: 4, stderr: STALE });

    await tree.renew();
    expect(await tree.run(['check'])).toEqual({ code: 0, stdout: '', stderr: 'the contract is the same\n' });
    const committed = await tree.run(['check', '--against', 'HEAD']);
    expect(committed).toMatchObject({ code: 0, stderr: 'compatible changes: 1\n' });
    expect(committed.stdout).toMatch(/^backtest\.progress\n {2}data\.eta +optional field added/m);
  });

  test('a breaking change stays one against what was committed, and against a file, from wherever it is asked', async () => {
    using tree = temporaryTree();
    await tree.renew();
    tree.commit();
    writeFileSync(tree.file('earlier.json'), readFileSync(tree.file(SNAPSHOT)));
    tree.edit(EVENTS, 'progress,\n', 'progress: z.number().min(0).max(2).describe("Fraction done, 0 to 1."),\n');
    tree.edit(EVENTS, 'trades: count', 'trades: count.optional()');
    tree.edit(
      EVENTS,
      "'backtest.failed': z.strictObject({ backtest_id: id,",
      "'backtest.failed': z.strictObject({ backtest_id: id, run: id,",
    );
    const renewal = `; if they are meant, renew the snapshot: courier contract export --output ${SNAPSHOT}`;
    const result = await tree.run(['check']);
    expect(result).toMatchObject({ code: 1, stderr: `courier: breaking changes: 3, compatible: 0${renewal}\n` });
    expect(result.stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['path', 'change', 'publishers', 'subscribers', 'reason'],
      ['backtest.progress'],
      ['data.progress', 'maximum 1 → maximum 2', 'compatible', 'breaking', 'values may come that were ruled out'],
      ['backtest.completed'],
      ['data.metrics.trades', 'made optional', 'compatible', 'breaking', 'subscribers rely on it'],
      ['backtest.failed'],
      ['data.run', 'required field added', 'breaking', 'compatible', 'publishers that do not send it are refused'],
      [''],
    ]);

    await tree.renew();
    expect(await tree.run(['check'])).toMatchObject({ code: 0 });
    mkdirSync(tree.file('elsewhere'));
    for (const [against, cwd] of [
      ['main', tree.file('elsewhere')],
      ['../earlier.json', tree.file('elsewhere')],
      [tree.file('earlier.json'), '/'],
    ] as const) {
      const compared = await tree.run(['check', '--against', against], cwd);
      expect(compared).toMatchObject({ code: 1, stderr: 'courier: breaking changes: 3, compatible: 0\n' });
    }
  });

  test('another wording is a change too, and no other contract', async () => {
    using tree = temporaryTree();
    await tree.renew();
    const hash = async () => /CONTRACT_HASH = .*/.exec((await tree.run(['export', '--format', 'typescript'])).stdout)?.[0];
    const before = await hash();
    tree.edit(EVENTS, 'Bars to go through.', 'How many bars there are.');
    const { code, stdout } = await tree.run(['check']);
    expect([code, stdout]).toEqual([
      4,
      expect.stringMatching(/data\.bars_total +description reworded +compatible +compatible +only the wording/),
    ]);
    expect(await hash()).toBe(before);
  });

  test('what cannot be compared with is one line, and wrong usage', async () => {
    using tree = temporaryTree();
    writeFileSync(tree.file('broken.json'), '{"$defs": {\n');
    const notGit = 'is no file, and no git ref with a snapshot: fatal: ';
    const refusals: [string[], string][] = [
      [['--against', 'nowhere'], `courier: --against: "nowhere" ${notGit}invalid object name 'nowhere'`],
      [['--against', '--output=x'], `courier: --against: "--output=x" ${notGit}`],
      [['--against', 'broken.json'], 'courier: broken.json is no contract: '],
      [['--against', 'package.json'], 'courier: package.json is no contract: $defs: '],
      [['--against'], "error: option '--against <file or git ref>' argument missing"],
    ];
    for (const [args, message] of refusals) {
      const result = await tree.run(['check', ...args]);
      expect(result).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^[^\n]+\n$/) });
      expect(result.stderr).toContain(message);
    }
  });

  test('without a snapshot there is nothing to compare with, and nothing that is up to date', async () => {
    using tree = temporaryTree();
    renameSync(tree.file(SNAPSHOT), tree.file('earlier.json'));
    const none = `courier: there is no ${SNAPSHOT} to compare with: courier contract export --output ${SNAPSHOT}\n`;
    expect(await tree.run(['check'])).toEqual({ code: 2, stdout: '', stderr: none });
    expect(await tree.run(['check', '--against', 'earlier.json'])).toEqual({ code: 4, stdout: '', stderr: STALE });
  });
});
