/** Asking clients to leave: one after another over a window, since all at once they would all come back at once. */
import { setTimeout as wait } from 'node:timers/promises';

/** Clients asked to leave in a second, at most, unless the window is too short for that. */
const CLIENTS_PER_SECOND = 100;

/**
 * Calls each of `leave` at its moment within `windowMs`, and resolves when all of them have resolved. A client's
 * failure to leave is its own.
 */
export async function drain(leave: readonly (() => Promise<void>)[], windowMs: number): Promise<void> {
  const pauseMs = Math.min(1000 / CLIENTS_PER_SECOND, windowMs / Math.max(1, leave.length));
  const startedAt = performance.now();
  const leaving = leave.map(async (one, index) => {
    const pause = index * pauseMs - (performance.now() - startedAt);
    if (pause > 0) await wait(pause);
    await one().catch(() => undefined);
  });
  await Promise.all(leaving);
}
