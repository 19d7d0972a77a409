/** When a token is renewed, and how often that is tried. */
import { type CourierError, courierErrorFrom } from './errors.ts';
import { jitter, type RetryOptions, sleep } from './retry.ts';
import type { Tokens } from './token.ts';

/** A token is renewed when this part of its time is left, but no earlier than so many ms before its end. */
const RENEWAL_SHARE = 0.2;
const MAX_RENEWAL_MS = 60_000;
/** Longest delay that a timer takes, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface RenewalOptions {
  readonly tokens: Pick<Tokens, 'renewable'>;
  readonly retry: RetryOptions;
  /** Told of failures that are tried again. */
  readonly onRetry: (error: CourierError) => void;
  /** Takes another token to the gateway; false when there is no other. */
  readonly refresh: (signal: AbortSignal) => Promise<boolean>;
}

/** How long a token that was accepted is used before it is renewed, in ms. */
export function renewalDelayMs(expiresInMs: number): number {
  return Math.min(MAX_TIMER_MS, expiresInMs - Math.min(MAX_RENEWAL_MS, expiresInMs * RENEWAL_SHARE));
}

/**
 * Asks for another token, until there is one that the gateway takes, or `signal` aborts. When there is none the connection
 * ends with its token, and the next attempt asks again.
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
