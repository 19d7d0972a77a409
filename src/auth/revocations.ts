/**
 * Tokens that are no longer valid though they have not expired: one by its `jti`, or all of a `sub`, of every role or of
 * one, that were issued before the moment of revoking. Kept until every such token has expired.
 */
import { z } from 'zod';
import { ROLES } from '../contract/admin.ts';
import { CLOCK_TOLERANCE_MS } from './claims.ts';
import { type Principal, principalKey } from './principal.ts';

const ofSub = z.strictObject({ sub: z.string(), role: z.enum(ROLES).optional(), at: z.number() });
const ofToken = z.strictObject({ jti: z.string(), at: z.number() });
export const revocation = z.union([ofSub, ofToken]);
/** `at`: when it was revoked, in ms since 1970. */
export type Revocation = z.output<typeof revocation>;

/** What is to be revoked: the tokens of a `sub`, of every role where none is named, or one token. */
export type Revoked = Readonly<Omit<z.output<typeof ofSub>, 'at'>> | Readonly<Omit<z.output<typeof ofToken>, 'at'>>;

/** Where revocations are kept. */
export interface RevocationStore {
  /** Revocations after `since`, in ms since 1970, that this store has not returned before. */
  load(since: number): Promise<readonly Revocation[]>;
  /**
   * Durable when it resolves.
   *
   * @param kept all revocations with this one; the ones up to `since` are not needed any more.
   */
  add(one: Revocation, kept: Iterable<Revocation>, since: number): Promise<void>;
}

export class Revocations {
  readonly #store: RevocationStore;
  readonly #keptMs: number;
  /** The latest of each thing revoked, by its name. */
  readonly #latest = new Map<string, Revocation>();

  private constructor(store: RevocationStore, maxLifetimeMs: number) {
    this.#store = store;
    // The last token that is concerned may have been issued, and be taken, this much later by the clock of its issuer.
    this.#keptMs = maxLifetimeMs + 2 * CLOCK_TOLERANCE_MS;
  }

  /**
   * @param maxLifetimeMs how long a token may live.
   * @throws when what is kept cannot be read.
   */
  static async open(store: RevocationStore, maxLifetimeMs: number): Promise<Revocations> {
    const revocations = new Revocations(store, maxLifetimeMs);
    await revocations.refresh();
    return revocations;
  }

  /** Revokes as of now. Durable when it resolves. */
  async add(revoked: Revoked): Promise<void> {
    const at = Date.now();
    const since = at - this.#keptMs;
    for (const [name, known] of this.#latest) if (known.at <= since) this.#latest.delete(name);
    const one = { ...revoked, at };
    this.#note(one);
    await this.#store.add(one, this.#latest.values(), since);
  }

  /** Takes over what others have revoked. Returns whether there was something. */
  async refresh(): Promise<boolean> {
    const fresh = await this.#store.load(Date.now() - this.#keptMs);
    for (const one of fresh) this.#note(one);
    return fresh.length > 0;
  }

  has({ sub, role, jti, issuedAt }: Principal): boolean {
    if (jti !== undefined && this.#latest.has(revokedName({ jti }))) return true;
    const times = [{ sub }, { sub, role }].map((revoked) => this.#latest.get(revokedName(revoked))?.at ?? Number.NEGATIVE_INFINITY);
    // A token that does not say when it was issued was issued before; the clock of an issuer may be ahead.
    return (issuedAt ?? 0) <= Math.max(...times) + CLOCK_TOLERANCE_MS;
  }

  #note(one: Revocation): void {
    const name = revokedName(one);
    const at = Math.max(one.at, this.#latest.get(name)?.at ?? 0);
    this.#latest.set(name, { ...one, at });
  }
}

/** A name that nothing else revoked has: its first word says what it is of. */
/** The name of what is revoked. */
export function revokedName(revoked: Revoked): string {
  if ('jti' in revoked) return `jti ${revoked.jti}`;
  const { sub, role } = revoked;
  return role === undefined ? `sub ${sub}` : `principal ${principalKey({ sub, role })}`;
}
