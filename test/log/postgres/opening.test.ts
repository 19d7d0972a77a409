/** What a database and its server must be for a log to be opened there. */
import { describe, expect, test } from 'vitest';
import { startPgBouncer } from '../../../scripts/servers.ts';
import { migratePostgres, openPostgresLog } from '../../../src/log/postgres.ts';
import { connected, execute, newDatabase } from '../../helpers/databases.ts';

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
