/** What admins see and do of the gateway as a whole: of this instance, and of all others that share its log. */

import type { Revoked } from './auth/revocations.ts';
import type { Answerers, Peers } from './cluster/peers.ts';
import type { Connection } from './connections/connection.ts';
import type { Connections } from './connections/connections.ts';
import type {
  ChannelActivity,
  Connection as ConnectionFigures,
  ContractUsers,
  Connections as ListedConnections,
  LogLevel,
  Recipient,
  Recipients,
  Series,
  Stats,
  Transport,
} from './contract/admin.ts';
import { type ChannelSet, familyIn, familyPattern } from './contract/channels.ts';
import { selects } from './contract/filter.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { CourierError } from './errors.ts';
import { legibly } from './observe/legible.ts';
import type { LogContext, Logger } from './observe/logger.ts';
import { type Interval, seriesOf } from './observe/rates.ts';
import { addSubscribers, mergeStats } from './observe/stats.ts';
import type { Served } from './state/served.ts';
import { positionFrom } from './subscribe.ts';
import { type ClientConnections, connectionsByClient, contractUsersOf } from './usage/contract-users.ts';
import type { UsageRecorder } from './usage/recorder.ts';

/** Connections in one answer of an instance, at most. */
const MAX_CONNECTIONS = 1000;
/** Channels and families with the most subscribers in one answer of an instance, at most. */
const MAX_CHANNELS = 1000;
/** Channels listed for one connection, at most. */
const MAX_READ_CHANNELS = 50;
/** Recipients in one answer of an instance, at most. */
const MAX_RECIPIENTS = 100;

/** Where an event stands: its position, and what it was published on and as. */
export interface Published {
  readonly id: string;
  readonly channel: string;
  readonly type: string;
}

/** Who does something, for the log. */
export interface Actor extends LogContext {
  readonly user_id: string;
  readonly request_id: string;
}

export interface Administration {
  stats(): Promise<Stats>;
  /** The last 15 minutes. */
  series(): Promise<Series>;
  /** Channels and families that have subscribers, and channels that had events recently. */
  channels(): Promise<ChannelActivity[]>;
  /** @param sub narrows them to one principal's. */
  connections(sub: string | undefined): Promise<ListedConnections>;
  /**
   * The connections whose subscriptions select an event and began before it.
   *
   * @throws {CourierError} BAD_REQUEST when its position is none of this log.
   */
  recipients(event: Published): Promise<Recipients>;
  /** Who used the contract within the last 30 days. @throws {CourierError} SERVICE_UNAVAILABLE when that cannot be read. */
  contractUsers(): Promise<ContractUsers>;
  /** Closes a connection with 1013: its client may come back after a delay. Resolves to whether there was one. */
  disconnect(connectionId: string, by: Actor): Promise<boolean>;
  /** Refuses tokens from now on and ends the connections that were opened with them. Resolves to how many those were. */
  revoke(revoked: Revoked, by: Actor): Promise<number>;
  /** Of this instance, until its next start. */
  setLogLevel(level: LogLevel, by: Actor): Promise<void>;
  /** Marks an entity's states in the storage as to be made anew. @throws {CourierError} SERVICE_UNAVAILABLE when that cannot be stored. */
  rebuildState(entity: string, by: Actor): Promise<void>;
}

export interface AdministrationDeps {
  readonly connections: Connections;
  readonly pipeline: Served;
  readonly peers: Peers;
  /** The other workers of this instance. */
  readonly siblings: Peers;
  /** The number of this worker, where there are several. */
  readonly worker: number | undefined;
  readonly usage: Pick<UsageRecorder, 'write' | 'clients'>;
  /** Figures of this instance. */
  readonly stats: () => Promise<Stats>;
  /** What this instance did in the last 15 minutes. */
  readonly intervals: () => readonly Interval[];
  readonly logger: Logger;
}

export function createAdministration(deps: AdministrationDeps): Administration {
  const { connections, pipeline, peers, siblings, worker, usage, stats, intervals, logger } = deps;
  const subscribed = () => ownSubscribers(pipeline);
  const own: Answerers = {
    stats,
    series: intervals,
    channels: subscribed,
    connections: ({ sub }) => ownConnections(connections, pipeline.tail.seq, sub, worker),
    contractUsers: async () => {
      await usage.write();
      return connectionsByClient(connections.open);
    },
    recipients: (event) => ownRecipients(connections, event),
    disconnect: ({ connection_id }) => connections.disconnect(connection_id),
    oldestStream: ({ principal }) => connections.oldestStream(principal),
    yieldPlace: ({ principal, connection_id }) => connections.yieldPlace(principal, connection_id),
    revoked: () => connections.refreshRevocations(),
    logLevel: ({ level, by }) => {
      logger.setLevel(level, by);
      return null;
    },
  };
  peers.answer(own);
  siblings.answer(own);
  return {
    setLogLevel: async (level, by) => {
      logger.setLevel(level, by);
      await siblings.ask('logLevel', { level, by });
    },
    rebuildState: async (entity, by) => {
      await pipeline.states.rebuild(entity);
      logger.named('state').info('an entity is to be made anew', { ...by, entity });
    },
    stats: async () => {
      const [mine, others] = await Promise.all([stats(), peers.ask('stats', null)]);
      return mergeStats(mine, others as Stats[], peers.instances);
    },
    series: async () => {
      const others = (await peers.ask('series', null)) as Interval[][];
      return seriesOf([intervals(), ...others]);
    },
    channels: async () => {
      const others = (await peers.ask('channels', null)) as Stats['channels'][];
      const { activeChannels } = pipeline.hub;
      const subscribers = addSubscribers([subscribed(), ...others]);
      const channels = new Set([...subscribers.keys(), ...activeChannels.channels]);
      return [...channels].map((channel) => ({ channel, subscribers: subscribers.get(channel) ?? 0, ...activeChannels.of(channel) }));
    },
    connections: async (sub) => {
      const mine = ownConnections(connections, pipeline.tail.seq, sub, worker);
      const all = [mine, ...((await peers.ask('connections', { sub: sub ?? null })) as ListedConnections[])];
      const listed = all.flatMap((one) => one.connections.map(revived));
      return {
        total: totalOf(all),
        connections: listed.sort((a, b) => a.since.getTime() - b.since.getTime()),
      };
    },
    recipients: async ({ id, channel, type }) => {
      const { seq } = await knownPosition(pipeline, id);
      const event = { seq, channel, type };
      const all = [ownRecipients(connections, event), ...((await peers.ask('recipients', event)) as Recipients[])];
      return { total: totalOf(all), recipients: all.flatMap(({ recipients }) => recipients) };
    },
    contractUsers: async () => {
      // Before what is stored is read: the others write theirs for this.
      const others = (await peers.ask('contractUsers', null)) as ClientConnections[][];
      const clients = await usage.clients();
      return contractUsersOf(pipeline.contract, clients, [connectionsByClient(connections.open), ...others].flat());
    },
    disconnect: async (connection_id, by) => {
      const wasThere = connections.disconnect(connection_id) || (await peers.ask('disconnect', { connection_id })).includes(true);
      if (wasThere) logger.info('a connection was closed by an administrator', { ...by, connection_id });
      return wasThere;
    },
    revoke: async (revoked, by) => {
      const mine = await connections.revoke(revoked);
      const ended = (await peers.ask('revoked', null)).reduce((sum, count) => sum + count, mine);
      logger.named('auth').info('tokens were revoked', { ...by, revoked: legibly({ ...revoked }), ended });
      return ended;
    },
  };
}

function totalOf(parts: readonly { readonly total: number }[]): number {
  return parts.reduce((sum, { total }) => sum + total, 0);
}

/** @throws {CourierError} BAD_REQUEST for a position that no event of this log has. */
async function knownPosition({ log }: Pipeline, id: string): Promise<{ readonly seq: number }> {
  const position = positionFrom('id', id);
  const { head } = await log.bounds();
  if (log.positions.resume(position, head).gap === undefined) return position;
  const message = 'is not a position of this log';
  throw new CourierError('BAD_REQUEST', `id: ${message}`, { issues: [{ path: 'id', message }] });
}

/** Subscribers of the busiest channels and families, and of every channel that had events recently. */
function ownSubscribers({ hub }: Pipeline): Stats['channels'] {
  const busiest = hub.busiest(MAX_CHANNELS);
  const listed = new Set(busiest.map(({ channel }) => channel));
  const others = hub.activeChannels.channels.flatMap((channel) => {
    const subscribers = listed.has(channel) ? 0 : hub.subscribersOf(channel);
    return subscribers === 0 ? [] : [{ channel, subscribers }];
  });
  return [...busiest, ...others];
}

function ownConnections(
  connections: Connections,
  head: number,
  sub: string | null | undefined,
  worker: number | undefined,
): ListedConnections {
  const all = connections.open.filter(({ principal }) => sub === null || sub === undefined || principal.sub === sub);
  const oldest = all.sort((a, b) => a.since - b.since).slice(0, MAX_CONNECTIONS);
  return { total: all.length, connections: oldest.map((connection) => describe(connection, head, worker)) };
}

function ownRecipients(
  connections: Connections,
  event: { readonly seq: number; readonly channel: string; readonly type: string },
): Recipients {
  const recipients = connections.open.flatMap((connection) => recipientOf(connection, event));
  return { total: recipients.length, recipients: recipients.slice(0, MAX_RECIPIENTS) };
}

/** The connection, when one of its subscriptions selects the event and began before it. */
function recipientOf(
  { id: connection_id, transport, principal, subscriptions }: Connection,
  { seq, channel, type }: { readonly seq: number; readonly channel: string; readonly type: string },
): Recipient[] {
  const family = familyIn(channel);
  if (transport === undefined) return [];
  const selecting = subscriptions.filter(
    ({ filter, subscriber }) => selects(filter, { family, channel, type }) && subscriber.startSeq < seq,
  );
  if (selecting.length === 0) return [];
  const handed = selecting.every(({ subscriber }) => subscriber.cursor >= seq);
  return [{ connection_id, sub: principal.sub, role: principal.role, transport, handed }];
}

function describe(connection: Connection, head: number, worker: number | undefined): ConnectionFigures {
  const { id, principal, transport, address, identity, since, subscriptions, wire } = connection;
  return {
    connection_id: id,
    sub: principal.sub,
    role: principal.role,
    transport: transport as Transport,
    address,
    client: identity?.client ?? null,
    contract: identity?.contract ?? null,
    since: new Date(since),
    expires_at: new Date(principal.expiresAt),
    subscriptions: subscriptions.length,
    channels: channelsOf(subscriptions.map(({ filter }) => filter.channels)),
    worker: worker ?? null,
    buffered_bytes: wire?.bufferedBytes ?? 0,
    lag: Math.max(0, ...subscriptions.map(({ subscriber }) => head - subscriber.cursor)),
  };
}

/** Some of the channels in the sets, each once, families first. */
function channelsOf(sets: readonly ChannelSet[]): string[] {
  const found = new Set<string>();
  for (const { families } of sets) for (const family of families) found.add(familyPattern(family));
  for (const { singles } of sets) {
    for (const channel of singles) {
      if (found.size >= MAX_READ_CHANNELS) return [...found];
      found.add(channel);
    }
  }
  return [...found];
}

/** Dates of other instances come as text; an instance of another version may leave out what its clients are and read. */
function revived(connection: ConnectionFigures): ConnectionFigures {
  const { client = null, contract = null, channels = [], worker = null, since, expires_at } = connection;
  return { ...connection, client, contract, channels, worker, since: new Date(since), expires_at: new Date(expires_at) };
}
