import { expect, test } from 'vitest';
import { openMemoryLog } from '../../src/log/memory.ts';
import { filled } from '../contracts/event-log/logs.ts';
import { describeEventLog } from '../contracts/event-log.ts';
import { describeStateStore } from '../contracts/state-store.ts';
import { newEvent } from '../helpers/events.ts';

describeEventLog('memory log', {
  durable: false,
  runs: 200,
  factory: () => ({ open: async (options) => openMemoryLog(options), [Symbol.asyncDispose]: async () => undefined }),
  failing: () => filled(openMemoryLog({ maxBytes: 1024 * 1024 })),
});

describeStateStore('memory log', {
  durable: false,
  runs: 200,
  factory: () => ({
    open: async (options) => openMemoryLog(options),
    abandon: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }),
});

test('takes so much memory, refuses what is more, and goes on once something was removed', async () => {
  let now = 0;
  const log = openMemoryLog({ maxBytes: 10_000, now: () => now });
  let stored = 0;
  const append = () =>
    log.append([newEvent('global')]).then(
      () => (stored += 1),
      (error: Error) => error,
    );
  while (!((await append()) instanceof Error));
  expect(stored).toBeGreaterThan(5);
  expect(log.problem).toContain('COURIER_LOG=sqlite:PATH');
  expect((await log.bounds()).head).toBe(stored);
  now = 1000;
  await log.trim(500, 3);
  expect(await append()).toBe(stored);
  expect(log.problem).toBeUndefined();
});
