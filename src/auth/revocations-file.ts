/** Revocations of a single instance: in a file, or nowhere. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { readProblem } from '../owners.ts';
import { type Revocation, type RevocationStore, revocation } from './revocations.ts';

/**
 * @param path where; undefined keeps them as long as the process lives.
 * @param earlier where earlier versions kept them: read while there is nothing at `path`, and never written.
 */
export function revocationFile(path: string | undefined, earlier?: string): RevocationStore {
  let isLoaded = false;
  return {
    load: async (since) => {
      if (isLoaded || path === undefined) return [];
      isLoaded = true;
      const kept = read(path) ?? (earlier === undefined ? undefined : read(earlier)) ?? [];
      return kept.filter(({ at }) => at > since);
    },
    add: async (_one, kept) => {
      if (path === undefined) return;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, JSON.stringify([...kept]), { mode: 0o600, flush: true });
      renameSync(`${path}.new`, path);
    },
  };
}

/** Undefined where there is no such file. */
function read(path: string): Revocation[] | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`the revocations beside the log of COURIER_LOG cannot be read: ${readProblem(path, error)}`, { cause: error });
  }
  try {
    return z.array(revocation).parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${path} is not a list of revocations; mend or remove it`, { cause });
  }
}
