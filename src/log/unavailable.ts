/** What callers are told where a log cannot serve them: that they may come back. */
import { CourierError } from '../errors.ts';

export const RETRY_AFTER_MS = 1000;

/** @param cause in the words of the storage, which callers are not told. */
export function unavailable(reason: string, cause?: unknown): CourierError {
  return new CourierError('SERVICE_UNAVAILABLE', `the event log cannot serve this now: ${reason}`, { retryAfterMs: RETRY_AFTER_MS, cause });
}
