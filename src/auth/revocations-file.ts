/** Revocations of a single instance: in a file, or nowhere. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { type Revocation, type RevocationStore, revocation } from './revocations.ts';

/** @param path where; undefined keeps them as long as the process lives. */
export function revocationFile(path: string | undefined): RevocationStore {
  let isLoaded = false;
  return {
    load: async (since) => {
      if (isLoaded || path === undefined) return [];
      isLoaded = true;
      return read(path).filter(({ at }) => at > since);
    },
    add: async (_one, kept) => {
      if (path === undefined) return;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, JSON.stringify([...kept]), { mode: 0o600, flush: true });
      renameSync(`${path}.new`, path);
    },
  };
}

function read(path: string): Revocation[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  try {
    return z.array(revocation).parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${path} is not a list of revocations; mend or remove it`, { cause });
  }
}
