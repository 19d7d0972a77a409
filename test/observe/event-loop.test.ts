/** How late the event loop was: long blocks count, short ones hardly. */
import { expect, test } from 'vitest';
import { EventLoopDelay } from '../../src/observe/event-loop.ts';

const turn = () => new Promise((resolve) => setTimeout(resolve, 40));

/** Keeps the event loop from everything else. */
function block(ms: number): void {
  for (const began = performance.now(); performance.now() - began < ms; );
}

test('one long time is as bad as it is for whoever comes within it, and a few short ones are nothing', async () => {
  using delay = new EventLoopDelay();
  await turn();
  for (let n = 0; n < 5; n += 1) {
    block(30);
    await turn();
  }
  const before = delay.lateMs;
  block(1500);
  await turn();
  // 1.5 s of ten, of which half is waited for: 112 ms.
  expect(delay.lateMs - before).toBeGreaterThan(90);
});
