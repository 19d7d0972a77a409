/** `GET /stats`: the gateway in figures, for people and for the dashboard. */
import { type ClientIdentity, ROLES, type Role, type Stats, type Transport } from '../contract/admin.ts';
import type { EventLog } from '../log/log.ts';
import { sumClients } from './clients.ts';

/** Channels listed, at most. */
const BUSIEST_CHANNELS = 100;

export interface StatsSources {
  readonly version: string;
  readonly contract: string;
  readonly startedAt: number;
  readonly connections: () => Readonly<Record<Transport, number>>;
  /** Roles of the principals that are connected, one for each connection. */
  readonly roles: () => readonly Role[];
  /** What they say that they are, one for each connection. */
  readonly clients: () => readonly ClientIdentity[];
  readonly hub: { readonly subscribers: number; busiest(most: number): Stats['channels'] };
  readonly rates: () => Stats['rates'];
  readonly log: EventLog;
  readonly logReads: () => number;
}

export async function collectStats({ log, hub, ...sources }: StatsSources): Promise<Stats> {
  const [{ first, head }, bytes] = await Promise.all([log.bounds(), log.bytes()]);
  const transport = sources.connections();
  const roles = sources.roles();
  return {
    version: sources.version,
    contract: sources.contract,
    uptime: (Date.now() - sources.startedAt) / 1000,
    instances: 1,
    workers: 1,
    connections: {
      total: transport.trpc + transport.plain + transport.sse,
      transport,
      role: Object.fromEntries(ROLES.map((role) => [role, roles.filter((other) => other === role).length])) as Record<Role, number>,
    },
    clients: sumClients(sources.clients().map(({ client, contract }) => ({ client, contract, connections: 1 }))),
    subscriptions: hub.subscribers,
    channels: hub.busiest(BUSIEST_CHANNELS),
    rates: sources.rates(),
    log: {
      head: log.positions.at(head),
      first_retained: log.positions.at(first),
      events: head - first + 1,
      bytes,
      reads: sources.logReads(),
    },
  };
}

/** The figures of several instances, and their workers, as one. The log is the same for all. */
export function mergeStats(own: Stats, others: readonly Stats[], instances: number): Stats {
  const all = [own, ...others];
  const subscribers = addSubscribers(all.map(({ channels }) => channels));
  const channels = [...subscribers].map(([channel, count]) => ({ channel, subscribers: count }));
  channels.sort((a, b) => b.subscribers - a.subscribers || a.channel.localeCompare(b.channel));
  return {
    ...own,
    instances,
    // An instance of another version does not tell.
    workers: sum(all.map(({ workers = 1 }) => workers)),
    connections: {
      total: sum(all.map(({ connections }) => connections.total)),
      transport: sumOf(all.map(({ connections }) => connections.transport)),
      role: sumOf(all.map(({ connections }) => connections.role)),
    },
    // An instance of another version may not list them.
    clients: sumClients(all.flatMap(({ clients = [] }) => clients)),
    subscriptions: sum(all.map(({ subscriptions }) => subscriptions)),
    channels: channels.slice(0, BUSIEST_CHANNELS),
    rates: sumOf(all.map(({ rates }) => rates)),
    log: { ...own.log, reads: sum(all.map(({ log }) => log.reads)) },
  };
}

/** The subscribers of all instances, by channel and family. */
export function addSubscribers(instances: readonly Stats['channels'][]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { channel, subscribers } of instances.flat()) sums.set(channel, (sums.get(channel) ?? 0) + subscribers);
  return sums;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function sumOf<K extends string>(records: readonly Readonly<Record<K, number>>[]): Record<K, number> {
  // One of another version may not have all of them.
  const keys = Object.keys(records[0] ?? {}) as K[];
  return Object.fromEntries(keys.map((key) => [key, sum(records.map((record) => record[key] ?? 0))])) as Record<K, number>;
}
