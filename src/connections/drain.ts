/** Draining clients one after another over a window: all at once they would all come back at once. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { DRAINING } from './wire.ts';

/** Clients asked to go elsewhere in a second, at most, unless the window is too short for that. */
const CLIENTS_PER_SECOND = 100;
/** Part of the window in which clients are asked; the rest is for those that do not hurry. */
const ASKING_SHARE = 0.8;

/**
 * Calls each of `drains` at its moment within the greater part of `limitMs`, and resolves when all of them have settled, or
 * `signal` aborts. One that fails does not delay the others.
 */
export async function drain(drains: readonly (() => Promise<void>)[], limitMs: number, signal: AbortSignal): Promise<void> {
  const pauseMs = Math.min(1000 / CLIENTS_PER_SECOND, (limitMs * ASKING_SHARE) / Math.max(1, drains.length));
  const startedAt = performance.now();
  const all = drains.map(async (one, index) => {
    const pause = index * pauseMs - (performance.now() - startedAt);
    if (pause > 0) await wait(pause, undefined, { signal });
    await one();
  });
  await Promise.allSettled(all);
}

/** Ends one connection in order: its client was asked to go elsewhere before. */
export async function drainConnection(connection: Connection, signal: AbortSignal): Promise<void> {
  // A quiet subscription would come back to a position of long ago.
  for (const { subscriber } of connection.subscriptions) subscriber.tellPosition();
  if (connection.isOpen) await connection.wire?.drain?.(signal);
  connection.end(DRAINING);
}
