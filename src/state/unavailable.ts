import { CourierError } from '../errors.ts';

/** What callers are told who cannot be given states now. @param reason nothing that they may not know. */
export function unavailable(reason: string): CourierError {
  return new CourierError('SERVICE_UNAVAILABLE', `the state cannot be given now: ${reason}`, { retryAfterMs: 1000 });
}
