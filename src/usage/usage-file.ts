/** Uses of the contract as a single instance keeps them: in a file, or nowhere but in memory. */
import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ROLES } from '../contract/admin.ts';
import { KeptClients } from './kept-clients.ts';
import type { ContractClient, UsageStore } from './usage.ts';

const clientList = z.array(
  z.strictObject({
    client: z.string().nullable(),
    contract: z.string().nullable(),
    sub: z.string(),
    role: z.enum(ROLES),
    uses: z.record(z.string(), z.int()),
  }),
);

/**
 * @param path where; undefined keeps them as long as the process lives.
 * @param onError told when the file cannot be used: what it had is forgotten with the next write.
 */
export function usageFile(path: string | undefined, onError: (error: unknown) => void): UsageStore {
  const kept = new KeptClients();
  // Their days are judged when they are asked for.
  for (const client of path === undefined ? [] : read(path, onError)) kept.add(client, Number.POSITIVE_INFINITY);
  return {
    add: async (clients, today) => {
      for (const client of clients) kept.add(client, today);
      kept.expire(today);
      if (path === undefined) return;
      await mkdir(dirname(path), { recursive: true });
      const text = JSON.stringify(kept.all.map(({ uses, ...client }) => ({ ...client, uses: Object.fromEntries(uses) })));
      await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
    },
    load: async (today) => {
      kept.expire(today);
      return kept.all;
    },
  };
}

function read(path: string, onError: (error: unknown) => void): ContractClient[] {
  try {
    const clients = clientList.parse(JSON.parse(readFileSync(path, 'utf8')));
    return clients.map(({ uses, ...client }) => ({ ...client, uses: new Map(Object.entries(uses)) }));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      onError(new Error(`${path} cannot be read: who used the contract is noted anew`, { cause: error }));
    }
    return [];
  }
}
