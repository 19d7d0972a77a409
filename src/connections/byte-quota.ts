/** The memory that connections may take of the gateway: each principal a part of it, and all of them together. */
import { type Principal, principalKey } from '../auth/principal.ts';
import { CourierError } from '../errors.ts';
import { upTo } from '../limits/bytes.ts';

export interface ByteQuotaLimits {
  readonly ofOne: number;
  readonly inAll: number;
  /** The message to a principal that takes too much: what takes the memory, and what to do. */
  readonly tooMuch: string;
}

const MEBIBYTE = 1024 * 1024;
/**
 * Bodies and calls that have come and answers that have yet to go. A body takes up to six times its bytes: as text, as a
 * value and as what is stored of it. The largest body has room in any heap.
 */
const REQUEST_BYTES = Math.max(2 * MEBIBYTE, upTo(64 * MEBIBYTE, 1 / 24));
export const REQUEST_QUOTA: ByteQuotaLimits = {
  inAll: REQUEST_BYTES,
  ofOne: Math.max(1.5 * MEBIBYTE, REQUEST_BYTES / 4),
  tooMuch: 'requests that are under way hold too much: wait for their answers',
};
/** Channels that subscriptions name. */
const CHANNEL_BYTES = upTo(1024 * MEBIBYTE, 1 / 4);
export const CHANNEL_QUOTA: ByteQuotaLimits = {
  inAll: CHANNEL_BYTES,
  ofOne: CHANNEL_BYTES / 4,
  tooMuch: 'subscriptions name too many channels: subscribe to patterns',
};

export class ByteQuota {
  readonly #limits: ByteQuotaLimits;
  readonly #byPrincipal = new Map<string, number>();
  #bytes = 0;

  constructor(limits: ByteQuotaLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {CourierError} TOO_MANY_REQUESTS when the principal takes too much, SERVICE_UNAVAILABLE when all do. */
  reserve(principal: Principal, bytes: number): void {
    const { ofOne, inAll, tooMuch } = this.#limits;
    const own = (this.#byPrincipal.get(principalKey(principal)) ?? 0) + bytes;
    if (own > ofOne) throw new CourierError('TOO_MANY_REQUESTS', tooMuch, { retryAfterMs: 1000 });
    if (this.#bytes + bytes > inAll) throw new CourierError('SERVICE_UNAVAILABLE', 'the gateway is full', { retryAfterMs: 1000 });
    this.#add(principal, bytes);
  }

  /** Gives back so much of what was reserved. */
  release(principal: Principal, bytes: number): void {
    this.#add(principal, -bytes);
  }

  #add(principal: Principal, bytes: number): void {
    if (bytes === 0) return;
    this.#bytes += bytes;
    const key = principalKey(principal);
    const own = (this.#byPrincipal.get(key) ?? 0) + bytes;
    if (own > 0) this.#byPrincipal.set(key, own);
    else this.#byPrincipal.delete(key);
  }
}
