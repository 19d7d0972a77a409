/** The secret that signs tokens in development: made once and kept beside the log, so that tokens outlive restarts. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readProblem } from '../owners.ts';

/** As much of where the log is as tells where the secret is to be. */
type LogPlace = { readonly kind: 'memory' | 'postgres' } | { readonly kind: 'sqlite'; readonly path: string };

/** Where the secret is kept: beside the log's file, or in `data`; undefined with the memory log, whose secret lives as long as the process. */
export function developmentSecretPath(log: LogPlace): string | undefined {
  if (log.kind === 'memory') return undefined;
  return join(log.kind === 'sqlite' ? dirname(log.path) : 'data', 'development-secret');
}

/** Reads the secret, or makes it. The file is readable by its owner only. */
export function developmentSecret(log: LogPlace): string {
  const secret = randomBytes(32).toString('base64url');
  const path = developmentSecretPath(log);
  if (path === undefined) return secret;
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeFileSync(path, secret, { mode: 0o600, flag: 'wx' });
    return secret;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    return read(path);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new Error(`the secret of development cannot be read: ${readProblem(path, cause)}`, { cause });
  }
}
