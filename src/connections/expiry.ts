/** When a token has expired: for a connection that lasts, which ends then, and for a request, which may come a little later. */
import { CLOCK_TOLERANCE_MS } from '../auth/claims.ts';
import type { Principal } from '../auth/principal.ts';

/** Longest delay that a timer takes, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** How long a timer may wait until the token has expired, in ms; 0 when it has. */
export function msUntilExpiry({ expiresAt }: Principal): number {
  return timerMs(expiresAt - Date.now());
}

/** The same for a request: its token is good for as long as the issuer's clock may be behind. */
export function msUntilTooLate({ expiresAt }: Principal): number {
  return timerMs(expiresAt + CLOCK_TOLERANCE_MS - Date.now());
}

function timerMs(ms: number): number {
  return Math.min(Math.max(ms, 0), MAX_TIMER_MS);
}
