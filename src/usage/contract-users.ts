/** Who used the contract, as admins read it: what is kept of each client, with the types of the contract and its connections now. */

import type { ContractUser, ContractUsers } from '../contract/admin.ts';
import { familyPattern } from '../contract/channels.ts';
import type { Contract } from '../contract/contract.ts';
import type { Caller } from './usage.ts';
import { type Client, type ContractClient, DAY_MS, KEPT_FIRST, textOf, type UseKind } from './usage.ts';

/** Users in one answer, at most. */
const MAX_USERS = 1000;
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
  const users = clients.map((client) => userOf(contract, client, counts.get(clientKey(client)) ?? 0));
  return { total: users.length, users: users.sort(inOrder).slice(0, MAX_USERS) };
}

function userOf(contract: Contract, { uses, ...client }: ContractClient, connections: number): ContractUser {
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
    last_seen: new Date(Math.max(...uses.values()) * DAY_MS).toISOString().slice(0, 'yyyy-mm-dd'.length),
  };
}

/** Those of `all` first, and then those that the contract does not have any more. */
function inOrderOf(all: readonly string[], names: ReadonlySet<string>): string[] {
  return [...all.filter((name) => names.has(name)), ...names.difference(new Set(all))];
}

function inOrder(a: ContractUser, b: ContractUser): number {
  return (
    KEPT_FIRST.indexOf(a.role) - KEPT_FIRST.indexOf(b.role) ||
    b.last_seen.localeCompare(a.last_seen) ||
    clientKey(a).localeCompare(clientKey(b))
  );
}

/** None of the texts has a space. */
function clientKey({ role, sub, client, contract }: Client): string {
  return `${role} ${sub} ${client ?? ''} ${contract ?? ''}`;
}
