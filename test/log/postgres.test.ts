/** The PostgreSQL log: the guarantees of every log, and what is its own: several instances, and a database that changes. */
import pg from 'pg';
import { afterAll, describe, expect, inject, test, vi } from 'vitest';
import { createDatabase, startPgBouncer, startPostgres } from '../../scripts/servers.ts';
import { EVERYTHING } from '../../src/contract/channels.ts';
import { type Position, parsePosition } from '../../src/contract/position.ts';
import type { LogStart, StoredEvent } from '../../src/log/log.ts';
import { lockKeys } from '../../src/log/postgres/schema.ts';
import { readsFrom } from '../../src/log/postgres/statements.ts';
import { migratePostgres, openPostgresLog, type SharedLog } from '../../src/log/postgres.ts';
import { describeEventLog } from '../contracts/event-log.ts';
import { newEvent, newEvents } from '../helpers/events.ts';

const never = new AbortController().signal;
const newDatabase = () => createDatabase(inject('postgresUrl'));

describeEventLog('PostgreSQL log', {
  durable: true,
  runs: 15,
  factory: async () => {
    const url = await newDatabase();
    return { open: (options) => openPostgresLog({ url, ...options }), [Symbol.asyncDispose]: async () => undefined };
  },
});

// A pooler that gives each connection a session of its own changes nothing.
describe('behind PgBouncer in session mode', () => {
  const bouncer = startPgBouncer(Number(new URL(inject('postgresUrl')).port), 'session');
  afterAll(async () => (await bouncer)[Symbol.asyncDispose]());
  describeEventLog('PostgreSQL log', {
    durable: true,
    runs: 3,
    factory: async () => {
      const url = new URL(await newDatabase());
      url.port = String((await bouncer).port);
      return { open: (options) => openPostgresLog({ url: url.href, ...options }), [Symbol.asyncDispose]: async () => undefined };
    },
  });
});

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** Runs statements as the owner of the database would. */
async function execute(url: string, ...statements: readonly string[]): Promise<pg.QueryResult> {
  const client = await connected(url);
  try {
    let result: pg.QueryResult | undefined;
    for (const statement of statements) result = await client.query(statement);
    return result as pg.QueryResult;
  } finally {
    await client.end();
  }
}

describe('several instances', () => {
  test('numbers are dense over all of them, and whoever follows the head misses none', async () => {
    const url = await newDatabase();
    await using one = await openPostgresLog({ url });
    await using two = await openPostgresLog({ url });
    const heard: StoredEvent[][] = [[], []];
    for (const [index, log] of [one, two].entries()) log.onCommit((events) => heard[index]?.push(...events));
    const followed: number[] = [];
    let writing = true;
    const follow = (async () => {
      for (let afterSeq = 0; writing || followed.length < 600; afterSeq = followed.at(-1) ?? 0) {
        const { events } = await two.read({ afterSeq, channels: EVERYTHING, limit: 50 }, never);
        followed.push(...events.map(({ seq }) => seq));
      }
    })();
    const append = async (log: typeof one, count: number) => {
      for (let n = 0; n < count; n += 1) await log.append([newEvent('global'), newEvent('user.u1')]);
    };
    await Promise.all([one, two, one, two, one, two].map((log) => append(log, 50)));
    writing = false;
    await follow;
    expect(followed).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
    const seqs = heard.map((events) => events.map(({ seq }) => seq));
    expect(seqs.map((list) => list.length)).toEqual([300, 300]);
    expect(seqs.flat().sort((a, b) => a - b)).toEqual(followed);
  });

  test('start together on an empty database', async () => {
    const url = await newDatabase();
    const logs = await Promise.all([1, 2, 3, 4].map(() => openPostgresLog({ url })));
    const epochs = new Set(logs.map(({ positions }) => positions.epoch));
    for (const log of logs) await log[Symbol.asyncDispose]();
    expect(epochs.size).toBe(1);
  });

  test('the epoch lasts while one of them has the log open, and then ends', async () => {
    const url = await newDatabase();
    const first = await openPostgresLog({ url });
    await using second = await openPostgresLog({ url });
    await first[Symbol.asyncDispose]();
    const third = await openPostgresLog({ url });
    expect(third.positions.epoch).toBe(second.positions.epoch);
    await third[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await using later = await openPostgresLog({ url });
    expect(later.positions.epoch).not.toBe(second.positions.epoch);
  });
});

describe('a database that is not the one that it was', () => {
  /** Opens a log with ten events, changes the database under it, and tells what becomes of it. */
  async function changed(...statements: readonly string[]) {
    const url = await newDatabase();
    const broken: unknown[] = [];
    await using log = await openPostgresLog({ url, onBroken: (error) => broken.push(error) });
    await log.append(newEvents(10, 'global'));
    const position = log.positions.at(9);
    // Its connections are gone, as with a server that was.
    await execute(
      url,
      ...statements,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await expect
      .poll(async () => {
        await log.bounds().catch(() => undefined);
        return broken.length;
      })
      .toBe(1);
    expect(broken[0]).toMatchObject({ message: expect.stringContaining('this instance must start again') });
    await expect(log.append([newEvent('global')])).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await expect(log.read({ afterSeq: 0, channels: EVERYTHING, limit: 1 }, never)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await using next = await openPostgresLog({ url });
    return { next, position, before: log.positions.epoch };
  }

  test('restored to an earlier state: the instance breaks, and lost positions are of another epoch', async () => {
    const { next, position, before } = await changed('UPDATE courier_log SET head = 5', 'DELETE FROM courier_event WHERE seq > 5');
    expect(next.positions.epoch).not.toBe(before);
    const [, seq] = position.split('-');
    expect(next.positions.resume({ epoch: before, seq: Number(seq) }, 20)).toEqual({ gap: 'epoch', afterSeq: 5 });
    expect(next.positions.resume({ epoch: before, seq: 5 }, 20)).toEqual({ gap: undefined, afterSeq: 5 });
  });

  test('another server took its place: the instance breaks, and what both have keeps its positions', async () => {
    const { next, before } = await changed("UPDATE courier_log SET server = 'another/00000001'");
    expect(next.positions.epoch).not.toBe(before);
    expect(next.positions.resume({ epoch: before, seq: 10 }, 20)).toEqual({ gap: undefined, afterSeq: 10 });
  });

  test('connections that break are replaced, and nothing else happens', async () => {
    const url = await newDatabase();
    const broken: unknown[] = [];
    await using log = await openPostgresLog({ url, onBroken: (error) => broken.push(error) });
    await log.append([newEvent('global')]);
    await execute(
      url,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await expect
      .poll(() =>
        log.append([newEvent('global')]).then(
          (appended) => appended[0]?.event.seq,
          () => undefined,
        ),
      )
      .toBeDefined();
    expect(broken).toEqual([]);
    // The lock of those who have it open is held again.
    await expect
      .poll(
        async () =>
          (
            await execute(
              url,
              "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
          ).rows[0]?.n,
      )
      .toBe(1);
  });
});

describe('refused at the start, in one line', () => {
  test.each([
    [
      'a schema of a newer version',
      ['UPDATE courier_schema SET version = 99'],
      /its schema has version 99, and this Courier knows versions up to \d+: use a newer Courier$/,
    ],
    [
      'a log whose newest events are missing',
      ["INSERT INTO courier_log (epoch, server, head) VALUES ('restored', 'here', 5000)"],
      /its newest events are missing: the last one is 0, and should be 5000\. Restore all of it; where they are lost for good, say so with UPDATE courier_log SET head = 0, and who had them is told$/,
    ],
    [
      'a log that counts fewer events than it has',
      [
        "INSERT INTO courier_log (epoch, server, head) VALUES ('restored', 'here', 5)",
        'CREATE TABLE courier_event_20260101 PARTITION OF courier_event FOR VALUES FROM (20454) TO (20455)',
        "INSERT INTO courier_event SELECT n, 20454, 'global', 0, 'a', '{}' FROM generate_series(1, 10) n",
      ],
      /it counts 5 events, and the last one is 10: restore all of it, or let it count on with UPDATE courier_log SET head = 10$/,
    ],
    [
      'a database that is only read',
      ["DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$"],
      /the database is read-only: default_transaction_read_only must be off$/,
    ],
    [
      'a database that may lose what it acknowledged',
      ["DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$"],
      /synchronous_commit is off, and must be on: acknowledged events could be lost$/,
    ],
  ])('%s', async (_name, statements, message) => {
    const url = await newDatabase();
    expect(await migratePostgres(url)).toBeGreaterThan(0);
    await execute(url, ...statements);
    await expect(openPostgresLog({ url })).rejects.toThrow(message);
  });

  test('a database that is not in UTF-8', async () => {
    const url = new URL(await newDatabase());
    const name = `${url.pathname.slice(1)}_ascii`;
    await execute(url.href, `CREATE DATABASE ${name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
    url.pathname = `/${name}`;
    await expect(openPostgresLog({ url: url.href })).rejects.toThrow(
      /the database is in SQL_ASCII, and must be in UTF8: create it with ENCODING 'UTF8' TEMPLATE template0$/,
    );
  });

  test.each([
    ['transaction', /connections go through a pooler that shares sessions between them/, { server_round_robin: 1, default_pool_size: 2 }],
    ['transaction', /connections go through a pooler that shares sessions between them/, { default_pool_size: 1 }],
    ['transaction', /connections go through a pooler that shares sessions between them: set pool_mode = session for this database/, {}],
    ['statement', /transaction blocks not allowed in statement pooling mode$/, {}],
  ] as const)('a pooler in %s mode', async (mode, message, more) => {
    const url = new URL(await newDatabase());
    await using bouncer = await startPgBouncer(Number(url.port), mode, more);
    url.port = String(bouncer.port);
    // However busy it is: it has sessions to give out.
    const others = await Promise.all([1, 2, 3].map(() => connected(url.href)));
    await Promise.all(others.map((client) => client.query('SELECT pg_sleep(0.05)')));
    try {
      await expect(openPostgresLog({ url: url.href })).rejects.toThrow(message);
    } finally {
      await Promise.all(others.map((client) => client.end()));
    }
  });

  test('several servers of which none takes writes, each with its reason', async () => {
    const url = new URL(await newDatabase());
    await migratePostgres(url.href);
    await execute(
      url.href,
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    );
    const several = url.href.replace(url.host, `127.0.0.1:1,${url.host}`);
    await expect(openPostgresLog({ url: `${several}?target_session_attrs=read-write` })).rejects.toThrow(
      /^the event log 127\.0\.0\.1:1,127\.0\.0\.1:\d+\/courier_\w+ cannot be opened: none of the servers of the database can be written to: 127\.0\.0\.1:1: the database cannot be reached \(ECONNREFUSED\).*; 127\.0\.0\.1:\d+: the database is read-only/,
    );
  });

  test('a role that may not make tables', async () => {
    const url = await newDatabase();
    const role = `courier_test_${Date.now()}`;
    await execute(url, `CREATE ROLE ${role} LOGIN`, 'REVOKE CREATE ON SCHEMA public FROM PUBLIC');
    const limited = new URL(url);
    limited.username = role;
    await expect(openPostgresLog({ url: limited.href })).rejects.toThrow(
      /^the event log 127\.0\.0\.1:\d+\/courier_\w+ cannot be opened: the database refused \(SQLSTATE 42501\): permission denied for schema public$/,
    );
  });

  test('and no line has the password', async () => {
    await expect(openPostgresLog({ url: 'postgres://courier:secret@127.0.0.1:1/x' })).rejects.toThrow(
      /^(?!.*secret).*127\.0\.0\.1:1\/x cannot be opened/,
    );
  });
});

test('days have tables of their own, made before they begin, and retention drops them whole', async () => {
  const url = await newDatabase();
  const day = 24 * 60 * 60 * 1000;
  let now = Date.UTC(2026, 0, 30);
  await using log = await openPostgresLog({ url, now: () => now });
  const tables = async () =>
    (
      await execute(url, "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'courier_event'::regclass ORDER BY 1")
    ).rows.map(({ name }) => name.replace('courier_event_', ''));
  expect(await tables()).toEqual(['20260130', '20260131', '20260201']);
  await log.append([newEvent('global')]);
  now += 5 * day;
  await log.append([newEvent('global')]);
  expect(await tables()).toEqual(['20260130', '20260131', '20260201', '20260204', '20260205', '20260206']);
  while (await log.trim(now - Date.UTC(2026, 1, 4), 100));
  expect(await tables()).toEqual(['20260204', '20260205', '20260206']);
  expect(await log.bounds()).toEqual({ first: 2, head: 2 });
});

test('a day that another session holds, as pg_dump does, is left for later: appends do not wait for it, nor again and again', async () => {
  const url = await newDatabase();
  let now = Date.UTC(2026, 0, 30);
  await using log = await openPostgresLog({ url, now: () => now });
  await log.append([newEvent('global')]);
  now += 5 * 86_400_000;
  const dump = new pg.Client({ connectionString: url });
  await dump.connect();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => dump.end());
  await dump.query('BEGIN');
  await dump.query('SELECT count(*) FROM courier_event');
  const asked = vi.spyOn(pg.Client.prototype, 'query');
  const trim = () => log.trim(2 * 86_400_000, 100);
  for (let time = 0; time < 20; time += 1) {
    expect(await trim()).toBe(false);
    await log.append([newEvent('global')]);
  }
  expect(asked.mock.calls.filter(([statement]) => String(statement).startsWith('DROP TABLE'))).toHaveLength(1);
  asked.mockRestore();
  expect(log.concerns).toEqual([]);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 7 * 3_600_000 });
  const held = [
    { about: 'retention', action: expect.stringMatching(/^events past retention cannot be removed since 7 h, as another session/) },
  ];
  expect(log.concerns).toEqual(held);
  const lock = new pg.Client({ connectionString: url });
  await lock.connect();
  stack.defer(() => lock.end());
  await lock.query(`SELECT pg_advisory_lock(${lockKeys('dropPartitions')})`);
  const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
  expect(await trim()).toBe(false);
  later.mockRestore();
  expect(log.concerns).toEqual(held);
  await lock.query(`SELECT pg_advisory_unlock(${lockKeys('dropPartitions')})`);
  vi.useRealTimers();
  expect(await log.bounds()).toMatchObject({ first: 1 });

  await dump.query('COMMIT');
  const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 120_000);
  expect(await trim()).toBe(true);
  clock.mockRestore();
  expect(await log.bounds()).toMatchObject({ first: 2 });
});

test('a machine whose clock is wrong removes nothing and forgets no key, and it is known by how much', async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  await log.append([newEvent('global', { key: 'k' })]);
  const rightNow = Date.now();
  for (const [days, differs] of [
    [9, /^the clock of this machine is 7776\d\d s ahead of the database's, which decides on retention: set it/],
    [-9, /^the clock of this machine is 777\d\d\d s behind the database's/],
  ] as const) {
    vi.useFakeTimers({ toFake: ['Date'], now: rightNow + days * 86_400_000 });
    while (await log.trim(7 * 86_400_000, 100));
    expect(await log.bounds()).toEqual({ first: 1, head: 1 });
    expect(log.concerns).toEqual([{ about: 'clock', action: expect.stringMatching(differs) }]);
    expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ duplicate: true, event: { seq: 1 } }]);
    vi.useRealTimers();
  }
  await log.bounds();
  expect(log.concerns).toEqual([]);
});

test('the day that is written to stays, however little is to be kept', async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  await log.append([newEvent('global')]);
  while (await log.trim(-30 * 86_400_000, 100));
  expect(await log.bounds()).toEqual({ first: 1, head: 1 });
  expect(await log.append([newEvent('global')])).toMatchObject([{ event: { seq: 2 } }]);
});

test.each<[LogStart, RegExp]>([
  [{ afterSeq: 0 }, /Index Scan using \w+_(family|channel)_seq_idx on/],
  [{ beforeSeq: 5021 }, /Index Scan Backward using \w+_(family|channel)_seq_idx on/],
])('a read of families and channels walks ranges of their indexes, whatever is common in the log: %o', async (start, walk) => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  const many = (channel: string, count: number) => log.append(newEvents(count, channel));
  await many('user.u1', 20);
  await many('backtest.b1', 5000);
  for (const mode of ['force_custom_plan', 'force_generic_plan']) {
    const { rows } = await execute(
      url,
      'ANALYZE courier_event',
      `SET plan_cache_mode = ${mode}`,
      `PREPARE read AS ${readsFrom(start).some.text}`,
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE read(${start.beforeSeq ?? start.afterSeq}, 100, NULL, '{0,1}', '{user.u1,forge.job.j1}')`,
    );
    const plan = rows.map((row) => String(row['QUERY PLAN']));
    const scans = plan.filter((step) => / on courier_event_\d/.test(step));
    expect(scans.length).toBeGreaterThan(0);
    for (const scan of scans) expect(scan).toMatch(walk);
    expect(plan.filter((step) => step.includes('Rows Removed by Filter'))).toEqual([]);
  }
});

describe('a server that changes while it runs', () => {
  const append = (log: SharedLog) =>
    log.append([newEvent('global')]).then(
      () => 'stored',
      (error: Error) => error.message,
    );

  test.each([
    ['synchronous_commit', 'off', /synchronous_commit is off, and must be on: acknowledged events could be lost/],
    ['full_page_writes', 'off', /full_page_writes is off, and must be on: acknowledged events could be lost/],
  ])('to one that may lose what it acknowledged (%s): publishes are refused until it is right again', async (name, value, message) => {
    await using server = await startPostgres();
    const failures: string[] = [];
    const log = await openPostgresLog({
      url: await server.createDatabase(),
      serverCheckMs: 20,
      onError: (error, operation) => failures.push(`${operation}: ${error.message}`),
    });
    await using _log = log;
    expect(await append(log)).toBe('stored');
    await server.execute(`ALTER SYSTEM SET ${name} = ${value}`);
    await server.execute('SELECT pg_reload_conf()');
    await expect.poll(() => log.problem).toMatch(message);
    expect(await append(log)).toMatch(message);
    expect(failures.filter((failure) => failure.startsWith('server: '))).toHaveLength(1);
    await server.execute(`ALTER SYSTEM RESET ${name}`);
    await server.execute('SELECT pg_reload_conf()');
    await expect.poll(() => append(log)).toBe('stored');
    expect(log.problem).toBeUndefined();
  });

  test('to one that waits for other standbys: whoever runs it is told', async () => {
    await using server = await startPostgres();
    await using log = await openPostgresLog({ url: await server.createDatabase(), serverCheckMs: 20 });
    expect(log.concerns).toEqual([]);
    await server.execute("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'");
    await server.execute('SELECT pg_reload_conf()');
    await expect
      .poll(() => log.concerns)
      .toEqual([
        {
          about: 'standbys',
          action: 'synchronous_standby_names is "elsewhere", and was "" when this instance began: if that is meant, start it again',
        },
      ]);
    await server.execute('ALTER SYSTEM RESET synchronous_standby_names');
    await server.execute('SELECT pg_reload_conf()');
    await expect.poll(() => log.concerns).toEqual([]);
  });
});

test('a publish that waits for a lock says so, and what is stored is not stored again', { timeout: 20_000 }, async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  await log.append([newEvent('global')]);
  const other = await connected(url);
  await other.query('BEGIN');
  await other.query('SELECT 1 FROM courier_log FOR UPDATE');
  const refused = await log.append([newEvent('global', { key: 'k' })]).catch((error: Error) => error);
  expect(refused).toMatchObject({
    code: 'SERVICE_UNAVAILABLE',
    message: expect.stringContaining('it waited for a lock that another session has on the database for 3000 ms'),
  });
  expect(log.problem).toContain('it waited for a lock');
  await other.end();
  expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ event: { seq: 2 }, duplicate: false }]);
  expect(log.problem).toBeUndefined();
});

test('events that are gone from the end while it runs are an error, never an endless search', async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  await log.append(newEvents(10, 'global'));
  await execute(url, 'DELETE FROM courier_event WHERE seq > 7');
  for (const start of [{ afterSeq: 0 }, { afterSeq: 7 }, { beforeSeq: 11 }]) {
    await expect(log.read({ ...start, channels: EVERYTHING, limit: 100 }, never)).rejects.toThrow(
      /it is damaged, an event from \d+ to \d+ is missing/,
    );
  }
  expect((await log.read({ afterSeq: 0, channels: EVERYTHING, limit: 7 }, never)).endSeq).toBe(7);
});

test('what was lost and said to be is told, and stored again by whoever repeats it', async () => {
  const url = await newDatabase();
  let lost = '';
  {
    await using log = await openPostgresLog({ url });
    await log.append(newEvents(9, 'global'));
    await log.append([newEvent('global', { key: 'k' })]);
    lost = log.positions.at(10);
  }
  await execute(url, 'DELETE FROM courier_event WHERE seq > 5');
  await expect(openPostgresLog({ url })).rejects.toThrow(/UPDATE courier_log SET head = 5,/);
  await execute(url, 'UPDATE courier_log SET head = 5');
  await using log = await openPostgresLog({ url });
  expect(log.positions.resume(parsePosition(lost) as Position, 5)).toEqual({ gap: 'epoch', afterSeq: 5 });
  expect(await log.append([newEvent('global', { key: 'k' })])).toMatchObject([{ event: { seq: 6 }, duplicate: false }]);
});

test('a commit that does not wait for the standby is not acknowledged', { timeout: 30_000 }, async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  await using log = await openPostgresLog({ url, serverCheckMs: 20 });
  await log.append([newEvent('global')]);
  await server.execute("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'");
  await server.execute('SELECT pg_reload_conf()');
  await expect.poll(() => log.concerns).toHaveLength(1);
  const waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  const refused = (key: string) => log.append([newEvent('global', { key })]).catch((error: Error) => error);
  const ended = refused('a');
  await expect.poll(() => server.execute(waiting)).toHaveLength(1);
  await server.execute(`SELECT pg_cancel_backend(pid) FROM (${waiting}) AS waiting`);
  expect(await ended).toMatchObject({ message: expect.stringContaining('the wait for a standby was ended before it had what was stored') });
  expect(await refused('b')).toMatchObject({ message: expect.stringContaining('it waits for a standby (synchronous_standby_names)') });
  expect(log.problem).toContain('standby');
  await server.execute('ALTER SYSTEM RESET synchronous_standby_names');
  await server.execute('SELECT pg_reload_conf()');
  await expect.poll(() => refused('a')).toMatchObject([{ duplicate: true, event: { seq: 2 } }]);
  expect(await refused('b')).toMatchObject([{ event: { seq: 3 } }]);
});
