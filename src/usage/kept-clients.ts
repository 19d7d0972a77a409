/** Clients and their uses in memory, within the bounds of a UsageStore and dropped in its order. */
import type { Role } from '../contract/admin.ts';
import { BOUNDS, CLIENT_BYTES, type Client, type ContractClient, isKept, KEPT_FIRST, USE_BYTES } from './usage.ts';

interface KeptClient extends ContractClient {
  readonly uses: Map<string, number>;
}

export class KeptClients {
  /** By `sub`, then by what the client says that it is. */
  readonly #bySub: Readonly<Record<Role, Map<string, Map<string, KeptClient>>>> = { user: new Map(), service: new Map(), admin: new Map() };
  /** The one that was added to longest ago first. */
  readonly #inOrder: Readonly<Record<Role, Set<KeptClient>>> = { user: new Set(), service: new Set(), admin: new Set() };
  /** The day of all uses of a client that has as many as are kept. */
  readonly #fullOn = new WeakMap<KeptClient, number>();
  #bytes = 0;

  get size(): number {
    return KEPT_FIRST.reduce((sum, role) => sum + this.#inOrder[role].size, 0);
  }

  /** Bytes of all, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those that were added to longest ago first. */
  get all(): ContractClient[] {
    return KEPT_FIRST.flatMap((role) => [...this.#inOrder[role]]);
  }

  /** The last days of a client's uses; undefined for one that is not kept. */
  usesOf({ role, sub, client, contract }: Client): ReadonlyMap<string, number> | undefined {
    return this.#bySub[role].get(sub)?.get(identityKey(client, contract))?.uses;
  }

  /** Notes a use. */
  note(client: Client, use: string, day: number): void {
    const kept = this.#keep(client);
    const known = kept.uses.get(use);
    if (known === undefined) {
      if (kept.uses.size === BOUNDS.uses && !this.#makeRoom(kept, day)) return;
      this.#bytes += bytesOf(use);
    }
    kept.uses.set(use, Math.max(day, known ?? day));
    this.#dropSurplus();
  }

  /** Notes all uses of a client. */
  add({ uses, ...client }: ContractClient, today: number): void {
    for (const [use, day] of uses) this.note(client, use, Math.min(day, today));
  }

  /** Forgets what was used too long ago. Days later than today become today. */
  expire(today: number): void {
    for (const kept of KEPT_FIRST.flatMap((role) => [...this.#inOrder[role]])) {
      for (const [use, day] of kept.uses) {
        if (day > today) kept.uses.set(use, today);
        if (!isKept(day, today)) this.#forget(kept, use);
      }
      if (kept.uses.size === 0) this.#drop(kept);
    }
  }

  #keep(client: Client): KeptClient {
    const { role, sub } = client;
    const key = identityKey(client.client, client.contract);
    let own = this.#bySub[role].get(sub);
    if (own === undefined) {
      own = new Map();
      this.#bySub[role].set(sub, own);
    }
    const known = own.get(key);
    const kept = known ?? { ...client, uses: new Map() };
    if (known === undefined) this.#bytes += CLIENT_BYTES;
    own.delete(key);
    own.set(key, kept);
    this.#inOrder[role].delete(kept);
    this.#inOrder[role].add(kept);
    if (own.size > BOUNDS.ofPrincipal) this.#drop(own.values().next().value as KeptClient);
    return kept;
  }

  /** Forgets the oldest use of a client that has as many as are kept. False when none is older than `day`. */
  #makeRoom(kept: KeptClient, day: number): boolean {
    if (this.#fullOn.get(kept) === day) return false;
    const oldest = oldestOf(kept.uses);
    if ((kept.uses.get(oldest) ?? day) >= day) {
      this.#fullOn.set(kept, day);
      return false;
    }
    this.#forget(kept, oldest);
    return true;
  }

  #dropSurplus(): void {
    while (this.size > BOUNDS.clients || this.#bytes > BOUNDS.bytes) {
      const role = KEPT_FIRST.findLast((one) => this.#inOrder[one].size > 0) as Role;
      this.#drop(this.#inOrder[role].values().next().value as KeptClient);
    }
  }

  #drop(kept: KeptClient): void {
    const { role, sub, client, contract } = kept;
    for (const use of kept.uses.keys()) this.#bytes -= bytesOf(use);
    this.#bytes -= CLIENT_BYTES;
    this.#inOrder[role].delete(kept);
    const own = this.#bySub[role].get(sub);
    own?.delete(identityKey(client, contract));
    if (own?.size === 0) this.#bySub[role].delete(sub);
  }

  #forget(kept: KeptClient, use: string): void {
    kept.uses.delete(use);
    this.#bytes -= bytesOf(use);
  }
}

/** Neither text has a space. */
function identityKey(client: string | null, contract: string | null): string {
  return `${client ?? ''} ${contract ?? ''}`;
}

function oldestOf(uses: ReadonlyMap<string, number>): string {
  let [oldest, first] = ['', Number.POSITIVE_INFINITY];
  for (const [use, day] of uses) if (day < first) [oldest, first] = [use, day];
  return oldest;
}

function bytesOf(use: string): number {
  return use.length + USE_BYTES;
}
