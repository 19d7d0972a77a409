/** The PostgreSQL log: the guarantees of every log, and what is its own: several instances, and a database that changes. */
import { afterAll, describe, expect, inject, test } from 'vitest';
import { startPgBouncer } from '../../scripts/servers.ts';
import { type Position, parsePosition } from '../../src/contract/position.ts';
import type { LogStart, StoredEvent } from '../../src/log/log.ts';
import { readsFrom } from '../../src/log/postgres/statements.ts';
import { openPostgresLog } from '../../src/log/postgres.ts';
import type { FailingLog } from '../contracts/event-log/logs.ts';
import { describeEventLog } from '../contracts/event-log.ts';
import { connected, execute, newDatabase } from '../helpers/databases.ts';
import { newEvent, newEvents } from '../helpers/events.ts';
import { EVERYTHING } from '../helpers/lumiere.ts';

const never = new AbortController().signal;

/** Its disk is full for events, though not for the counter. */
async function failing(url: string): Promise<FailingLog> {
  const log = await openPostgresLog({ url });
  await execute(
    url,
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$`,
    'CREATE TRIGGER full_disk BEFORE INSERT ON courier_event FOR EACH ROW EXECUTE FUNCTION refuse()',
  );
  return {
    log,
    mend: async () => {
      await execute(url, 'DROP TRIGGER full_disk ON courier_event');
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

describeEventLog('PostgreSQL log', {
  durable: true,
  runs: 15,
  factory: async () => {
    const url = await newDatabase();
    return { open: (options) => openPostgresLog({ url, ...options }), [Symbol.asyncDispose]: async () => undefined };
  },
  failing: async () => failing(await newDatabase()),
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
    failing: async () => {
      const url = new URL(await newDatabase());
      url.port = String((await bouncer).port);
      return failing(url.href);
    },
  });
});

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
