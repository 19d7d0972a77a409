/** `courier connections`, `courier revoke`: for those who run the gateway. */
import type { Revoked } from '../../src/auth/revocations.ts';
import { type ConnectionOptions, httpClient } from './connection.ts';
import { print, tell } from './output.ts';
import { rowLines } from './table.ts';

export interface ConnectionsOptions extends ConnectionOptions {
  readonly sub?: string | undefined;
  readonly json?: boolean | undefined;
}

export async function connections(options: ConnectionsOptions): Promise<void> {
  const trpc = await httpClient(options);
  const { total, connections: rows } = await trpc.admin.connections.query({ sub: options.sub });
  const lines = options.json ? rows.map((row) => JSON.stringify(row)) : rowLines(rows);
  for (const line of lines) await print(line);
  if (total === 0) tell('none');
  if (total > rows.length) tell(`${total - rows.length} more are not shown`);
}

/** @param what every token of a `sub` until now, of one role or of all, or one by its `jti`. */
export async function revoke(what: Revoked, options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const trpc = await httpClient(options);
  const { ended } = await trpc.admin.revoke.mutate(what);
  await print(options.json ? JSON.stringify({ ended }) : `revoked; connections that ended: ${ended}`);
}
