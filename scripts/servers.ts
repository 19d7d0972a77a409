/**
 * PostgreSQL, PgBouncer, Redis and nginx servers of one's own, for tests, the demo and the benchmark: on free ports of the loopback
 * interface, with data in a temporary folder, gone when disposed of. As root on Debian or Ubuntu a missing server is
 * installed from the distribution's packages.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, chownSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { makeTemporaryFolder } from './temporary.ts';

/** How long a server may take to start, in ms. */
const START_MS = 30_000;
const POLL_MS = 20;
/** How often another port is tried, where somebody else was faster. */
const MAX_PORTS = 5;

export interface Server extends AsyncDisposable {
  readonly port: number;
  /** Ends the server as a crash would. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port with the same data; resolves when it answers. */
  restart(): Promise<void>;
  /** Stops and continues its process. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

export interface PostgresServer extends Server {
  /** The address of a new, empty database. */
  createDatabase(): Promise<string>;
  /** Runs a statement as the owner of the server, in the database `postgres`; resolves to its rows. */
  execute(statement: string): Promise<Readonly<Record<string, unknown>>[]>;
}

export interface StandbyServer extends PostgresServer {
  /** Resolves when it has all that there is on the server that it follows. */
  caughtUp(): Promise<void>;
  /** Makes it take writes; resolves when it does. */
  promote(): Promise<void>;
}

export interface RedisServer extends Server {
  readonly url: string;
}

/** Starts PostgreSQL. @throws when there is none to be had; the message says what is missing. */
export async function startPostgres(): Promise<PostgresServer> {
  return startCluster((data) => ['initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-instructions']);
}

/**
 * Starts a standby that follows `primary`, at another port where it is to be reached there. It is `standby` in
 * `synchronous_standby_names`.
 */
export async function startStandby(primary: PostgresServer, { port = primary.port }: { port?: number } = {}): Promise<StandbyServer> {
  const source = `host=127.0.0.1 port=${port} user=postgres application_name=standby`;
  const server = await startCluster((data) => ['pg_basebackup', '-D', data, '-d', source, '-R', '-c', 'fast', '-X', 'stream']);
  return {
    ...server,
    caughtUp: async () => {
      const [there] = await primary.execute('SELECT pg_current_wal_lsn() AS lsn');
      const isHere = `SELECT pg_last_wal_replay_lsn() >= '${String(there?.['lsn'])}' AS reached`;
      for (const startedAt = performance.now(); (await server.execute(isHere))[0]?.['reached'] !== true; await wait(POLL_MS)) {
        if (performance.now() - startedAt > START_MS) throw new Error('the standby does not catch up');
      }
    },
    promote: async () => void (await server.execute('SELECT pg_promote()')),
  };
}

/** @param make the program that makes the folder of its data, and its arguments. */
async function startCluster(make: (data: string) => [program: string, ...args: string[]]): Promise<PostgresServer> {
  const bin = findPostgres() ?? (await installed('postgresql', findPostgres));
  if (bin === undefined) throw new Error('PostgreSQL is missing: install it, or set COURIER_TEST_POSTGRES_URL');
  const folder = makeTemporaryFolder('postgres');
  // PostgreSQL refuses to run as root.
  const as = process.getuid?.() === 0 ? ownerOf('postgres') : undefined;
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const [program, ...args] = make(data);
  // Not at once: what it reads may come through a proxy of this process.
  await promisify(execFile)(join(bin, program), args, {
    ...as,
    cwd: folder,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  const server = await startServer(folder, (port) => {
    const options = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 200 };
    const settings = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    return spawn(join(bin, 'postgres'), ['-D', data, ...settings], { ...as, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  });
  const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`;
  return {
    ...server,
    createDatabase: () => createDatabase(url),
    execute: async (statement) => {
      const client = await connected(url);
      return (await client.query(statement).finally(() => client.end())).rows;
    },
  };
}

const POOLS = { default_pool_size: 50, max_client_conn: 200, server_idle_timeout: 1 };

/** Starts PgBouncer before the PostgreSQL server at `port`. @throws when there is none to be had. */
export async function startPgBouncer(
  port: number,
  poolMode: 'session' | 'transaction' | 'statement',
  more: Readonly<Record<string, number>> = {},
): Promise<Server> {
  const program = await programFrom('pgbouncer');
  const folder = makeTemporaryFolder('pgbouncer');
  // It refuses to run as root too.
  const as = process.getuid?.() === 0 ? ownerOf('postgres') : undefined;
  if (as !== undefined) chownSync(folder, as.uid, as.gid);
  const config = join(folder, 'pgbouncer.ini');
  return startServer(folder, (own) => {
    const settings = {
      listen_addr: '127.0.0.1',
      listen_port: own,
      auth_type: 'any',
      unix_socket_dir: '',
      pool_mode: poolMode,
      ...POOLS,
      ...more,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    const databases = `[databases]\n* = host=127.0.0.1 port=${port} user=postgres`;
    writeFileSync(config, [databases, '[pgbouncer]', ...lines, ''].join('\n'));
    return spawn(program, ['-q', config], { ...as, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  });
}

/** The path of one of PostgreSQL's programs, such as `pg_dump`. @throws when they are not there. */
export function postgresProgram(name: string): string {
  const bin = findPostgres();
  if (bin === undefined) throw new Error('the programs of PostgreSQL are missing: install it');
  return join(bin, name);
}

/** Makes an empty database on the server of `url`, and gives its address. */
export async function createDatabase(url: string): Promise<string> {
  const name = `courier_${randomUUID().replaceAll('-', '')}`;
  const client = await connected(url);
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const own = new URL(url);
  own.pathname = `/${name}`;
  return own.href;
}

/** A server that listens may still be starting. */
async function connected(url: string): Promise<pg.Client> {
  for (const startedAt = performance.now(); ; await wait(POLL_MS)) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (performance.now() - startedAt > START_MS) throw error;
    }
  }
}

/** Starts Redis. @throws when there is none to be had. */
export function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  return launchRedis(({ port, folder }) => ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...args]);
}

/** Starts a Redis that follows the one at `port`. */
export function startReplica(port: number): Promise<RedisServer> {
  return startRedis(['--replicaof', '127.0.0.1', String(port)]);
}

/**
 * Starts a Sentinel that decides alone. It calls the Redis at `port` `mymaster`, and makes a replica the master when that
 * was silent for a second.
 *
 * @param more lines of its configuration.
 */
export function startSentinel(port: number, more: readonly string[] = []): Promise<RedisServer> {
  return launchRedis(({ port: own, folder }) => {
    const config = join(folder, 'sentinel.conf');
    const place = [`port ${own}`, 'bind 127.0.0.1', `dir ${folder}`];
    const monitored = [`monitor mymaster 127.0.0.1 ${port} 1`, 'down-after-milliseconds mymaster 1000', 'failover-timeout mymaster 3000'];
    writeFileSync(config, [...place, ...monitored.map((line) => `sentinel ${line}`), ...more, ''].join('\n'));
    return [config, '--sentinel'];
  });
}

async function launchRedis(argsIn: (place: { readonly port: number; readonly folder: string }) => readonly string[]): Promise<RedisServer> {
  const find = () => which('redis-server') ?? which('valkey-server');
  const program = find() ?? (await installed('redis-server', find));
  if (program === undefined) throw new Error('Redis is missing: install redis-server, or set COURIER_TEST_REDIS_URL');
  const folder = makeTemporaryFolder('redis');
  const server = await startServer(folder, (port) => spawn(program, argsIn({ port, folder }), { stdio: ['ignore', 'ignore', 'pipe'] }));
  return { ...server, url: `redis://127.0.0.1:${server.port}` };
}

export interface NginxServer extends Server {
  /** Where it has its logs, if the site says so. */
  readonly folder: string;
}

/** Starts nginx with one file of its configuration, as distributions include it from `conf.d`. @throws when there is none to be had. */
export async function startNginx(site: (place: { readonly port: number; readonly folder: string }) => string): Promise<NginxServer> {
  const program = await programFrom('nginx-light', 'nginx');
  const folder = makeTemporaryFolder('nginx');
  const config = join(folder, 'nginx.conf');
  const server = await startServer(folder, (port) => {
    writeFileSync(join(folder, 'site.conf'), site({ port, folder }));
    writeFileSync(config, nginxConfig(folder));
    return spawn(program, ['-p', folder, '-c', config, '-e', join(folder, 'start.log')], { stdio: ['ignore', 'ignore', 'pipe'] });
  });
  return { ...server, folder };
}

/** What distributions have around a site; nothing of it outside of the folder. */
function nginxConfig(folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${folder}/${of};`);
  return [
    // Its workers would else be nobody, who may not enter the folder.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    `daemon off; pid ${folder}/pid; worker_shutdown_timeout 1s;`,
    'events { worker_connections 256; }',
    `http { ${temporary.join(' ')} access_log off; include site.conf; }`,
  ].join('\n');
}

async function startServer(folder: string, start: (port: number) => ChildProcess): Promise<Server> {
  let running: ChildProcess | undefined;
  const launch = async (port: number) => {
    running = start(port);
    await answering(running, port);
  };
  let port = 0;
  for (let tries = 1; ; tries += 1) {
    port = await freePort();
    try {
      await launch(port);
      break;
    } catch (error) {
      if (tries === MAX_PORTS) throw error;
    }
  }
  const end = async (signal: NodeJS.Signals) => {
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, 'exit');
    running.kill('SIGCONT');
    running.kill(signal);
    await exited;
  };
  const restart = async () => {
    // What is left of a PostgreSQL that was killed keeps its data for a moment.
    for (const startedAt = performance.now(); ; await wait(POLL_MS)) {
      try {
        return await launch(port);
      } catch (error) {
        if (performance.now() - startedAt > START_MS) throw error;
      }
    }
  };
  return {
    port,
    kill: () => end('SIGKILL'),
    restart,
    signal: (signal) => running?.kill(signal),
    [Symbol.asyncDispose]: async () => {
      // For PostgreSQL: at once, its children too.
      await end('SIGQUIT');
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

/** Resolves when something listens; rejects when the process ends before. */
async function answering(child: ChildProcess, port: number): Promise<void> {
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr = (stderr + String(chunk)).slice(-2000);
  });
  for (const startedAt = performance.now(); performance.now() - startedAt < START_MS; await wait(POLL_MS)) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`a server ended at its start: ${stderr.trim()}`);
    if (await isListening(port)) return;
  }
  child.kill('SIGKILL');
  throw new Error(`a server does not answer: ${stderr.trim()}`);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (listening: boolean) => () => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', done(true)).once('error', done(false));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function which(name: string, folders: readonly string[] = (process.env['PATH'] ?? '').split(delimiter)): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The folder of PostgreSQL's programs; Debian has them beside the path, by version. */
function findPostgres(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => which(name, [folder]) !== undefined));
}

function ownerOf(user: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** The path of a program of a package, which is installed where that can be done. @throws when the program is not there. */
export async function programFrom(packageName: string, name = packageName): Promise<string> {
  const find = () => which(name, [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']);
  const program = find() ?? (await installed(packageName, find));
  if (program === undefined) throw new Error(`${name} is missing: install it (Debian: apt-get install ${packageName})`);
  return program;
}

/** Installs a package where that can be done, and looks again. */
async function installed<T>(name: string, find: () => T | undefined): Promise<T | undefined> {
  if (process.getuid?.() !== 0 || which('apt-get') === undefined) return undefined;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'ignore' });
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name], { env, stdio: 'ignore' });
  return find();
}
