/** What admins see and do of the gateway as a whole: of this instance, and of all others that share its log. */

import type { Access } from './auth/access.ts';
import type { Revoked } from './auth/revocations.ts';
import type { Session } from './auth/session.ts';
import type { Answerers, Peers } from './cluster/peers.ts';
import type { Connection, Connections, LogLevel, Stats } from './contract/admin.ts';
import type { Feed } from './delivery/subscriber.ts';
import { CourierError } from './errors.ts';
import { mergeStats } from './observe/stats.ts';

/** Connections in one answer of an instance, at most. */
const MAX_CONNECTIONS = 1000;

export interface Control {
  stats(): Promise<Stats>;
  /** @param sub narrows them to one principal's. */
  connections(sub: string | undefined): Promise<Connections>;
  /** Closes a connection with 1013: its client may come back after a delay. Resolves to whether there was one. */
  disconnect(connectionId: string): Promise<boolean>;
  /** Refuses tokens from now on and ends the sessions that stand on them. Resolves to how many those were. */
  revoke(revoked: Revoked): Promise<number>;
  /** Of this instance, until its next start. */
  setLogLevel(level: LogLevel): void;
}

export interface ControlDeps {
  readonly access: Access;
  readonly feed: Feed;
  readonly peers: Peers;
  /** Figures of this instance. */
  readonly stats: () => Promise<Stats>;
  readonly setLogLevel: (level: LogLevel) => void;
}

export function createControl({ access, feed, peers, stats, setLogLevel }: ControlDeps): Control {
  const own: Answerers = {
    stats,
    connections: ({ sub }) => ownConnections(access, feed.tail.position, sub),
    disconnect: ({ connection_id }) => disconnectOwn(access, connection_id),
    revoked: () => access.refreshRevocations(),
  };
  peers.answer(own);
  return {
    setLogLevel,
    stats: async () => {
      const [mine, others] = await Promise.all([stats(), peers.ask('stats', null)]);
      return mergeStats(mine, others as Stats[]);
    },
    connections: async (sub) => {
      const mine = ownConnections(access, feed.tail.position, sub);
      const all = [mine, ...((await peers.ask('connections', { sub: sub ?? null })) as Connections[])];
      const connections = all.flatMap((one) => one.connections.map(revived));
      return {
        total: all.reduce((sum, { total }) => sum + total, 0),
        connections: connections.sort((a, b) => a.since.getTime() - b.since.getTime()),
      };
    },
    disconnect: async (connection_id) =>
      disconnectOwn(access, connection_id) || (await peers.ask('disconnect', { connection_id })).includes(true),
    revoke: async (revoked) => {
      const mine = await access.revoke(revoked);
      return (await peers.ask('revoked', null)).reduce((sum, count) => sum + count, mine);
    },
  };
}

function ownConnections(access: Access, head: number, sub: string | null | undefined): Connections {
  const all = access.sessions.filter(({ principal }) => sub === null || sub === undefined || principal.sub === sub);
  const described = all.flatMap((session) => describe(session, head));
  described.sort((a, b) => a.since.getTime() - b.since.getTime());
  return { total: described.length, connections: described.slice(0, MAX_CONNECTIONS) };
}

function disconnectOwn(access: Access, connectionId: string): boolean {
  const session = access.sessions.find(({ connection }) => connection?.id === connectionId);
  session?.end(new CourierError('SERVICE_UNAVAILABLE', 'disconnected by an administrator'));
  return session !== undefined;
}

function describe({ principal, connection, readers }: Session, head: number): Connection[] {
  if (connection === undefined) return [];
  const { id, transport, address, client, contract, since, bufferedBytes } = connection;
  return [
    {
      connection_id: id,
      sub: principal.sub,
      role: principal.role,
      transport,
      address,
      client,
      contract,
      since: new Date(since),
      expires_at: new Date(principal.expiresAt),
      subscriptions: readers.length,
      buffered_bytes: bufferedBytes(),
      lag: Math.max(0, ...readers.map(({ position }) => head - position)),
    },
  ];
}

/** Dates of other instances come as text, and those of another version may not say what their clients are. */
function revived(connection: Connection): Connection {
  const { client = null, contract = null, since, expires_at } = connection;
  return { ...connection, client, contract, since: new Date(since), expires_at: new Date(expires_at) };
}
