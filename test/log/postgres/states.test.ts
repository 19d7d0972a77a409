/** States in the PostgreSQL log: the guarantees of every store, and what is its own: several instances, and a database that changes. */
import { describe, expect, test } from 'vitest';
import { lockKeys } from '../../../src/log/postgres/schema.ts';
import { READ_CHANNELS, READ_KEYS } from '../../../src/log/postgres/state-statements.ts';
import { openPostgresLog } from '../../../src/log/postgres.ts';
import type { StateRemoval } from '../../../src/log/state-store.ts';
import { range } from '../../contracts/event-log/logs.ts';
import { begun, forgetAll, readAllStates, stateRow, store, trimAll } from '../../contracts/state-store/states.ts';
import { describeStateStore } from '../../contracts/state-store.ts';
import { connected, execute, newDatabase } from '../../helpers/databases.ts';
import { newEvent, newEvents } from '../../helpers/events.ts';
import { EVERYTHING } from '../../helpers/lumiere.ts';

const DAY_MS = 86_400_000;
const abandon = (url: string) => execute(url, "UPDATE courier_state_build SET used_until = used_until - interval '1 hour'");

describeStateStore('PostgreSQL log', {
  durable: true,
  runs: 40,
  factory: () => {
    const url = newDatabase();
    return {
      open: async (options) => openPostgresLog({ url: await url, ...options }),
      abandon: async () => void (await abandon(await url)),
      [Symbol.asyncDispose]: async () => undefined,
    };
  },
});

describe('several instances', () => {
  test('have one store: one of them holds a build, and what they write at once is the same as one after another', async () => {
    const url = await newDatabase();
    await using one = await openPostgresLog({ url });
    await using two = await openPostgresLog({ url });
    const registered = await Promise.all([one, two].map((log) => begun(log.states, 'e', 'f')));
    const [builds] = registered as [[number, number]];
    expect(registered[1]).toEqual(builds);
    expect(await one.states.claim({ holder: 'one', builds, forMs: 60_000 })).toEqual(builds);
    expect(await two.states.claim({ holder: 'two', builds, forMs: 60_000 })).toEqual([]);
    const rows = range(1, 200).map((seq) => stateRow(builds[seq % 2] as number, { seq, key: `k${seq % 20}` }));
    const turns = range(0, 11).map((turn) => {
      const log = turn % 2 === 0 ? one : two;
      return store(log.states, turn % 3 === 0 ? rows.slice(turn) : rows.slice(turn).reverse());
    });
    await Promise.all(turns);
    for (const log of [one, two]) expect((await readAllStates(log.states, builds)).map(({ seq }) => seq)).toEqual(range(181, 200));
  });

  test('write, forget, claim and append at once, and nobody waits for the other in a circle', async () => {
    const url = await newDatabase();
    await using one = await openPostgresLog({ url });
    await using two = await openPostgresLog({ url });
    const builds = await begun(one.states, 'e', 'f', 'g');
    const steps = range(1, 30).flatMap((n) =>
      [one, two].map(async (log, index) => {
        const rows = builds.map((build) => stateRow(build, { seq: n, key: `k${(n + index) % 5}`, condition: 'closed' }));
        await Promise.all([
          log.append([newEvent('global')]),
          store(log.states, index === 0 ? rows : rows.toReversed()),
          log.states.claim({ holder: `h${index}`, builds: index === 0 ? builds : builds.toReversed(), forMs: 1 }),
          log.states.forget({ keepMs: -1000, limit: 2, nowMs: 0 }),
          log.states.register([{ entity: 'e', version: n % 3 }]),
          log.states.complete(builds),
          log.states.release(`h${index}`),
        ]);
      }),
    );
    await Promise.all(steps);
    expect((await one.bounds()).head).toBe(60);
  });

  test('whoever has read what was removed later is told of it, and removals have numbers in their order', async () => {
    const url = await newDatabase();
    let now = DAY_MS;
    await using one = await openPostgresLog({ url, now: () => now });
    await using two = await openPostgresLog({ url, now: () => now });
    const [build] = await begun(one.states, 'e');
    const rows = range(1, 60).map((seq) => stateRow(build, { seq, key: `k${seq}`, condition: 'closed' }));
    await store(one.states, rows);
    now = 2 * DAY_MS;
    const known = new Map<string, number>();
    const told: StateRemoval[] = [];
    const isOver = () => told.length >= rows.length;
    const forget = async ({ states }: typeof one) => {
      while (!isOver()) await states.forget({ keepMs: 1000, limit: 1, nowMs: now });
    };
    const append = async () => {
      while (!isOver()) {
        const [appended] = await two.append([newEvent('global')]);
        const seq = appended?.event.seq ?? 0;
        await two.states.write({ rows: [], builds: [build], writtenSeq: seq, checkpoint: seq, nowMs: now });
      }
    };
    const look = async () => {
      while (!isOver()) {
        const { head } = await one.bounds();
        for (const { key } of await readAllStates(one.states, [build])) known.set(key, head);
      }
    };
    const follow = async () => {
      for (let after = 0; !isOver(); after = told.at(-1)?.number ?? 0)
        told.push(...(await two.states.removals({ builds: [build], channels: EVERYTHING, after, limit: 3 })).removals);
    };
    await Promise.all([forget(one), forget(two), append(), look(), follow()]);
    expect(new Set(told.map(({ key }) => key)).size).toBe(rows.length);
    for (const { key, number } of told) {
      const seq = known.get(key) ?? 0;
      const query = { builds: [build], channels: EVERYTHING, after: number - 1, seq, limit: 1 };
      expect((await one.states.removals(query)).removals).toMatchObject([{ key }]);
    }
  });
});

test('forgetting is left to the instance that does so already', async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  const [build] = await begun(log.states, 'e');
  await store(log.states, [stateRow(build, { seq: 1, condition: 'closed' })]);
  const other = await connected(url);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => other.end());
  await other.query(`SELECT pg_advisory_lock(${lockKeys('forgetStates')})`);
  const forget = () => log.states.forget({ keepMs: -60_000, limit: 1, nowMs: 0 });
  expect(await forget()).toBe(false);
  expect(await readAllStates(log.states, [build])).toHaveLength(1);
  await other.query(`SELECT pg_advisory_unlock(${lockKeys('forgetStates')})`);
  expect(await forget()).toBe(true);
  expect(await readAllStates(log.states, [build])).toEqual([]);
});

test('retention waits for what a build has yet to fold for an hour after it was last used', async () => {
  const url = await newDatabase();
  let now = DAY_MS;
  await using log = await openPostgresLog({ url, now: () => now });
  const [build] = await begun(log.states, 'e');
  await log.append(newEvents(2, 'global'));
  now = 5 * DAY_MS;
  await log.append(newEvents(2, 'global'));
  const first = async () => {
    await trimAll(log, DAY_MS);
    return (await log.bounds()).first;
  };
  expect(await first()).toBe(1);
  await abandon(url);
  // Also who does not get it uses it.
  await log.states.claim({ holder: 'a', builds: [build], forMs: 60_000 });
  await abandon(url);
  expect(await log.states.claim({ holder: 'b', builds: [build], forMs: 60_000 })).toEqual([]);
  expect(await first()).toBe(1);
  await abandon(url);
  expect(await first()).toBe(3);
  expect((await log.states.look(['e'])).builds).toEqual([]);
});

describe('a database that is not the one that it was', () => {
  test('nothing is written by an instance whose epoch is over, nor read', async () => {
    const url = await newDatabase();
    const broken: unknown[] = [];
    const changes: ((log: Awaited<ReturnType<typeof openPostgresLog>>, builds: readonly number[]) => Promise<unknown>)[] = [
      ({ states }) => states.register([{ entity: 'f', version: 1 }]),
      ({ states }, builds) => states.claim({ holder: 'a', builds, forMs: 60_000 }),
      ({ states }) => states.release('holder'),
      ({ states }, [build = 0]) => store(states, [stateRow(build, { seq: 9 })]),
      ({ states }, builds) => states.complete(builds),
      ({ states }) => states.rebuild({ entity: 'e', version: 2 }),
      ({ states }) => states.forget({ keepMs: -1000, limit: 1, nowMs: 0 }),
      ({ states }) => states.look(['e']),
      ({ states }, [build = 0]) => states.find([{ build, key: 'k', channel: 'user.u1' }]),
      ({ states }, builds) => readAllStates(states, builds),
      ({ states }, builds) => readAllStates(states, builds, { keys: ['k'] }),
      ({ states }, builds) => states.removals({ builds, channels: EVERYTHING, after: 0, limit: 1 }),
    ];
    for (const change of changes) {
      await using log = await openPostgresLog({ url, onBroken: (error) => broken.push(error) });
      const builds = await begun(log.states, 'e');
      await store(log.states, [stateRow(builds[0], { seq: 0, condition: 'closed' })]);
      await execute(url, "UPDATE courier_state_build SET holder = 'holder', held_until = now() + interval '1 hour'");
      const tables = async () =>
        (await execute(url, 'SELECT (SELECT json_agg(b) FROM courier_state_build b) AS b, (SELECT json_agg(s) FROM courier_state s) AS s'))
          .rows;
      const before = await tables();
      await execute(url, "UPDATE courier_log SET epoch = 'another'");
      await expect(change(log, builds)).rejects.toMatchObject({
        code: 'SERVICE_UNAVAILABLE',
        message: expect.stringContaining('this instance must start again'),
      });
      expect(await tables()).toEqual(before);
    }
    expect(broken).toHaveLength(changes.length);
  });

  test('states that have lost events in them are made anew, the others stay', async () => {
    const url = await newDatabase();
    let lost = 0;
    {
      await using log = await openPostgresLog({ url });
      await log.append(newEvents(9, 'user.u1'));
      const [kept, ahead] = await begun(log.states, 'kept', 'ahead');
      await store(log.states, [stateRow(kept, { seq: 5 })]);
      await store(log.states, [stateRow(ahead, { seq: 7 })], { checkpoint: 4 });
      await log.states.complete([kept, ahead]);
      lost = ahead;
    }
    await execute(url, 'DELETE FROM courier_event WHERE seq > 5', 'UPDATE courier_log SET head = 5');
    await using log = await openPostgresLog({ url });
    await log.append(newEvents(9, 'user.u1'));
    expect((await log.states.look(['kept', 'ahead'])).builds).toMatchObject([{ entity: 'kept', seq: 5, isComplete: true }]);
    const [, again] = await begun(log.states, 'kept', 'ahead');
    expect(again).toBeGreaterThan(lost);
    expect(await readAllStates(log.states, [again])).toEqual([]);
    await abandon(url);
    await begun(log.states, 'kept', 'ahead');
    await forgetAll(log.states, { keepMs: DAY_MS, limit: 10, nowMs: 0 });
    expect((await execute(url, `SELECT number FROM courier_state_build WHERE number = ${lost}`)).rows).toEqual([]);
    expect((await execute(url, 'SELECT build FROM courier_state')).rows).toHaveLength(1);
  });
});

test('a read of families, channels and keys walks ranges of their indexes, whatever is common in the store', async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url, families: ['global', 'user', 'backtest'] });
  const [one, two] = await begun(log.states, 'e', 'f');
  await store(log.states, [
    ...range(1, 20).map((seq) => stateRow(one, { seq, key: `k${seq}` })),
    ...range(1, 8000).map((seq) => stateRow(two, { seq, key: `k${seq}`, channel: `backtest.b${seq % 3}`, condition: 'closed' })),
  ]);
  await log.states.write({ rows: [], builds: [one, two], writtenSeq: 8000, checkpoint: 8000, nowMs: 0 });
  const scansOf = async (mode: string, text: string, values: string) => {
    const { rows } = await execute(
      url,
      'ANALYZE courier_state',
      `SET plan_cache_mode = ${mode}`,
      `PREPARE read AS ${text}`,
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE read(${values})`,
    );
    const plan = rows.map((row) => String(row['QUERY PLAN']));
    const scans = plan.filter((step) => / on courier_state( |$)/.test(step));
    expect(scans.length).toBeGreaterThan(0);
    return { scans, removed: plan.filter((step) => step.includes('Rows Removed by')) };
  };
  for (const mode of ['force_custom_plan', 'force_generic_plan']) {
    const channels = await scansOf(mode, READ_CHANNELS.text, `'{${one},${two}}', '{0}', '{0,1,2}', '{user.u1,backtest.b2}', 0, 100, false`);
    for (const scan of channels.scans) expect(scan).toMatch(/Index Scan using courier_state_by_(family|channel) on/);
    expect(channels.removed).toEqual([]);
    const keys = await scansOf(mode, READ_KEYS.text, `'{${one},${two}}', '{0,1}', '{0,1,2}', '{}', 0, 100, false, '{k1,k2,nothing}'`);
    for (const scan of keys.scans) expect(scan).toMatch(/Index Scan using courier_state_by_key on/);
  }
});
