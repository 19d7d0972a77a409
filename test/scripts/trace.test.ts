/** `courier trace`: a piece of work as a tree and as JSON, also where it is long and where not all of it may be read. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { durationText, type PrintedStep, summary, treeLines } from '../../scripts/cli/trace-tree.ts';
import { runCli } from '../helpers/cli.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { SECRET, startGateway, type TestGateway } from '../helpers/gateway.ts';

afterEach(() => {
  vi.useRealTimers();
});

const forGateway = (gateway: TestGateway) => ({ COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET });
/** Somebody who may read jobs and backtests, and no strategies. */
const forUser = async (gateway: TestGateway) => ({
  COURIER_URL: gateway.url,
  COURIER_TOKEN: await gateway.token('ada', 'user', { subscribe: ['forge.job.*', 'backtest.*'] }),
});

async function run(args: readonly string[], env: Record<string, string>) {
  await using cli = runCli(['trace', ...args], env);
  const code = await cli.exit;
  return { code, stdout: cli.stdout, stderr: cli.stderr };
}

/** Lines of the tree as texts. */
const textsOf = (steps: readonly PrintedStep[], options: Parameters<typeof treeLines>[1]) =>
  treeLines(steps, options).map((line) =>
    [line]
      .flat()
      .map((part) => (typeof part === 'string' ? part : part.text))
      .join(''),
  );

const DRAFTS = {
  job: { channel: 'forge.job.j1', type: 'forge.job.started', data: { job_id: 'j1', kind: 'backtests' } },
  progress: { channel: 'forge.job.j1', type: 'forge.job.progress', data: { job_id: 'j1', progress: 0.5 } },
  done: { channel: 'forge.job.j1', type: 'forge.job.completed', data: { job_id: 'j1' } },
  backtest: { channel: 'backtest.b1', type: 'backtest.started', data: { backtest_id: 'b1' } },
  failure: { channel: 'backtest.b1', type: 'backtest.failed', data: { backtest_id: 'b1', code: 'no_data', message: 'none yet' } },
  order: { channel: 'strategy.s1', type: 'order.cancelled', data: { order_id: 'o1', reason: 'expired' } },
} as const;

const START = Date.parse('2026-01-02T11:28:01.107Z');

/** A gateway that has begun at START, by both clocks: its log doubts one that jumps. */
function startGatewayThen(): Promise<TestGateway> {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: START });
  return startGateway();
}

/** A job with two branches, one of them through a strategy, at times that are told and not waited for. Returns the ids by name. */
async function jobWithBranches(gateway: TestGateway) {
  const ids: Record<string, string> = {};
  for (const [name, source, ms, cause] of [
    ['job', 'forge', 0, undefined],
    ['backtest', 'cartographe', 3, 'job'],
    ['progress', 'forge', 503, 'job'],
    ['order', 'chevalier', 1203, 'backtest'],
    ['failure', 'cartographe', 1204, 'order'],
    ['done', 'forge', 240_503, 'progress'],
  ] as const) {
    if (vi.isFakeTimers()) vi.advanceTimersByTime(START + ms - Date.now());
    const { events } = gateway.httpClient(await gateway.token(source, 'service'));
    const metadata = { correlation_id: 'night-run', ...(cause && { causation_id: ids[cause] }) };
    ids[name] = (await events.publish.mutate({ ...DRAFTS[name], metadata })).id;
  }
  vi.useRealTimers();
  return ids as Record<keyof typeof DRAFTS, string>;
}

const TREE = `
type                       channel       source       stored_at                after_cause
forge.job.started          forge.job.j1  forge        2026-01-02 11:28:01.107  -
├─ backtest.started        backtest.b1   cartographe  2026-01-02 11:28:01.110  +3 ms
│  └─ order.cancelled      strategy.s1   chevalier    2026-01-02 11:28:02.310  +1.2 s
│     └─ backtest.failed   backtest.b1   cartographe  2026-01-02 11:28:02.311  +1 ms
└─ forge.job.progress      forge.job.j1  forge        2026-01-02 11:28:01.610  +503 ms
   └─ forge.job.completed  forge.job.j1  forge        2026-01-02 11:32:01.610  +4 min  slowest
6 events; 4 min from first to last; services forge, cartographe, chevalier`;

const TREE_OF_USER = `
type                       channel       source       stored_at                after_cause
forge.job.started          forge.job.j1  forge        2026-01-02 11:28:01.107  -
├─ backtest.started        backtest.b1   cartographe  2026-01-02 11:28:01.110  +3 ms
└─ forge.job.progress      forge.job.j1  forge        2026-01-02 11:28:01.610  +503 ms
   └─ forge.job.completed  forge.job.j1  forge        2026-01-02 11:32:01.610  +4 min  slowest
backtest.failed            backtest.b1   cartographe  2026-01-02 11:28:02.311  +1 ms
5 events; 4 min from first to last; services forge, cartographe; 1 hidden`;

const linesOf = (shown: string) => shown.trim().split('\n');

describe('a piece of work', () => {
  test('is a tree of causes, by its correlation id and by any of its events', async () => {
    await using gateway = await startGatewayThen();
    const ids = await jobWithBranches(gateway);
    for (const id of ['night-run', ids.job, ids.failure])
      expect(await run([id], forGateway(gateway))).toEqual({ code: 0, stdout: linesOf(TREE), stderr: [] });
    const user = await forUser(gateway);
    // What a hidden event has caused stands at the left, as its cause is not shown.
    for (const id of ['night-run', ids.failure])
      expect(await run([id], user)).toEqual({ code: 0, stdout: linesOf(TREE_OF_USER), stderr: [] });
  });

  test('is a JSON document for each step, as it was received', async () => {
    await using gateway = await startGatewayThen();
    const ids = await jobWithBranches(gateway);
    const headers = { authorization: `Bearer ${await gateway.token('root', 'admin')}` };
    const { steps } = (await (await fetch(`${gateway.url}/trace/${ids.job}`, { headers })).json()) as { steps: object[] };
    const all = await run([ids.job, '--json'], forGateway(gateway));
    expect([all.code, all.stdout.map((line) => JSON.parse(line)), all.stderr]).toEqual([0, steps, []]);
    const some = await run([ids.job, '--json'], await forUser(gateway));
    expect([some.code, some.stdout.length, some.stderr]).toEqual([0, 5, ['1 hidden']]);
    expect(some.stdout.join()).not.toContain('strategy.s1');
  });

  test('of which nothing may be read, or of which there is nothing, is told', async () => {
    await using gateway = await startGateway();
    const { events } = gateway.httpClient(await gateway.token('chevalier', 'service'));
    await events.publish.mutate({ ...DRAFTS.order, metadata: { correlation_id: 'secret' } });
    const user = await forUser(gateway);
    expect(await run(['secret'], user)).toEqual({ code: 0, stdout: ['0 events; 1 hidden'], stderr: [] });
    expect(await run(['secret', '--json'], user)).toEqual({ code: 0, stdout: [], stderr: ['1 hidden'] });
    expect(await run(['nobody'], user)).toEqual({ code: 0, stdout: [], stderr: ['none'] });
  });
});

describe('a chain of 1,500 events', () => {
  const [LENGTH, FORBIDDEN] = [1500, 700];

  /** Returns the id of its last event. */
  async function chain(gateway: TestGateway): Promise<string> {
    await using client = gateway.webSocketClient(await gateway.token('root', 'admin'));
    let cause: string | undefined;
    for (let n = 0; n < LENGTH; n += 1) {
      const draft = n === FORBIDDEN ? DRAFTS.order : DRAFTS.progress;
      const metadata = { correlation_id: 'long', ...(cause && { causation_id: cause }) };
      cause = (await client.trpc.events.publish.mutate({ ...draft, metadata })).id;
    }
    return cause as string;
  }

  /** How an event looks that has so many causes above it. */
  const startOf = (depth: number, type: string) => {
    if (depth === 0) return type;
    return `${' '.repeat(3 * Math.min(depth - 1, 12))}${depth > 12 ? `${depth}: ` : '└─ '}${type}`;
  };
  const treeOf = (stdout: readonly string[]) =>
    stdout.slice(1, -1).map((line) => line.replace(/ {2}(forge\.job\.j1|strategy\.s1) .*$/, '').trimEnd());

  test('is read to its end, and stays in its lines', async () => {
    await using gateway = await startGateway();
    const last = await chain(gateway);
    const { code, stdout, stderr } = await run([last], forGateway(gateway));
    expect([code, stderr]).toEqual([0, []]);
    const typeOf = (n: number) => (n === FORBIDDEN ? 'order.cancelled' : 'forge.job.progress');
    expect(treeOf(stdout)).toEqual(Array.from({ length: LENGTH }, (_, n) => startOf(n, typeOf(n))));
    expect(Math.max(...stdout.map(({ length }) => length))).toBeLessThan(140);
    // Nothing is marked where nothing took any time.
    expect(stdout.filter((line) => line.endsWith('  slowest')).length).toBe(stdout.some((line) => / \+[^0]/.test(line)) ? 1 : 0);
    expect(stdout.at(-1)).toMatch(/^1500 events; [\d.]+ (ms|s|min) from first to last; service root$/);

    const user = await forUser(gateway);
    const some = await run(['long'], user);
    expect([some.code, some.stderr]).toEqual([0, []]);
    const shown = [FORBIDDEN, LENGTH - FORBIDDEN - 1].flatMap((length) =>
      Array.from({ length }, (_, n) => startOf(n, 'forge.job.progress')),
    );
    expect(treeOf(some.stdout)).toEqual(shown);
    expect(some.stdout.at(-1)).toMatch(/^1499 events; .*; service root; 1 hidden$/);
    const json = await run(['long', '--json'], user);
    expect([json.code, new Set(json.stdout).size, json.stderr]).toEqual([0, LENGTH - 1, ['1 hidden']]);

    // Whoever reads has enough before the end: that is no error.
    const script = `courier() { '${process.execPath}' scripts/courier.ts "$@"; }\ncourier trace long | head -n 2`;
    for (const command of [script, script.replace('trace', 'trace --json')]) {
      const env = { ...ENVIRONMENT, NO_COLOR: '1', ...forGateway(gateway) };
      const child = spawn('bash', ['-o', 'pipefail', '-c', command], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      const [out, error, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
      expect([out.trimEnd().split('\n').length, error, code]).toEqual([2, '', 0]);
    }
  }, 120_000);
});

test.each<[string, string[], number, RegExp]>([
  ['no id', [], 2, /^error: missing required argument 'id'$/],
  ['two ids', ['a', 'b'], 2, /^error: too many arguments for 'trace'/],
  ['an option that there is not', ['a', '--all'], 2, /^error: unknown option '--all'/],
  ['an id that is none', ['a b'], 1, /^courier: correlation_id: must be 1 to 128 printable ASCII characters without spaces$/],
  ['an empty id', [''], 1, /^courier: correlation_id: must be 1 to 128 printable ASCII/],
  ['an id that is too long', ['x'.repeat(129)], 1, /^courier: correlation_id: /],
  ['an id with a control', ['a\u001b[2J'], 1, /^courier: correlation_id: must be 1 to 128 printable ASCII/],
  ['an event of another log', ['other-1'], 1, /^courier: there is no event at "other-1" that you may read$/],
  ['a token that is none', ['a', '--token', 'nonsense'], 3, /^courier: the token is not valid: it is not a signed JWT$/],
  [
    'a gateway that is not there',
    ['a', '--url', 'http://127.0.0.1:1'],
    1,
    /^courier: cannot reach the gateway at http:\/\/127\.0\.0\.1:1: /,
  ],
])('%s is refused in one sentence', async (_name, args, code, sentence) => {
  await using gateway = await startGateway();
  expect(await run(args, forGateway(gateway))).toEqual({ code, stdout: [], stderr: [expect.stringMatching(sentence)] });
});

test('an event that may not be read is as one that is not there', async () => {
  await using gateway = await startGateway();
  const { order } = await jobWithBranches(gateway);
  const stderr = [`courier: there is no event at "${order}" that you may read`];
  expect(await run([order], await forUser(gateway))).toEqual({ code: 1, stdout: [], stderr });
});

test('a limit of queries is waited for', async () => {
  await using gateway = await startGateway({ COURIER_LIMITS: '{"admin": {"queriesPerSecond": 1}}' });
  await jobWithBranches(gateway);
  const runs = await Promise.all([1, 2, 3].map(() => run(['night-run'], forGateway(gateway))));
  for (const { code, stdout, stderr } of runs) expect([code, stdout.length, stderr]).toEqual([0, 8, []]);
});

const at = (ms: number) => new Date(START + ms);
const step = (id: string, cause?: string, more: Partial<PrintedStep & { type: string; source: string }> = {}): PrintedStep => ({
  event: {
    id,
    channel: 'global',
    type: more.type ?? id,
    metadata: { timestamp: at(0), source: more.source ?? 'forge', causation_id: cause },
    data: {},
  },
  stored_at: more.stored_at === undefined ? at(0) : more.stored_at,
  after_cause_ms: more.after_cause_ms ?? null,
});

describe('a tree', () => {
  const steps = [step('a'), step('b', 'a', { after_cause_ms: 5 }), step('c', 'b', { after_cause_ms: 20 }), step('d', 'a')];

  test('has no line that is longer than the terminal is wide, and says which columns have no room', () => {
    for (let columns = 1; columns < 70; columns += 1)
      expect(Math.max(...textsOf(steps, { columns }).map(({ length }) => length))).toBeLessThanOrEqual(columns);
    expect(textsOf(steps, { columns: 57, now: at(0) }).at(0)).toBe('type     channel  source  stored_at     after_cause');
    expect(textsOf(steps, { columns: 54, now: at(0) }).at(-1)).toBe('without source, for which there is no room');
    expect(textsOf(steps, { columns: 30, now: at(0) })).toEqual([
      'type     after_cause',
      'a        -',
      '├─ b     +5 ms',
      '│  └─ c  +20 ms  slowest',
      '└─ d     -',
      'without channel, source, stor…',
    ]);
  });

  test('has the day of what is not all of today, and no time where none was noted', () => {
    const timeOf = (now: Date) => textsOf([step('a'), step('b', 'a', { stored_at: null })], { now }).map((line) => line.split(/ {2,}/)[3]);
    expect(timeOf(at(0))).toEqual(['stored_at', '11:28:01.107', '-']);
    expect(timeOf(at(86_400_000))).toEqual(['stored_at', '2026-01-02 11:28:01.107', '-']);
  });

  test('has a number in place of what would be too deep, with branches below it', () => {
    const deep = [
      step('a'),
      step('b', 'a'),
      step('c', 'b'),
      step('d', 'b'),
      step('e', 'd'),
      step('f', 'c'),
      step('g', 'c'),
      step('h', 'a'),
    ];
    const of = (columns: number) =>
      textsOf(deep, { columns })
        .slice(1, -1)
        .map((line) => line.split(/ {2}(?=-|…| *-$)/)[0]?.trimEnd());
    expect(of(20)).toEqual(['a', '├─ b', '│  ├─ c', '│  │  3: f', '│  │  3: g', '│  └─ d', '│     3: e', '└─ h']);
  });

  test('has every event once, whatever a gateway says of causes', () => {
    const wild = [step('a', 'b'), step('b', 'a'), step('c', 'c'), step('a', 'a'), step('d', 'gone')];
    const [head, ...lines] = textsOf(wild, {});
    expect([head?.slice(0, 4), ...lines.map((line) => line.split('  global')[0]?.trimEnd())]).toEqual([
      'type',
      'a',
      '├─ b',
      '└─ a',
      'c',
      'd',
    ]);
    expect(textsOf([], {})).toEqual([]);
  });

  test.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1 s'],
    [1249, '1.2 s'],
    [59_949, '59.9 s'],
    [59_950, '1 min'],
    [90_000, '1.5 min'],
    [240_000, '4 min'],
    [3_599_999, '1 h'],
    [5_400_000, '1.5 h'],
    [86_399_999, '1 d'],
    [864_000_000, '10 d'],
  ])('has %i ms as %s', (ms, shown) => {
    expect(durationText(ms)).toBe(shown);
    const lines = textsOf([step('a', undefined, { after_cause_ms: ms }), step('b', 'a', { after_cause_ms: -ms - 1 })], {});
    expect(lines[1]).toMatch(new RegExp(` \\+${shown}${ms > 0 ? ' {2}slowest' : ''}$`));
    expect(lines[2]).toMatch(/ -[1-9][\d.]* (ms|s|min|h|d)$/);
  });
});

test('the line below a tree says what there is, and what is not shown', () => {
  const nothing = { hidden: 0, is_partial: false };
  expect(summary([], { hidden: 2, is_partial: true })).toBe('0 events; 2 hidden; partial: there is more than is read of one piece of work');
  expect(summary([step('a')], nothing)).toBe('1 event; service forge');
  const steps = [step('a'), step('b', 'a', { stored_at: at(-1500) }), step('c', 'a', { stored_at: null, source: 'prophet' })];
  expect(summary(steps, nothing)).toBe('3 events; 1.5 s from first to last; services forge, prophet');
  const many = Array.from({ length: 10 }, (_, n) => step(`e${n}`, undefined, { source: `s${n}` }));
  expect(summary(many, nothing)).toBe('10 events; 0 ms from first to last; services s0, s1, s2, s3, s4, s5, s6, s7 and 2 more');
});
