/**
 * What requests hold while they last: bodies that have come, and answers that have yet to go. Each principal has so much of it,
 * and all of them together.
 */
import { keyOf } from '../auth/principal.ts';
import { CourierError } from '../errors.ts';
import { upTo } from '../limits/bytes.ts';
import type { Connection } from './connection.ts';

/**
 * Bytes that all requests may hold, as so much and at most as a part of the heap: as text, as a value and as what is stored of
 * it a body takes up to six times its bytes. And those of one principal.
 */
const MAX_BYTES = upTo(64 * 1024 * 1024, 1 / 24);
const MAX_OF_ONE_BYTES = MAX_BYTES / 4;

export class HeldBytes {
  readonly #byPrincipal = new Map<string, number>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {CourierError} TOO_MANY_REQUESTS when the principal's requests hold too much, SERVICE_UNAVAILABLE when all do. */
  take(connection: Connection, bytes: number): void {
    const key = keyOf(connection.principal);
    const own = (this.#byPrincipal.get(key) ?? 0) + bytes;
    if (own > MAX_OF_ONE_BYTES) {
      throw new CourierError('TOO_MANY_REQUESTS', 'requests that are under way hold too much: wait for their answers', {
        retryAfterMs: 1000,
      });
    }
    if (this.#bytes + bytes > MAX_BYTES) throw new CourierError('SERVICE_UNAVAILABLE', 'the gateway is full', { retryAfterMs: 1000 });
    this.#byPrincipal.set(key, own);
    this.#bytes += bytes;
    connection.heldBytes += bytes;
  }

  /** Gives back what the connection has taken. */
  release(connection: Connection): void {
    const { heldBytes } = connection;
    if (heldBytes === 0) return;
    connection.heldBytes = 0;
    this.#bytes -= heldBytes;
    const key = keyOf(connection.principal);
    const left = (this.#byPrincipal.get(key) ?? 0) - heldBytes;
    if (left > 0) this.#byPrincipal.set(key, left);
    else this.#byPrincipal.delete(key);
  }
}
