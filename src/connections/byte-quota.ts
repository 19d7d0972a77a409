/** What connections hold of the gateway's memory: each principal has so much of it, and all of them together. */
import { keyOf } from '../auth/principal.ts';
import { CourierError } from '../errors.ts';
import type { Connection } from './connection.ts';

export interface ByteQuotaLimits {
  readonly ofOne: number;
  readonly inAll: number;
  /** What holds so much, and what to do, for whoever holds too much. */
  readonly tooMuch: string;
}

export class ByteQuota {
  readonly #limits: ByteQuotaLimits;
  readonly #byPrincipal = new Map<string, number>();
  readonly #byConnection = new Map<Connection, number>();
  #bytes = 0;

  constructor(limits: ByteQuotaLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {CourierError} TOO_MANY_REQUESTS when the principal holds too much, SERVICE_UNAVAILABLE when all do. */
  reserve(connection: Connection, bytes: number): void {
    const { ofOne, inAll, tooMuch } = this.#limits;
    const own = (this.#byPrincipal.get(keyOf(connection.principal)) ?? 0) + bytes;
    if (own > ofOne) throw new CourierError('TOO_MANY_REQUESTS', tooMuch, { retryAfterMs: 1000 });
    if (this.#bytes + bytes > inAll) throw new CourierError('SERVICE_UNAVAILABLE', 'the gateway is full', { retryAfterMs: 1000 });
    this.#add(connection, bytes);
  }

  /** Gives back so much of what the connection has taken. */
  release(connection: Connection, bytes: number): void {
    this.#add(connection, -Math.min(bytes, this.#byConnection.get(connection) ?? 0));
  }

  /** Gives back all that the connection has taken. */
  releaseAll(connection: Connection): void {
    this.release(connection, Number.POSITIVE_INFINITY);
  }

  #add(connection: Connection, bytes: number): void {
    if (bytes === 0) return;
    this.#bytes += bytes;
    add(this.#byConnection, connection, bytes);
    add(this.#byPrincipal, keyOf(connection.principal), bytes);
  }
}

function add<K>(sums: Map<K, number>, key: K, bytes: number): void {
  const sum = (sums.get(key) ?? 0) + bytes;
  if (sum > 0) sums.set(key, sum);
  else sums.delete(key);
}
