/** Days of the PostgreSQL log: made before they begin, dropped whole, and left alone while somebody has locked them. */
import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { lockKeys } from '../../../src/log/postgres/schema.ts';
import { openPostgresLog } from '../../../src/log/postgres.ts';
import { connected, execute, newDatabase } from '../../helpers/databases.ts';
import { newEvent } from '../../helpers/events.ts';

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

test('a day that another session has locked, as pg_dump does, is left for later: appends do not wait for it, nor again and again', async () => {
  const url = await newDatabase();
  let now = Date.UTC(2026, 0, 30);
  await using log = await openPostgresLog({ url, now: () => now });
  await log.append([newEvent('global')]);
  now += 5 * 86_400_000;
  const dump = await connected(url);
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
  const locked = [
    { about: 'retention', action: expect.stringMatching(/^events past retention cannot be removed since 7 h, as another session/) },
  ];
  expect(log.concerns).toEqual(locked);
  const lock = await connected(url);
  stack.defer(() => lock.end());
  await lock.query(`SELECT pg_advisory_lock(${lockKeys('dropPartitions')})`);
  const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
  expect(await trim()).toBe(false);
  later.mockRestore();
  expect(log.concerns).toEqual(locked);
  await lock.query(`SELECT pg_advisory_unlock(${lockKeys('dropPartitions')})`);
  vi.useRealTimers();
  expect(await log.bounds()).toMatchObject({ first: 1 });

  await dump.query('COMMIT');
  const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 120_000);
  expect(await trim()).toBe(true);
  clock.mockRestore();
  expect(await log.bounds()).toMatchObject({ first: 2 });
});

test('the day that is written to stays, however little is to be kept', async () => {
  const url = await newDatabase();
  await using log = await openPostgresLog({ url });
  await log.append([newEvent('global')]);
  while (await log.trim(-30 * 86_400_000, 100));
  expect(await log.bounds()).toEqual({ first: 1, head: 1 });
  expect(await log.append([newEvent('global')])).toMatchObject([{ event: { seq: 2 } }]);
});
