/**
 * Tokens that were found valid a moment ago, so that a caller of many requests has its signature checked once. Bounded in
 * bytes; the timer that forgets runs only while something is remembered.
 */
import { bytesInMemory } from '../limits/bytes.ts';
import type { Principal } from './principal.ts';

/** How long a token is remembered, in ms: a key that was withdrawn is noticed then. */
const REMEMBERED_MS = 60_000;
const SWEEP_MS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;
/** What an entry takes on the heap of V8, and each of its grants, beside their texts: as measured, rounded up. */
const ENTRY_BYTES = 1200;
const GRANT_BYTES = 64;

interface Entry {
  readonly principal: Principal;
  /** In ms since 1970. */
  readonly until: number;
  readonly bytes: number;
}

export class VerifiedTokens implements Disposable {
  readonly #maxBytes: number;
  /** By the token, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #sweep: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor({ maxBytes = MAX_BYTES }: { readonly maxBytes?: number } = {}) {
    this.#maxBytes = maxBytes;
  }

  /** What all entries take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  find(token: string): Principal | undefined {
    const entry = this.#entries.get(token);
    return entry !== undefined && Date.now() < entry.until ? entry.principal : undefined;
  }

  /** Remembers until the token expires, for a minute at most; forgets the oldest where room is needed. */
  remember(token: string, principal: Principal): void {
    // What was being verified at the end.
    if (this.#disposed) return;
    this.#forget(token);
    const bytes = bytesInMemory(token.length) + bytesOfPrincipal(principal);
    // Its own copy: the token is a part of a longer text.
    this.#entries.set(Buffer.from(token, 'latin1').toString('latin1'), {
      principal,
      until: Math.min(principal.expiresAt, Date.now() + REMEMBERED_MS),
      bytes,
    });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
    this.#sweep ??= setInterval(() => this.#forgetExpired(), SWEEP_MS).unref();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    this.#entries.clear();
    this.#bytes = 0;
  }

  #forget(token: string): void {
    this.#bytes -= this.#entries.get(token)?.bytes ?? 0;
    this.#entries.delete(token);
  }

  #forgetExpired(): void {
    const now = Date.now();
    for (const [token, { until }] of this.#entries) if (until <= now) this.#forget(token);
    if (this.#entries.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

function bytesOfPrincipal({ sub, jti, readable, writable }: Principal): number {
  let bytes = ENTRY_BYTES + sub.length + (jti?.length ?? 0);
  for (const { singles } of [readable, writable]) for (const channel of singles) bytes += GRANT_BYTES + channel.length;
  return bytes;
}
