/** Places: a principal may have so many WebSockets and streams at once, counted together with the other instances. */
import { type Principal, principalKey } from '../auth/principal.ts';
import type { OldestStream } from '../cluster/peers.ts';
import { CourierError } from '../errors.ts';
import type { ConnectionCounts } from '../limits/limiter.ts';
import { type Limits, limitsOf } from '../limits/limits.ts';
import type { Meter } from '../observe/meter.ts';
import type { Connection } from './connection.ts';
import { type Ending, endingOf } from './wire.ts';

export interface Elsewhere {
  /** The oldest stream of each that has one with a place of the principal's. */
  oldestStreams(key: string): Promise<readonly (OldestStream | null)[]>;
  /** Has a stream end that has a place of the principal's. Resolves to whether it was there. */
  yield(key: string, connectionId: string): Promise<boolean>;
}

export interface PlacesDeps {
  readonly counts: ConnectionCounts;
  readonly limits: Limits;
  readonly meter: Meter;
  /** The other instances and workers. */
  readonly elsewhere: Elsewhere;
}

export class Places {
  readonly #deps: PlacesDeps;
  /** Connections that have a place, by the key of their principal, oldest first. */
  readonly #taken = new Map<string, Set<Connection>>();

  constructor(deps: PlacesDeps) {
    this.#deps = deps;
  }

  /** Taken places of all principals. */
  get count(): number {
    let count = 0;
    for (const own of this.#taken.values()) count += own.size;
    return count;
  }

  /** The connections of a principal that have a place. */
  of(key: string): Connection[] {
    return [...(this.#taken.get(key) ?? [])];
  }

  /**
   * Takes a place for a connection that is being opened. Where there is none, a stream of server-sent events is ended for it.
   *
   * @throws {CourierError} TOO_MANY_REQUESTS when there is none.
   */
  async take(connection: Connection, principal: Principal): Promise<void> {
    const most = limitsOf(this.#deps.limits, principal).connections;
    const key = principalKey(principal);
    const open = most === null ? undefined : await this.#claim(key, connection.id, most);
    if (open !== undefined) {
      this.#deps.meter.limited('connections');
      throw new CourierError('TOO_MANY_REQUESTS', `${JSON.stringify(principal.sub)} has ${open} connections, and may have ${most}`, {
        retryAfterMs: 1000,
        close: 1013,
      });
    }
    connection.placeOf = key;
    const own = this.#taken.get(key);
    if (own === undefined) this.#taken.set(key, new Set([connection]));
    else own.add(connection);
    // It may have gone meanwhile, and nobody would give the place back.
    if (connection.state !== 'opening') this.release(connection);
  }

  /** Gives back what the connection has taken, if anything. */
  release(connection: Connection): void {
    const { id, placeOf: key } = connection;
    if (key === undefined) return;
    connection.placeOf = undefined;
    this.#deps.counts.release(key, id);
    const own = this.#taken.get(key);
    own?.delete(connection);
    if (own?.size === 0) this.#taken.delete(key);
  }

  /** The oldest stream of server-sent events of the principal's that has a place here. */
  oldestStream(key: string): OldestStream | null {
    const oldest = this.of(key).find(({ transport }) => transport === 'sse');
    return oldest === undefined ? null : { connection_id: oldest.id, since: oldest.since };
  }

  /** Ends a stream of the principal's: it cannot show that anybody reads it. Whether it had a place here. */
  yield(key: string, connectionId: string): boolean {
    const stream = this.of(key).find(({ id }) => id === connectionId);
    stream?.end(YIELDED);
    return stream !== undefined;
  }

  /** Undefined when there was a place; else how many are taken. */
  async #claim(key: string, id: string, most: number): Promise<number | undefined> {
    const { counts } = this.#deps;
    const open = await counts.claim(key, id, most);
    if (open === undefined) return undefined;
    return (await this.#yieldOldest(key)) ? counts.claim(key, id, most) : open;
  }

  /** Ends the oldest stream of all. Resolves to whether there was one. */
  async #yieldOldest(key: string): Promise<boolean> {
    const { elsewhere } = this.#deps;
    const own = this.oldestStream(key);
    const all = [own, ...(await elsewhere.oldestStreams(key))].filter((stream) => stream !== null);
    const [oldest] = all.sort((a, b) => a.since - b.since);
    if (oldest === undefined) return false;
    return this.yield(key, oldest.connection_id) || elsewhere.yield(key, oldest.connection_id);
  }
}

const YIELDED: Ending = endingOf(
  new CourierError('SERVICE_UNAVAILABLE', 'the place was needed for a newer connection of the same user', { retryAfterMs: 30_000 }),
);
