/** The time behind jumps of the wall clock: nothing is believed before it has stood for an hour. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openMemoryLog } from '../../src/log/memory.ts';
import { openSqliteLog } from '../../src/log/sqlite.ts';
import { SteadyClock } from '../../src/log/steady-clock.ts';
import { newEvent } from '../helpers/events.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);

afterEach(() => {
  vi.useRealTimers();
});

/** A clock that is turned by hand. */
function turned({ knownMs }: { readonly knownMs?: number } = {}) {
  const at = { wall: START, monotonic: 0 };
  const jumps: number[] = [];
  const clock = new SteadyClock({ wall: () => at.wall, monotonic: () => at.monotonic, knownMs, onJump: (by) => jumps.push(by) });
  return {
    jumps,
    now: () => clock.now(),
    /** Time passes; the wall clock may jump besides. */
    pass: (ms: number, jump = 0) => {
      at.wall += Math.round(ms + jump);
      at.monotonic += ms;
      return clock.now();
    },
  };
}

const exactly = (ms: number) => ({ earliest: ms, latest: ms });

test('a clock that runs evenly is believed, and so are small corrections', () => {
  const { pass, now, jumps } = turned();
  expect(now()).toEqual(exactly(START));
  expect(pass(MINUTE)).toEqual(exactly(START + MINUTE));
  expect(pass(MINUTE, 4000)).toEqual(exactly(START + 2 * MINUTE + 4000));
  expect(pass(MINUTE, -4000)).toEqual(exactly(START + 3 * MINUTE));
  expect(jumps).toEqual([]);
});

test('a jump is told once, leaves two times possible, and is believed after an hour', () => {
  for (const by of [8 * DAY, -8 * DAY]) {
    const { pass, jumps } = turned();
    const both = (passed: number) => [START + passed, START + passed + by].sort((a, b) => a - b);
    expect(Object.values(pass(MINUTE, by))).toEqual(both(MINUTE));
    expect(Object.values(pass(58 * MINUTE))).toEqual(both(59 * MINUTE));
    expect(jumps).toEqual([by]);
    expect(pass(2 * MINUTE)).toEqual(exactly(START + by + 61 * MINUTE));
    expect(pass(MINUTE)).toEqual(exactly(START + by + 62 * MINUTE));
    expect(jumps).toEqual([by]);
  }
});

test('times are whole milliseconds', () => {
  const { pass } = turned();
  for (const moment of [pass(0.3, DAY), pass(0.4), pass(1e6 / 3)]) expect(Object.values(moment).every(Number.isInteger)).toBe(true);
});

test('a jump that is taken back leaves nothing behind, and another begins the hour anew', () => {
  const { pass, jumps } = turned();
  pass(MINUTE, DAY);
  expect(pass(30 * MINUTE, -DAY)).toEqual(exactly(START + 31 * MINUTE));
  pass(MINUTE, DAY);
  pass(50 * MINUTE, DAY);
  expect(pass(30 * MINUTE).earliest).toBe(START + 112 * MINUTE);
  expect(pass(30 * MINUTE)).toEqual(exactly(START + 2 * DAY + 142 * MINUTE));
  expect(jumps).toEqual([DAY, DAY, 2 * DAY]);
});

test('a clock that went wrong before the start is doubted too', () => {
  expect(turned({ knownMs: START - HOUR }).now()).toEqual(exactly(START));
  const ahead = turned({ knownMs: START - 8 * DAY });
  expect(ahead.now()).toEqual({ earliest: START - 8 * DAY, latest: START });
  expect(ahead.jumps).toEqual([8 * DAY]);
  const behind = turned({ knownMs: START + DAY });
  expect(behind.now()).toEqual({ earliest: START, latest: START + DAY });
});

test('a start in the middle of the doubt does not end it', async () => {
  using folder = temporaryFolder();
  const path = folder.file('log.db');
  const jumps: number[] = [];
  const open = () => openSqliteLog({ path, onClockJump: (by) => jumps.push(Math.round(by / DAY)) });
  const rightNow = Date.now();
  const key = { key: 'k' };
  {
    await using log = await open();
    await log.append([newEvent('global', key)]);
    vi.useFakeTimers({ toFake: ['Date'], now: rightNow + 8 * DAY });
    await log.append([newEvent('global')]);
  }
  for (const days of [8, 8, 0]) {
    vi.setSystemTime(rightNow + days * DAY);
    await using log = await open();
    while (await log.trim(7 * DAY, 100));
    expect((await log.bounds()).first).toBe(1);
    expect(await log.append([newEvent('global', key)])).toMatchObject([{ duplicate: true }]);
    await log.append([newEvent('global')]);
  }
  expect(jumps).toEqual([8, 8, 8]);
});

const LOGS = [
  { name: 'SQLite', open: (folder: string, now: () => number) => openSqliteLog({ path: `${folder}/log.db`, now }) },
  { name: 'memory', open: async (_folder: string, now: () => number) => openMemoryLog({ now }) },
];

describe.each(LOGS)('retention behind events from a time that is still to come, on $name', ({ open }) => {
  test.each([1, 20])('%i of them', async (count) => {
    using folder = temporaryFolder();
    let now = START;
    await using log = await open(folder.path, () => now);
    await log.append([newEvent('global')]);
    now = START + 4 * 365 * DAY;
    for (let n = 0; n < count; n += 1) await log.append([newEvent('global')]);
    now = START + HOUR;
    await log.append([newEvent('global'), newEvent('global')]);
    const trim = async () => {
      while (await log.trim(7 * DAY, 5));
      return log.bounds();
    };
    now = START + 7 * DAY + MINUTE;
    // The first is old; those behind it may be as new as the last.
    expect(await trim()).toEqual({ first: 2, head: count + 3 });
    now = START + 7 * DAY + 2 * HOUR;
    await log.append([newEvent('global')]);
    expect(await trim()).toEqual({ first: count + 4, head: count + 4 });
  });
});
