/** Retention: removes what is older than it must be kept, a little at a time, so that publishing never waits long. */
import { setTimeout as wait } from 'node:timers/promises';
import type { EventLog } from './log.ts';

export interface RetentionOptions {
  /** How long events are kept, in ms. */
  readonly retentionMs: number;
  /** How often to look for something to remove, in ms. */
  readonly intervalMs?: number;
  /** Told when trimming fails; it is tried again after the interval. */
  readonly onError: (error: unknown) => void;
}

const ROWS_PER_STEP = 500;
const PAUSE_BETWEEN_STEPS_MS = 10;

export function startRetention(log: EventLog, { retentionMs, intervalMs = 60_000, onError }: RetentionOptions): Disposable {
  const stop = new AbortController();
  const { signal } = stop;
  const run = async () => {
    while (!signal.aborted) {
      try {
        while ((await log.trim(retentionMs, ROWS_PER_STEP)) && !signal.aborted) {
          await wait(PAUSE_BETWEEN_STEPS_MS, undefined, { signal, ref: false });
        }
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
      }
      await wait(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };
  void run();
  // A step that is on its way is not waited for: the log ends it when it is closed.
  return { [Symbol.dispose]: () => stop.abort() };
}
