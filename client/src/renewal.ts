/** Renews a token before it expires, and repeats an attempt that failed. */
import { type CourierError, courierErrorFrom } from './errors.ts';
import { jitter, MAX_TIMER_MS, type RetryOptions, sleep } from './retry.ts';
import type { Tokens } from './token.ts';

/** The part of a token's time that is left when the client renews it. */
const RENEWAL_SHARE = 0.2;
/** The earliest renewal before a token's end, in ms. */
const MAX_RENEWAL_MS = 60_000;

export interface RenewalOptions {
  readonly tokens: Pick<Tokens, 'renewable'>;
  readonly retry: RetryOptions;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
  /** Sends another token to the gateway; false when there is no other. */
  readonly refresh: (signal: AbortSignal) => Promise<boolean>;
}

/** The time from the acceptance of a token to its renewal, in ms. */
export function renewalDelayMs(expiresInMs: number): number {
  return Math.min(MAX_TIMER_MS, expiresInMs - Math.min(MAX_RENEWAL_MS, expiresInMs * RENEWAL_SHARE));
}

/**
 * Asks for other tokens until the gateway accepts one, or `signal` aborts. Without another token, the connection ends when its
 * token expires, and the next attempt asks again.
 */
export async function renewAfter(firstDelayMs: number, signal: AbortSignal, options: RenewalOptions): Promise<void> {
  const { tokens, retry, onRetry, refresh } = options;
  let delayMs = firstDelayMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sleep(delayMs, signal);
      if ((await refresh(signal)) || !tokens.renewable) return;
    } catch (error) {
      if (signal.aborted) return;
      onRetry(courierErrorFrom(error));
      if (!tokens.renewable) return;
    }
    delayMs = retry.busyDelayMs + jitter(retry, attempt);
  }
}
