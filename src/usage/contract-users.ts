/** Who used the contract, as admins read it: what is kept of each client, with the types of the contract and its connections now. */

import type { ContractUser, ContractUsers } from '../contract/admin.ts';
import { familyPattern } from '../contract/channels.ts';
import type { Contract } from '../contract/contract.ts';
import type { Caller } from './usage.ts';
import { type Client, type ContractClient, DAY_MS, KEPT_FIRST, textOf, type UseKind } from './usage.ts';

/** Users in one answer, at most. */
const MAX_USERS = 1000;
/** The length of an answer as text, at most: contracts may have many types. */
const MAX_UNITS = 2 * 1024 * 1024;
/** Clients with connections in the answer of one instance to another, at most. */
const MAX_COUNTED = 5000;

/** How many connections a client has. */
export interface ClientConnections extends Client {
  readonly connections: number;
}

/** The connections of one instance. */
export function connectionsByClient(open: readonly Caller[]): ClientConnections[] {
  const clients = open.map(({ principal: { sub, role }, identity }) => ({
    client: identity?.client ?? null,
    contract: identity?.contract ?? null,
    sub,
    role,
  }));
  const byKey = Map.groupBy(clients, clientKey);
  return [...byKey.values()].slice(0, MAX_COUNTED).map((own) => ({ ...(own[0] as Client), connections: own.length }));
}

/** @param connections of all instances. */
export function contractUsersOf(
  contract: Contract,
  clients: readonly ContractClient[],
  connections: readonly ClientConnections[],
): ContractUsers {
  const counts = new Map<string, number>();
  for (const one of connections) counts.set(clientKey(one), one.connections + (counts.get(clientKey(one)) ?? 0));
  const inOrder = clients.map((client) => ({ client, lastDay: Math.max(...client.uses.values()) })).sort(byImportance);
  const users: ContractUser[] = [];
  let units = 0;
  for (const { client, lastDay } of inOrder.slice(0, MAX_USERS)) {
    const user = userOf(contract, client, lastDay, counts.get(clientKey(client)) ?? 0);
    units += JSON.stringify(user).length;
    if (units > MAX_UNITS) break;
    users.push(user);
  }
  return { total: clients.length, users };
}

function userOf(contract: Contract, { uses, ...client }: ContractClient, lastDay: number, connections: number): ContractUser {
  const names = (kind: UseKind) =>
    [...uses.keys()].filter((use) => use.startsWith(textOf(kind, ''))).map((use) => use.slice(kind.length + 1));
  const types = [...contract.types.keys()];
  const selected = new Set([...names('named'), ...names('followed').flatMap((family) => contract.typesOn(family))]);
  return {
    ...client,
    published: inOrderOf(types, new Set(names('published'))),
    subscribed: inOrderOf(types, selected),
    channels: inOrderOf(contract.channels.families, new Set(names('channel'))).map(familyPattern),
    connections,
    last_seen: new Date(lastDay * DAY_MS).toISOString().slice(0, 'yyyy-mm-dd'.length),
  };
}

/** Those of `all` first, and then those that the contract does not have any more. */
function inOrderOf(all: readonly string[], names: ReadonlySet<string>): string[] {
  return [...all.filter((name) => names.has(name)), ...names.difference(new Set(all))];
}

interface Dated {
  readonly client: ContractClient;
  readonly lastDay: number;
}

function byImportance(a: Dated, b: Dated): number {
  return (
    KEPT_FIRST.indexOf(a.client.role) - KEPT_FIRST.indexOf(b.client.role) ||
    b.lastDay - a.lastDay ||
    (clientKey(a.client) < clientKey(b.client) ? -1 : 1)
  );
}

/** None of the texts has a space. */
function clientKey({ role, sub, client, contract }: Client): string {
  return `${role} ${sub} ${client ?? ''} ${contract ?? ''}`;
}
