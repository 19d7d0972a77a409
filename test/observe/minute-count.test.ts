import { expect, onTestFinished, test, vi } from 'vitest';
import { MinuteCount } from '../../src/observe/minute-count.ts';

test('what is older than a minute is forgotten, second by second', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const count = new MinuteCount();
  for (let second = 0; second < 90; second += 1) {
    count.add();
    count.add();
    vi.advanceTimersByTime(1000);
  }
  expect(count.total).toBe(2 * 59);
  vi.advanceTimersByTime(30_000);
  expect(count.total).toBe(2 * 29);
  vi.advanceTimersByTime(3_600_000);
  expect(count.total).toBe(0);
  count.add();
  expect(count.total).toBe(1);
});
