/** Counts connected clients by the contract that they were built with: as a list for people, in a few classes for metrics. */
import type { ClientCount, ClientIdentity } from '../contract/admin.ts';

/** Clients listed, at most. */
const MAX_CLIENTS = 50;

/** Adds up the counts of equal clients. Most connections first, the 50 with the most. */
export function sumClients(counts: readonly ClientCount[]): ClientCount[] {
  const sums = new Map<string, ClientCount>();
  for (const { client, contract, connections } of counts) {
    const key = clientKey(client, contract);
    sums.set(key, { client, contract, connections: connections + (sums.get(key)?.connections ?? 0) });
  }
  const inOrder = [...sums].sort(([keyA, a], [keyB, b]) => b.connections - a.connections || keyA.localeCompare(keyB));
  return inOrder.slice(0, MAX_CLIENTS).map(([, sum]) => sum);
}

/** Neither text is ever empty or has a space. */
function clientKey(client: string | null, contract: string | null): string {
  return `${client ?? ''} ${contract ?? ''}`;
}

/** Courier's own clients, and all others, with clients that do not say what they are. */
export type ClientClass = 'typescript' | 'python' | 'other';
/** Whether the contract is that of the gateway. */
export type ContractClass = 'current' | 'other' | 'unknown';

const NONE: Readonly<Record<ContractClass, number>> = { current: 0, other: 0, unknown: 0 };

/**
 * Counts connections by their classes, of which there are always the same few.
 *
 * @param clients one for each connection.
 * @param own the hash of the gateway's contract.
 */
export function countByClass(
  clients: readonly ClientIdentity[],
  own: string,
): Readonly<Record<ClientClass, Readonly<Record<ContractClass, number>>>> {
  const counts = { typescript: { ...NONE }, python: { ...NONE }, other: { ...NONE } };
  for (const { client, contract } of clients) counts[clientClassOf(client)][contractClassOf(contract, own)] += 1;
  return counts;
}

function clientClassOf(client: string | null): ClientClass {
  if (client?.startsWith('courier-client-typescript/')) return 'typescript';
  return client?.startsWith('courier-client-python/') ? 'python' : 'other';
}

function contractClassOf(contract: string | null, own: string): ContractClass {
  if (contract === null) return 'unknown';
  return contract === own ? 'current' : 'other';
}
