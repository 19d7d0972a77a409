/** Waits, at the start, for a server that is away. */
import { setTimeout as wait } from 'node:timers/promises';
import { PostgresAwayError, PostgresOpenError } from './server.ts';

/** Between two attempts, in ms. */
const PAUSE_MS = 500;

export interface Waiting {
  /** How long a server that is away is waited for, in ms; 0 is not at all. */
  readonly startMs: number;
  /** Told once, with why it waits. */
  readonly onWait: (reason: string) => void;
  readonly signal: AbortSignal;
}

/**
 * What `open` comes to, which is tried again while the server is away.
 *
 * @throws {PostgresOpenError} when that takes too long, or it is for another reason; why `signal` was aborted.
 */
export async function onceThere<T>(open: () => Promise<T>, { startMs, onWait, signal }: Waiting): Promise<T> {
  const startedAt = performance.now();
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await open();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PostgresAwayError) || startMs === 0) throw error;
      const leftMs = startMs - (performance.now() - startedAt);
      if (leftMs <= 0) throw new PostgresOpenError(`${error.message} (waited ${startMs / 1000} s)`, { cause: error });
      if (attempts === 1) onWait(error.message);
      await wait(Math.min(PAUSE_MS, leftMs), undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}
