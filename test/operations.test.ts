/** The manual's commands: each is run, word by word but for the names of servers, and does what is said there. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { createDatabase } from '../scripts/servers.ts';
import { openPostgresLog } from '../src/log/postgres.ts';
import { openSqliteLog } from '../src/log/sqlite.ts';
import { ENVIRONMENT } from './helpers/environment.ts';
import { newEvent, newEvents } from './helpers/events.ts';
import { temporaryFolder } from './helpers/folder.ts';
import { SECRET } from './helpers/gateway.ts';
import { EVERYTHING } from './helpers/lumiere.ts';
import { processToken, startProcess } from './helpers/process.ts';

const manual = readFileSync(new URL('../OPERATIONS.md', import.meta.url), 'utf8');
const root = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const cli = root('scripts/courier.ts');

/** The commands of the manual, in its order. */
const shown = [...manual.matchAll(/^ *```(sh|sql)\n([\s\S]*?)^ *```$/gm)].map(([, , commands = '']) => commands.trim());
const tried = new Set<string>();

/** What is published for the tree that the manual shows. */
const TRACED = {
  'forge.job.started': { channel: 'forge.job.j1', data: { job_id: 'j1', kind: 'backtests' } },
  'backtest.started': { channel: 'backtest.b1', data: { backtest_id: 'b1' } },
  'backtest.completed': {
    channel: 'backtest.b1',
    data: { backtest_id: 'b1', metrics: { total_return: 0.1, max_drawdown: 0.02, trades: 3 } },
  },
  'order.placed': { channel: 'strategy.s1', data: { order_id: 'o1', symbol: 'SPX', side: 'buy', order_type: 'limit', quantity: '10' } },
  'forge.job.completed': { channel: 'forge.job.j1', data: { job_id: 'j1' } },
};

/** The block of commands that has this in it. */
function block(part: string): string {
  const found = shown.filter((commands) => commands.includes(part));
  expect(found).toHaveLength(1);
  tried.add(found[0] as string);
  return found[0] as string;
}

/** Runs commands in a folder as an operator would who has `courier` installed. Resolves to what they printed. */
async function run(commands: string, folder: string, env: Record<string, string> = {}): Promise<string> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', `courier() { '${process.execPath}' '${cli}' "$@"; }\n${commands}`], {
    cwd: folder,
    env: { ...ENVIRONMENT, HOME: folder, COURIER_JWT_SECRET: SECRET, COURIER_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [[code], out, err] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
  expect([code, err]).toEqual([0, '']);
  return out;
}

/** A log with some events, in `data/courier.db` of a folder. */
async function filled(folder: string, events: number): Promise<string> {
  mkdirSync(`${folder}/data`);
  const path = `${folder}/data/courier.db`;
  await using log = await openSqliteLog({ path });
  await log.append(newEvents(events, 'global'));
  return path;
}

async function countEvents(path: string): Promise<number> {
  await using log = await openSqliteLog({ path });
  return (await log.read({ afterSeq: 0, channels: EVERYTHING, limit: 1000 }, new AbortController().signal)).events.length;
}

async function publishSomething(url: string): Promise<void> {
  const response = await fetch(`${url}/publish/forge.job.j`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await processToken('forge', 'service')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'forge.job.progress', data: { job_id: 'j', progress: 0.5 } }),
  });
  expect(response.status).toBe(201);
}

/** Runs a gateway as the manual starts it, until it has said that it listens. */
async function starts(commands: string, folder: string, env: Record<string, string>): Promise<void> {
  using home = temporaryFolder();
  const child = spawn('bash', ['-euo', 'pipefail', '-c', `courier() { exec '${process.execPath}' '${cli}' "$@"; }\n${commands}`], {
    cwd: folder,
    env: { ...ENVIRONMENT, HOME: home.path, COURIER_JWT_SECRET: SECRET, COURIER_PORT: '0', COURIER_LOG_FORMAT: 'json', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes('listening on')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${out}`)));
  });
  child.removeAllListeners('exit');
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
}

test('a log in SQLite is backed up beside its gateway, and restored', { timeout: 30_000 }, async () => {
  using folder = temporaryFolder();
  const path = await filled(folder.path, 10);
  const [backup = '', ...printed] = block('courier backup').split('\n');
  {
    await using gateway = await startProcess({ COURIER_LOG: `sqlite:${path}` });
    const env = { COURIER_URL: gateway.url, COURIER_TOKEN: await processToken('root', 'admin') };
    const form = (line: string) => line.replace(/[a-z0-9]{12}(?=-\d)/g, 'epoch').replace(/[\d.]+/g, '0');
    expect(form(await run(backup, folder.path, env))).toBe(form(`${printed.join('\n').replace(/^# /, '')}\n`));
    for (let n = 0; n < 3; n += 1) await publishSomething(gateway.url);
    await gateway.end('SIGKILL');
  }
  const [made = ''] = readdirSync(folder.path).filter((name) => /^courier-\d{4}-\d\d-\d\d\.db$/.test(name));
  await starts(block('mode=rw').replaceAll('courier-2026-11-29.db', made), folder.path, {});
  expect(await countEvents(path)).toBe(10);
});

test('a log in PostgreSQL is backed up beside its gateways, and restored', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder();
  const url = new URL(await createDatabase(inject('postgresUrl')));
  {
    await using log = await openPostgresLog({ url: url.href });
    await log.append(newEvents(10, 'global'));
  }
  const name = `${url.pathname.slice(1)}_restored`;
  const commands = block('pg_dump')
    .replaceAll('courier:secret@db/courier_restored', `${url.username}@${url.host}/${name}`)
    .replace('-h db -U courier courier_restored', `-h ${url.hostname} -p ${url.port} -U ${url.username} ${name}`);
  await starts(commands, folder.path, { COURIER_LOG: url.href });
  url.pathname = `/${name}`;
  await using restored = await openPostgresLog({ url: url.href });
  expect(await restored.bounds()).toEqual({ first: 1, head: 10 });
});

const hasSqlite = spawnSync('sqlite3', ['--version']).status === 0;

// Debian's package sqlite3; the command is that of SQLite itself.
if (hasSqlite) {
  test('a file that an earlier version made is written anew, and shrinks from then on', async () => {
    using folder = temporaryFolder();
    const path = await filled(folder.path, 10);
    const ask = (statements: string) => {
      using db = new DatabaseSync(path);
      db.exec(statements);
      return db.prepare('PRAGMA auto_vacuum').get()?.['auto_vacuum'];
    };
    const mode = () => ask('');
    ask('PRAGMA auto_vacuum = NONE; VACUUM');
    expect(mode()).toBe(0);
    expect(await run(block('VACUUM'), folder.path)).toBe('');
    expect(mode()).toBe(2);
    expect(await countEvents(path)).toBe(10);
  });
} else tried.add(block('VACUUM'));

test('an instance of several starts', async () => {
  using folder = temporaryFolder();
  const database = await createDatabase(inject('postgresUrl'));
  const command = block('COURIER_BROKER=redis')
    .replace('postgres://courier:secret@db/courier', database)
    .replace('redis://redis:6379', inject('redisUrl'));
  await starts(command, folder.path, {});
});

test('whoever holds a lock is found', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  await using log = await openPostgresLog({ url });
  const [holder, looker] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })];
  await Promise.all([holder.connect(), looker.connect()]);
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE courier_log');
  const waiting = log.append([newEvent('global')]);
  await expect.poll(async () => (await looker.query(block('pg_blocking_pids'))).rows).toMatchObject([{ query: 'LOCK TABLE courier_log' }]);
  await holder.query('COMMIT');
  await waiting;
  await Promise.all([holder.end(), looker.end()]);
});

test('who uses the contract is shown, and the contract checked', async () => {
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  await publishSomething(gateway.url);
  // What changed in the contract of this tree is told there.
  const commands = block('courier contract users').replace('https://courier.example.com', `${gateway.url} 2> told.txt`);
  expect(await run(commands, folder.path, { COURIER_URL: gateway.url })).toMatch(/^ {2}published +forge\.job\.progress$/m);
});

test('a piece of work is shown as a tree', async () => {
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
  const ids: string[] = [];
  for (const [source, type, cause] of [
    ['forge', 'forge.job.started', undefined],
    ['cartographe', 'backtest.started', 0],
    ['cartographe', 'backtest.completed', 1],
    ['chevalier', 'order.placed', 2],
    ['forge', 'forge.job.completed', 2],
  ] as const) {
    const { channel, data } = TRACED[type];
    const metadata = { correlation_id: 'run-7', ...(cause !== undefined && { causation_id: ids[cause] }) };
    const response = await fetch(`${gateway.url}/publish/${channel}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await processToken(source, 'service')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ type, data, metadata }),
    });
    ids.push(((await response.json()) as { id: string }).id);
  }
  const [command = '', ...printed] = block('courier trace').split('\n');
  const env = { COURIER_URL: gateway.url, COURIER_TOKEN: await processToken('root', 'admin') };
  const form = (text: string) =>
    text
      .replace(/\d\d:\d\d:\d\d\.\d{3}/g, 'time')
      .replace(/[\d.]+ (ms|s|min)\b/g, 'duration')
      .replace(/ {2}slowest$/gm, '');
  expect(form(await run(command, folder.path, env))).toBe(form(`${printed.join('\n').replace(/^# /gm, '')}\n`));
});

test('Prometheus takes the configuration', () => {
  using folder = temporaryFolder();
  const [, config = ''] = /```yaml\n([\s\S]*?)```/.exec(manual) ?? [];
  writeFileSync(folder.file('prometheus.yml'), config);
  symlinkSync(root('scripts/monitoring/alerts.yml'), folder.file('alerts.yml'));
  const { status, stderr } = spawnSync('promtool', ['check', 'config', folder.file('prometheus.yml')], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

test('traces: what is installed exists, and a gateway starts with it', async () => {
  const [install = '', start = ''] = block('opentelemetry').split('\n');
  const { devDependencies } = JSON.parse(readFileSync(root('package.json'), 'utf8')) as { devDependencies: object };
  expect(devDependencies).toMatchObject(
    Object.fromEntries(
      install
        .split(' ')
        .slice(2)
        .map((name) => [name, expect.any(String)]),
    ),
  );
  await starts(`exec env ${start}`, root('.'), { COURIER_LOG: 'memory:' });
});

test('workers: a gateway starts with as many as there are cores for', async () => {
  using folder = temporaryFolder();
  await starts(block('COURIER_WORKERS'), folder.path, {});
});

test('every command of the manual is one of these', () => {
  expect(shown.filter((commands) => !tried.has(commands))).toEqual([]);
});
