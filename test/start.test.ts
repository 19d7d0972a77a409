/** What a gateway does at its start when something that it needs cannot be had, what it exits with, and what it says of itself. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, inject, test, vi } from 'vitest';
import { CONTRACT_HASH } from '../client/src/contract.ts';
import { createDatabase, startPostgres, startRedis, startStandby } from '../scripts/servers.ts';
import { LUMIERE } from '../src/contract-file.ts';
import { onceThere } from '../src/log/postgres/waiting.ts';
import { openPostgresLog } from '../src/log/postgres.ts';
import { runCli } from './helpers/cli.ts';
import { ENVIRONMENT } from './helpers/environment.ts';
import { temporaryFolder } from './helpers/folder.ts';
import { SECRET } from './helpers/gateway.ts';

const LONG = { timeout: 60_000 };
const AWAY = /PostgreSQL is away: waiting for it/;
const serve = (env: Record<string, string>) =>
  runCli(['serve'], { COURIER_PORT: '0', COURIER_JWT_SECRET: SECRET, COURIER_LOG_FORMAT: 'json', ...env });
const migrate = (env: Record<string, string>) => runCli(['migrate'], env);

function listening(line: string): Readonly<Record<string, unknown>> {
  return JSON.parse(line).context;
}

test('a gateway waits for PostgreSQL that is away, says so once, and starts when it is there', LONG, async () => {
  await using postgres = await startPostgres();
  const log = await postgres.createDatabase();
  await postgres.kill();
  await using gateway = serve({ COURIER_LOG: log });
  expect(JSON.parse(await gateway.line(AWAY))).toMatchObject({
    level: 'WARN',
    message: 'PostgreSQL is away: waiting for it, up to 30 s',
    context: { reason: expect.stringMatching(/ECONNREFUSED/) },
  });
  await using tables = migrate({ COURIER_LOG: log });
  await tables.line(AWAY);
  await postgres.restart();
  await gateway.line(/listening on/);
  expect([await tables.exit, tables.stdout]).toEqual([0, [expect.stringMatching(/^version \d+$/)]]);
  expect(gateway.stdout.filter((line) => AWAY.test(line))).toHaveLength(1);
  gateway.kill('SIGTERM');
  expect([await gateway.exit, gateway.stderr]).toEqual([0, []]);
});

test('and for a server that is in recovery, until it takes writes', LONG, async () => {
  await using primary = await startPostgres();
  const url = new URL(await primary.createDatabase());
  await using standby = await startStandby(primary);
  await standby.caughtUp();
  url.port = String(standby.port);
  await using gateway = serve({ COURIER_LOG: url.href });
  expect(JSON.parse(await gateway.line(AWAY)).context.reason).toMatch(/the server is a standby/);
  await standby.promote();
  await gateway.line(/listening on/);
});

test('npm start takes no arguments, and says where its variables are told', () => {
  const { status, stderr } = spawnSync(process.execPath, ['src/main.ts', '--port', '1'], { env: ENVIRONMENT, encoding: 'utf8' });
  expect([status, stderr]).toEqual([
    2,
    'courier: no arguments are taken; `npm run -s courier -- serve --help` has the variables that configure a gateway\n',
  ]);
});

test('no longer than it was told', LONG, async () => {
  const log = 'postgres://courier:secret@127.0.0.1:1/x';
  const reason =
    'the event log 127.0.0.1:1/x cannot be opened: the database cannot be reached (ECONNREFUSED): connect ECONNREFUSED 127.0.0.1:1';
  for (const [seconds, waits] of [
    ['0', ''],
    ['1', ' (waited 1 s)'],
  ] as const) {
    const env = { COURIER_LOG: log, COURIER_START_SECONDS: seconds };
    await using gateway = serve(env);
    expect([await gateway.exit, gateway.stderr]).toEqual([1, [`courier: cannot start: COURIER_LOG: ${reason}${waits}`]]);
    expect(gateway.stdout.length).toBe(Number(seconds));
    await using tables = migrate(env);
    expect([await tables.exit, tables.stderr.at(-1), tables.stderr.length]).toEqual([1, `courier: ${reason}${waits}`, 1 + Number(seconds)]);
  }
});

test('SIGTERM ends the waiting at once, in order: for a name that is not known, and for a server that says nothing', LONG, async () => {
  const sockets = new Set<Socket>();
  await using stack = new AsyncDisposableStack();
  const mute = createServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
  stack.defer(() => {
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
  await once(mute, 'listening');
  const address = mute.address();
  const host = typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '';
  for (const [place, isWaiting] of [
    ['nohost.invalid', (run: ReturnType<typeof serve>) => run.line(AWAY)],
    [host, () => once(mute, 'connection')],
  ] as const) {
    await using gateway = serve({ COURIER_LOG: `postgres://${place}/x`, COURIER_START_SECONDS: '3600' });
    await isWaiting(gateway);
    const from = performance.now();
    gateway.kill('SIGTERM');
    expect([await gateway.exit, gateway.stderr]).toEqual([0, []]);
    // A connection may take 3 s to be made.
    expect(performance.now() - from).toBeLessThan(2500);
    expect(gateway.stdout.at(-1)).toContain('SIGTERM: ended before it listened');
    // What runs after the tables have this version must not run.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      await using tables = migrate({ COURIER_LOG: `postgres://${place}/x`, COURIER_START_SECONDS: '3600' });
      await isWaiting(tables);
      tables.kill(signal);
      expect([await tables.exit, tables.stdout, tables.stderr.at(-1)]).toEqual([
        1,
        [],
        `courier: ${signal}: ended before the tables were brought to this version`,
      ]);
    }
  }
});

/** Before a PostgreSQL server: from the first statement on that `mutes` tells, nothing comes back any more. */
async function startMuting(url: string, mutes: string) {
  const muted = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const { hostname, port } = new URL(url);
  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port) });
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client
      .on('close', () => upstream.destroy())
      .on('data', (bytes) => {
        if (bytes.includes(mutes)) muted.resolve();
        else upstream.write(bytes);
      });
    upstream.on('close', () => client.destroy()).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    muted: muted.promise,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test.each(['SELECT epoch, head, trimmed_through, extract', 'FROM courier_revocation'])(
  'SIGTERM ends a start that waits for the answer to %s',
  LONG,
  async (statement) => {
    using log = await startMuting(await createDatabase(inject('postgresUrl')), statement);
    await using gateway = serve({ COURIER_LOG: log.url });
    await log.muted;
    const from = performance.now();
    gateway.kill('SIGTERM');
    expect([await gateway.exit, gateway.stderr]).toEqual([0, []]);
    // A statement may take longer than that.
    expect(performance.now() - from).toBeLessThan(3000);
    expect(gateway.stdout).toEqual([expect.stringContaining('SIGTERM: ended before it listened')]);
  },
);

test('SIGTERM while the contract is loaded ends the start before anything is opened', async () => {
  using folder = temporaryFolder();
  const contract = folder.file('contract.ts');
  writeFileSync(
    contract,
    `const alive = setInterval(() => undefined, 1000);
     const signalled = new Promise((resolve) => process.once('SIGTERM', resolve));
     console.error('loading');
     await signalled;
     clearInterval(alive);
     export { contract as default } from ${JSON.stringify(LUMIERE.href)};`,
  );
  const log = folder.file('courier.db');
  await using gateway = serve({ COURIER_CONTRACT: contract, COURIER_LOG: `sqlite:${log}` });
  await gateway.line(/^loading$/);
  gateway.kill('SIGTERM');
  expect([await gateway.exit, gateway.stderr]).toEqual([0, ['loading']]);
  expect(gateway.stdout).toEqual([expect.stringContaining('SIGTERM: ended before it listened')]);
  expect(existsSync(log)).toBe(false);
});

test('a log in PostgreSQL is not opened once the signal was aborted', async () => {
  const mute = createServer().listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const connected = vi.fn<() => void>();
  mute.on('connection', connected);
  const url = `postgres://127.0.0.1:${(mute.address() as AddressInfo).port}/x`;
  const signal = AbortSignal.abort('SIGTERM');
  const opening = onceThere(() => openPostgresLog({ url, signal }), { startMs: 30_000, onWait: expect.unreachable, signal });
  await expect(opening).rejects.toBe('SIGTERM');
  expect(connected).not.toHaveBeenCalled();
  mute.close();
});

test.each<[string, Record<string, string>, number]>([
  ['a contract that cannot be had', { COURIER_CONTRACT: '/nowhere/contract.ts' }, 2],
  ['a log that cannot be had', { COURIER_LOG: 'postgres://127.0.0.1:1/x', COURIER_START_SECONDS: '0' }, 1],
])('the error tracker is closed after a start that failed: %s', async (_what, env, code) => {
  const options = `--import=${new URL('./observe/telling-sentry.ts', import.meta.url)}`;
  await using gateway = serve({ COURIER_SENTRY_DSN: 'https://key@sentry.example.org/1', NODE_OPTIONS: options, ...env });
  expect(await gateway.exit).toBe(code);
  expect(gateway.stderr).toEqual(['tracker: closed', expect.stringMatching(/^courier: /)]);
});

test('what waiting does not mend ends it at once: a wrong password, no such database, no rights', LONG, async () => {
  await using postgres = await startPostgres();
  const right = new URL(await postgres.createDatabase());
  const [{ hba_file: hba } = {}] = await postgres.execute('SHOW hba_file');
  await postgres.execute("CREATE ROLE ada LOGIN PASSWORD 'secret'");
  await postgres.execute(
    `COPY (VALUES ('local all all trust'), ('host all ada 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')) TO '${String(hba)}'`,
  );
  await postgres.execute('SELECT pg_reload_conf()');
  const place = right.href.replace(/^postgres:\/\/postgres@/, '');
  for (const [log, reason] of [
    [`postgres://ada:wrong@${place}`, /password authentication failed/],
    [right.href.replace(right.pathname, '/nowhere'), /database "nowhere" does not exist/],
    [`postgres://ada:secret@${place}`, /permission denied for schema public/],
  ] as const) {
    for (const run of [serve, migrate]) {
      await using started = run({ COURIER_LOG: log });
      expect([await started.exit, started.stdout, started.stderr]).toEqual([1, [], [expect.stringMatching(reason)]]);
      expect(started.stderr[0]).not.toMatch(/wrong|secret/);
    }
  }
});

test('without Redis it starts, says what is wrong, and takes Redis up when it comes', LONG, async () => {
  await using redis = await startRedis(['--requirepass', 'secret']);
  await redis.kill();
  const log = await createDatabase(inject('postgresUrl'));
  await using gateway = serve({ COURIER_LOG: log, COURIER_BROKER: redis.url.replace('//', '//:secret@') });
  const { context } = JSON.parse(await gateway.line(/Redis cannot be used/));
  expect(context).toEqual({ reason: expect.stringMatching(/^Redis is away \(ECONNREFUSED\): /) });
  const { url, broker } = listening(await gateway.line(/listening on/));
  expect(broker).toBe(redis.url);
  expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'degraded', components: { broker: { status: 'degraded' } } });
  await redis.restart();
  await gateway.line(/Redis is back/);
  expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'healthy' });
});

test('a Redis that is too old is named so', LONG, async () => {
  await using redis = await startRedis(['--rename-command', 'HELLO', '']);
  await using gateway = serve({ COURIER_LOG: await createDatabase(inject('postgresUrl')), COURIER_BROKER: redis.url });
  expect(JSON.parse(await gateway.line(/Redis cannot be used/)).context.reason).toMatch(/it must be Redis 6\.2 or later/);
  await gateway.line(/listening on/);
});

test.each([
  ['json', /^\{/],
  ['pretty', /^\[/],
])('the line that says where it listens has log, broker, contract and base path, as %s', async (format, form) => {
  using folder = temporaryFolder();
  const log = `sqlite:${folder.file('a.db')}`;
  await using gateway = serve({ COURIER_LOG: log, COURIER_LOG_FORMAT: format, COURIER_BASE_PATH: '/tools' });
  const line = await gateway.line(/listening on http:\/\/127\.0\.0\.1:\d+\/tools/);
  expect(line).toMatch(form);
  for (const part of [`"log":"${log}"`, '"broker":"local"', '"base_path":"/tools"', `"contract":"lumiere ${CONTRACT_HASH}"`])
    expect(line).toContain(part);
});

test('and addresses in it have no passwords', async () => {
  const log = new URL(await createDatabase(inject('postgresUrl')));
  log.password = 'of-nobody';
  log.search = '?application_name=of-nobody';
  const redis = inject('redisUrl');
  await using gateway = serve({ COURIER_LOG: log.href, COURIER_BROKER: redis });
  const line = await gateway.line(/listening on/);
  expect(listening(line)).toMatchObject({ log: `postgres://${log.host}${log.pathname}`, broker: redis });
  expect(gateway.stdout.join()).not.toContain('of-nobody');
});
