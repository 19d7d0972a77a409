/** What every log answers alike: which events it has stored, and that it cannot serve its callers now. */
import { CourierError } from '../errors.ts';
import type { NewEvent, StoredEvent } from './log.ts';

/** The event as it is stored under a number. */
export function numbered({ channel, family, type, version, body }: NewEvent, seq: number): StoredEvent {
  return { seq, channel, family, type, version, body };
}

/** Those who are told of each commit. */
export class CommitListeners {
  readonly #listeners = new Set<(events: readonly StoredEvent[]) => void>();

  /** Returns the function that ends it. */
  readonly add = (listener: (events: readonly StoredEvent[]) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Tells them of the new events of one commit, if there are any. */
  tell(events: readonly StoredEvent[]): void {
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
  }
}

export const RETRY_AFTER_MS = 1000;

/** Tells callers that they may come back. @param cause in the words of the storage, which callers are not told. */
export function unavailable(reason: string, cause?: unknown): CourierError {
  return new CourierError('SERVICE_UNAVAILABLE', `the event log cannot serve this now: ${reason}`, { retryAfterMs: RETRY_AFTER_MS, cause });
}
