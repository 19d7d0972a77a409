/**
 * Tokens that are no longer valid though they have not expired: one by its `jti`, or all of a `sub` that were issued
 * before the moment of revoking. Kept until every such token has expired, in a file beside the log where there is one.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { LogTarget } from '../config.ts';
import type { Principal } from './principal.ts';

/** How long a revocation is kept, in ms: no token should live longer. */
const KEPT_MS = 90 * 24 * 60 * 60 * 1000;

const entry = z.union([z.strictObject({ sub: z.string(), at: z.number() }), z.strictObject({ jti: z.string(), at: z.number() })]);
const file = z.array(entry);
type Entry = z.output<typeof entry>;

export type Revoked = { readonly sub: string } | { readonly jti: string };

export class Revocations {
  readonly #path: string | undefined;
  /** When the tokens of a `sub` were revoked, in ms since 1970. */
  readonly #subs = new Map<string, number>();
  readonly #jtis = new Map<string, number>();

  /** @throws when the file cannot be read or is none of ours. */
  constructor(log: LogTarget) {
    this.#path = log.kind === 'sqlite' ? join(dirname(log.path), 'revocations.json') : undefined;
    for (const one of this.#read()) this.#note(one);
  }

  /** Revokes as of now. Durable when it returns. */
  add(revoked: Revoked): void {
    const at = Date.now();
    for (const known of [this.#subs, this.#jtis]) for (const [name, since] of known) if (since <= at - KEPT_MS) known.delete(name);
    this.#note({ ...revoked, at });
    if (this.#path === undefined) return;
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(`${this.#path}.new`, JSON.stringify([...this.#entries()]), { mode: 0o600, flush: true });
    renameSync(`${this.#path}.new`, this.#path);
  }

  has({ sub, jti, issuedAt }: Principal): boolean {
    if (jti !== undefined && this.#jtis.has(jti)) return true;
    const at = this.#subs.get(sub);
    // A token that does not say when it was issued was issued before.
    return at !== undefined && (issuedAt ?? 0) <= at;
  }

  #note(one: Entry): void {
    if ('sub' in one) this.#subs.set(one.sub, Math.max(one.at, this.#subs.get(one.sub) ?? 0));
    else this.#jtis.set(one.jti, one.at);
  }

  *#entries(): Generator<Entry> {
    for (const [sub, at] of this.#subs) yield { sub, at };
    for (const [jti, at] of this.#jtis) yield { jti, at };
  }

  #read(): Entry[] {
    if (this.#path === undefined) return [];
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
    try {
      return file.parse(JSON.parse(text));
    } catch (cause) {
      throw new Error(`${this.#path} is not a list of revocations; mend or remove it`, { cause });
    }
  }
}
