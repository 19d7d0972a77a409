/** Asking clients to leave: one after another over a window, since all at once they would all come back at once. */
import { setTimeout as wait } from 'node:timers/promises';

/** Clients asked to leave in a second, at most, unless the window is too short for that. */
const CLIENTS_PER_SECOND = 100;
/** Part of the drain in which clients are asked to leave; the rest is for those that do not hurry. */
const LEAVING_SHARE = 0.8;

/**
 * Calls each of `leave` at its moment within the greater part of `limitMs`, and resolves when all of them have resolved, or
 * `signal` aborts. A client's failure to leave is its own.
 */
export async function drain(leave: readonly (() => Promise<void>)[], limitMs: number, signal: AbortSignal): Promise<void> {
  const pauseMs = Math.min(1000 / CLIENTS_PER_SECOND, (limitMs * LEAVING_SHARE) / Math.max(1, leave.length));
  const startedAt = performance.now();
  const leaving = leave.map(async (one, index) => {
    const pause = index * pauseMs - (performance.now() - startedAt);
    if (pause > 0) await wait(pause, undefined, { signal });
    await one();
  });
  await Promise.allSettled(leaving);
}
