/** A server that changes while a log is open on it: its settings, its standbys, and its clock. */
import { describe, expect, test, vi } from 'vitest';
import { startPostgres } from '../../../scripts/servers.ts';
import { openPostgresLog, type SharedLog } from '../../../src/log/postgres.ts';
import { newDatabase } from '../../helpers/databases.ts';
import { newEvent } from '../../helpers/events.ts';

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
  // The server itself heeds it a moment after it says so: until then commits do not wait.
  let [stored, ended]: [number, ReturnType<typeof refused> | undefined] = [0, undefined];
  while (ended === undefined) {
    const before = stored;
    const append = refused(`a${stored}`).finally(() => {
      stored += 1;
    });
    await expect.poll(async () => stored > before || (await server.execute(waiting)).length === 1).toBe(true);
    if (stored === before) ended = append;
  }
  const last = `a${stored}`;
  const seq = 2 + stored;
  await server.execute(`SELECT pg_cancel_backend(pid) FROM (${waiting}) AS waiting`);
  expect(await ended).toMatchObject({ message: expect.stringContaining('the wait for a standby was ended before it had what was stored') });
  expect(await refused('b')).toMatchObject({ message: expect.stringContaining('it waits for a standby (synchronous_standby_names)') });
  expect(log.problem).toContain('standby');
  await server.execute('ALTER SYSTEM RESET synchronous_standby_names');
  await server.execute('SELECT pg_reload_conf()');
  await expect.poll(() => refused(last)).toMatchObject([{ duplicate: true, event: { seq } }]);
  expect(await refused('b')).toMatchObject([{ event: { seq: seq + 1 } }]);
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
