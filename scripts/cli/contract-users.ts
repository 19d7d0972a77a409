/** `courier contract users`, and who is named by `courier contract check --gateway`: who used the contract, as a gateway knows it. */
import type { ContractUser } from '../../src/contract/admin.ts';
import { type ContractChange, isBreaking } from '../contract/compatibility.ts';
import { affectedBy, affectedLine } from '../contract/users.ts';
import { type ConnectionOptions, httpClient } from './connection.ts';
import { print, tell } from './output.ts';
import { rowLines } from './table.ts';

export async function contractUsers({ json, ...options }: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const users = await usersOf(options);
  for (const line of json ? users.map((user) => JSON.stringify(user)) : linesOf(users)) await print(line);
  if (users.length === 0) tell('nobody used the contract within the last 30 days');
}

/** Prints whom each breaking change breaks; asks no gateway where there is none. */
export async function printAffected(
  changes: readonly ContractChange[],
  newHash: string,
  { json, ...options }: ConnectionOptions & { readonly json?: boolean | undefined },
): Promise<void> {
  if (!changes.some(isBreaking)) return;
  for (const affected of affectedBy(changes, await usersOf(options), newHash)) {
    await print(json ? JSON.stringify({ ...affected.change, users: affected.users }) : affectedLine(affected));
  }
}

async function usersOf(options: ConnectionOptions): Promise<readonly ContractUser[]> {
  const { total, users } = await (await httpClient(options)).admin.contractUsers.query();
  if (total > users.length) tell(`${total - users.length} more are not shown`);
  return users;
}

/** A row for each user, with its types and channels below. */
function linesOf(users: readonly ContractUser[]): string[] {
  const [head, ...rows] = rowLines(
    users.map(({ client, contract, sub, role, connections, last_seen }) => ({ sub, role, client, contract, connections, last_seen })),
  );
  if (head === undefined) return [];
  const body = users.flatMap(({ published, subscribed, channels }, index) => [
    rows[index] as string,
    ...Object.entries({ published, subscribed, channels })
      .filter(([, names]) => names.length > 0)
      .map(([name, names]) => `  ${name.padEnd('subscribed'.length)}  ${names.join(', ')}`),
  ]);
  return [head, ...body];
}
