/**
 * Tokens that are no longer valid though they have not expired: one by its `jti`, or all of a `sub` that were issued
 * before the moment of revoking. Kept until every such token has expired.
 */
import { z } from 'zod';
import type { Principal } from './principal.ts';

/** How long a revocation is kept, in ms: no token should live longer. */
export const KEPT_MS = 90 * 24 * 60 * 60 * 1000;

/** One that is to be revoked. */
export type Revoked = { readonly sub: string } | { readonly jti: string };

export const revocation = z.union([
  z.strictObject({ sub: z.string(), at: z.number() }),
  z.strictObject({ jti: z.string(), at: z.number() }),
]);
/** `at`: when it was revoked, in ms since 1970. */
export type Revocation = z.output<typeof revocation>;

/** Where revocations are kept. */
export interface RevocationStore {
  /** Those that this store has not given before. */
  load(): Promise<readonly Revocation[]>;
  /** Durable when it resolves. @param kept all that there are, this one among them. */
  add(one: Revocation, kept: Iterable<Revocation>): Promise<void>;
}

export class Revocations {
  readonly #store: RevocationStore;
  /** When the tokens of a `sub` were revoked, in ms since 1970. */
  readonly #subs = new Map<string, number>();
  readonly #jtis = new Map<string, number>();

  private constructor(store: RevocationStore) {
    this.#store = store;
  }

  /** @throws when what is kept cannot be read. */
  static async open(store: RevocationStore): Promise<Revocations> {
    const revocations = new Revocations(store);
    await revocations.refresh();
    return revocations;
  }

  /** Revokes as of now. Durable when it resolves. */
  async add(revoked: Revoked): Promise<void> {
    const at = Date.now();
    for (const known of [this.#subs, this.#jtis]) for (const [name, since] of known) if (since <= at - KEPT_MS) known.delete(name);
    const one = { ...revoked, at };
    this.#note(one);
    await this.#store.add(one, this.#all());
  }

  /** Takes over what others have revoked. Returns whether there was something. */
  async refresh(): Promise<boolean> {
    const fresh = await this.#store.load();
    for (const one of fresh) this.#note(one);
    return fresh.length > 0;
  }

  has({ sub, jti, issuedAt }: Principal): boolean {
    if (jti !== undefined && this.#jtis.has(jti)) return true;
    const at = this.#subs.get(sub);
    // A token that does not say when it was issued was issued before.
    return at !== undefined && (issuedAt ?? 0) <= at;
  }

  #note(one: Revocation): void {
    if ('sub' in one) this.#subs.set(one.sub, Math.max(one.at, this.#subs.get(one.sub) ?? 0));
    else this.#jtis.set(one.jti, one.at);
  }

  *#all(): Generator<Revocation> {
    for (const [sub, at] of this.#subs) yield { sub, at };
    for (const [jti, at] of this.#jtis) yield { jti, at };
  }
}
