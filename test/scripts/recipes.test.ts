/** The three recipes of CONTRIBUTING.md, followed to the letter in a copy of the tree: everything that follows from the contract has changed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AsyncApiDocument } from '../../src/contract/asyncapi.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LUMIERE = 'src/contracts/lumiere/';

const folder = temporaryFolder();
const at = (path: string) => folder.file(path);
const read = (path: string) => readFileSync(at(path), 'utf8');
/** Where npm keeps its own files. */
const home = temporaryFolder();
const env = { ...ENVIRONMENT, NO_COLOR: '1', HOME: home.path };

/** Runs a command in the copy. */
function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder.path, env, encoding: 'utf8' });
  expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
  return stdout;
}

/** The code of the recipes, in their order: a type's entry, a service's line, a family's line, a type's entry in another version. */
function recipes(): string[] {
  const [, section = ''] = read('CONTRIBUTING.md').split('## Changing the contract\n');
  return [...(section.split('\n## ')[0] ?? '').matchAll(/```ts\n([\s\S]*?) *```/g)].map(([, code = '']) => code);
}

const SENTINEL = `/** Sentinel watches what is held. */
import { z } from 'zod';
import { defineService } from '../../contract/define.ts';
import { id, text } from '../../contract/fields.ts';

export const sentinel = defineService({
  description: 'watches what is held',
  events: {
    'risk.limit_breached': {
      on: ['portfolio', 'strategy'],
      description: 'A limit of a portfolio was exceeded.',
      data: z.strictObject({ portfolio_id: id, limit: text, strategy_id: id.optional() }),
      examples: [{ portfolio_id: 'p1', limit: 'drawdown' }],
    },
  },
});
`;

/** Follows the recipes, and runs the one command. */
function follow(): void {
  const [type = '', service = '', family = ''] = recipes();
  const service_ = read(`${LUMIERE}cartographe.ts`);
  writeFileSync(at(`${LUMIERE}cartographe.ts`), service_.replace("    'backtest.failed': {", `${type}    'backtest.failed': {`));
  writeFileSync(at(`${LUMIERE}sentinel.ts`), SENTINEL);
  writeFileSync(at(`${LUMIERE}services.ts`), read(`${LUMIERE}services.ts`) + service);
  writeFileSync(at(`${LUMIERE}families.ts`), read(`${LUMIERE}families.ts`).replace('} as const;', `  ${family}} as const;`));
  run('npm', 'run', '-s', 'contract:renew');
}

beforeAll(() => {
  const files = execFileSync('git', ['-C', ROOT, 'ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
  for (const path of files.trim().split('\n')) {
    if (path.endsWith('.png')) continue;
    mkdirSync(dirname(at(path)), { recursive: true });
    cpSync(ROOT + path, at(path));
  }
  symlinkSync(`${ROOT}node_modules`, at('node_modules'));
  run('git', 'init', '--quiet', '--initial-branch', 'main');
  run('git', 'add', '--all');
  run('git', '-c', 'user.name=t', '-c', 'user.email=t@localhost', 'commit', '--quiet', '--message', 'before');
  follow();
}, 120_000);
afterAll(() => {
  folder[Symbol.dispose]();
  home[Symbol.dispose]();
});

test('what is kept in files was written, and nothing else', () => {
  const changed = run('git', 'status', '--short', '--untracked-files=all').trim().split('\n');
  expect(changed.map((line) => line.trim().split(' ').at(-1)).sort()).toEqual([
    'PROTOCOL.md',
    'client/python/courier_client/events.py',
    'client/src/contract.ts',
    'client/src/react/families.ts',
    `${LUMIERE}cartographe.ts`,
    `${LUMIERE}contract.snapshot.json`,
    `${LUMIERE}families.ts`,
    `${LUMIERE}sentinel.ts`,
    `${LUMIERE}services.ts`,
    'test/vectors/types.json',
  ]);
});

test('the documents and the vectors tell of it', () => {
  const protocol = read('PROTOCOL.md');
  expect(protocol).toContain('| `portfolio.{id}` | A portfolio | `portfolio_id` | `portfolio.onEvent {portfolio_id}` |');
  expect(protocol).toContain('| sentinel | `risk.limit_breached` | `strategy.{id}`, `portfolio.{id}` |');
  expect(protocol).toContain('| `backtest.paused` | `backtest_id` [`reason`] | A backtest was halted, and may go on. |');
  const vectors = JSON.parse(read('test/vectors/types.json'));
  const sent = vectors.vectors[0].connections[0].send.map(({ event }: { event: { type: string } }) => event.type);
  expect(sent).toEqual(expect.arrayContaining(['backtest.paused', 'risk.limit_breached']));
});

test('what a TypeScript program may write has changed', () => {
  writeFileSync(
    at('client/src/check.ts'),
    `import type { CourierClient, EventData } from './index.ts';
import { usePortfolioEvents } from './react.ts';

export async function check(client: CourierClient): Promise<void> {
  await client.publish('backtest.b1', 'backtest.paused', { backtest_id: 'b1', reason: 'no data yet' });
  await client.publish('portfolio.p1', 'risk.limit_breached', { portfolio_id: 'p1', limit: 'drawdown' });
  // @ts-expect-error no such field
  await client.publish('portfolio.p1', 'risk.limit_breached', { portfolio_id: 'p1', limit: 'drawdown', more: 1 });
  // @ts-expect-error a channel that does not carry it
  await client.publish('backtest.b1', 'risk.limit_breached', { portfolio_id: 'p1', limit: 'drawdown' });
  await client.trpc.sentinel.publish.mutate({ type: 'risk.limit_breached', channel: 'global', data: { portfolio_id: 'p1', limit: 'x' } });
  client.trpc.portfolio.onEvent.subscribe({ portfolio_id: 'p1' }, { onData: ({ data }) => void (data.type === 'risk.limit_breached') });
  client.subscribe('portfolio.*', (event) => void (event.data satisfies EventData<'risk.limit_breached'>));
}
export const hook = () => usePortfolioEvents('p1', { types: ['risk.limit_breached'] }).latest?.data.limit;
`,
  );
  run('npx', 'tsc', '-p', 'tsconfig.client.json', '--noEmit');
});

test('whatever is in the tree compiles as it stands', { timeout: 120_000 }, () => {
  run('npm', 'run', '-s', 'build');
  run('npx', 'tsc');
});

test('what a Python program may write has changed', () => {
  const python = `${ROOT}client/python/.venv/bin/python`;
  run(process.execPath, `${ROOT}scripts/python.ts`, '--only', 'environment');
  const script = `
from courier_client import channels, events, models
paused = events.backtest_paused(backtest_id="b1", reason="no data yet")
assert paused.channel == "backtest.b1" and paused.data == models.BacktestPausedData(backtest_id="b1", reason="no data yet")
breached = events.risk_limit_breached(portfolio_id="p1", limit="drawdown")
assert breached.channel == str(channels.portfolio("p1")) == "portfolio.p1"
assert events.EVENTS["risk.limit_breached"] is events.RiskLimitBreachedEvent
`;
  const { status, stderr } = spawnSync(python, ['-c', script], { env: { ...env, PYTHONPATH: at('client/python') }, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

describe('a gateway of the copy', () => {
  const start = () => startProcess({ COURIER_LOG: 'memory:' }, { main: at('src/main.ts') });
  const headers = async (sub: string, role: 'service' | 'admin' | 'user') => ({
    authorization: `Bearer ${await processToken(sub, role)}`,
    'content-type': 'application/json',
  });

  test('takes and gives the new events, for whom they are', async () => {
    await using gateway = await start();
    const publish = async (sub: string, role: 'service' | 'user', draft: object) => {
      const request = { method: 'POST', headers: await headers(sub, role), body: JSON.stringify({ json: draft }) };
      return fetch(`${gateway.url}/trpc/sentinel.publish`, request);
    };
    const breached = { type: 'risk.limit_breached', channel: 'portfolio.p1', data: { portfolio_id: 'p1', limit: 'drawdown' } };
    expect((await publish('sentinel', 'service', breached)).status).toBe(200);
    expect((await publish('prophet', 'service', breached)).status).toBe(403);
    // The name of a service is for the role of services.
    expect((await publish('sentinel', 'user', breached)).status).toBe(401);
    const other = { ...breached, data: { ...breached.data, portfolio_id: 'p2' } };
    expect(await (await publish('sentinel', 'service', other)).json()).toMatchObject({
      error: { json: { data: { issues: [{ path: 'data.portfolio_id', message: 'must be "p1", the id in the channel portfolio.p1' }] } } },
    });
    const page = await (await fetch(`${gateway.url}/events/portfolio.*`, { headers: await headers('root', 'admin') })).json();
    expect(page).toMatchObject({ events: [{ ...breached, metadata: { source: 'sentinel' } }] });
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).toContain('courier_messages_published_total{service="sentinel"} 1');
  });

  test('tells machines and people of them', async () => {
    await using gateway = await start();
    const asyncApi = (await (await fetch(`${gateway.url}/asyncapi.json`)).json()) as AsyncApiDocument;
    expect(asyncApi.operations['publish.sentinel.portfolio']).toMatchObject({ title: 'sentinel publishes to portfolio.{id}' });
    expect(JSON.stringify(asyncApi.components.messages['risk.limit_breached.draft'])).toContain('"limit":"drawdown"');
    const document = await (await fetch(`${gateway.url}/contract.json`)).json();
    expect(document).toEqual(JSON.parse(read(`${LUMIERE}contract.snapshot.json`)));
    expect(run(process.execPath, 'scripts/courier.ts', 'token', '--help')).toContain('sentinel');
  });
});

test('no test of the contract has to be told of it', { timeout: 120_000 }, () => {
  const output = run(
    'npx',
    'vitest',
    'run',
    '--project',
    'lumiere',
    'test/contract',
    'test/vectors/vectors.test.ts',
    'test/scripts/contract/typescript.test.ts',
  );
  expect(output).toMatch(/\d+ passed, 0 failed, 0 skipped/);
});

test('a field is called otherwise, and stored events become the new form', () => {
  const [, , , later = ''] = recipes();
  const forge = read(`${LUMIERE}forge.ts`);
  const changed = forge
    .replace(/ {4}'forge\.job\.started': \{[\s\S]*?\n {4}\},\n/, later)
    .replace('import { defineService }', 'import { defineService, earlierVersion }');
  expect(changed).toContain('earlierVersion(');
  writeFileSync(at(`${LUMIERE}forge.ts`), changed);
  run('npm', 'run', '-s', 'contract:renew', '--', '--breaking', 'It is a sort.');
  run('npm', 'run', '-s', 'contract:check');
});
