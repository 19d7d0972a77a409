/**
 * Who uses what of the contract: for each client of a principal the types that it published and selected, and the families whose
 * channels it used. It names whom a change of the contract concerns, those too that are not connected when it is made. A use is
 * kept by its day; nothing of events, and no id of a channel, is kept.
 */
import type { Principal } from '../auth/principal.ts';
import type { ClientIdentity, Role } from '../contract/admin.ts';
import type { Filter } from '../contract/filter.ts';

export const DAY_MS = 24 * 60 * 60 * 1000;
/** How many days ago the last of a client's uses may be. */
export const KEPT_DAYS = 30;

/** Whoever publishes, subscribes or reads: for as long as it lives the same one. One within the gateway's own process has no identity. */
export interface Caller {
  readonly principal: Pick<Principal, 'sub' | 'role'>;
  readonly identity?: ClientIdentity | undefined;
}

/** Is told of every use. It never throws, waits for nothing, and costs little where the use is known. */
export interface Usage {
  published(caller: Caller, events: readonly { readonly family: string; readonly type: string }[]): void;
  /** A subscription began, or a page of history was read. */
  selected(caller: Caller, filter: Filter): void;
}

/** Keeps nothing. */
export const noUsage: Usage = { published: () => undefined, selected: () => undefined };

/**
 * What a use is of: a type that was published; a type that a filter named; a family, all of whose types a filter selected; a
 * family whose channels were used in either way.
 */
export type UseKind = 'published' | 'named' | 'followed' | 'channel';

/** A use as one text: `published station.measured`, `channel station`. */
export function textOf(kind: UseKind, name: string): string {
  return `${kind} ${name}`;
}

/** A client of a principal. */
export interface Client extends ClientIdentity {
  readonly sub: string;
  readonly role: Role;
}

/** A client with its uses: the last day of each, in days since 1970. */
export interface ContractClient extends Client {
  readonly uses: ReadonlyMap<string, number>;
}

export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

export function isKept(day: number, today: number): boolean {
  return today - day <= KEPT_DAYS;
}

/** Bounds of what is kept, as callers choose their names and their clients'. */
export const BOUNDS = {
  /** Clients of one principal. */
  ofPrincipal: 20,
  /** Clients of all. */
  clients: 5000,
  /** Uses of one client. */
  uses: 500,
  /** Bytes of all, about. */
  bytes: 4 * 1024 * 1024,
} as const;

/** Which clients are kept rather than others when there are too many. */
export const KEPT_FIRST: readonly Role[] = ['service', 'admin', 'user'];

/** The bytes that a client is counted with. */
export const CLIENT_BYTES = 200;
/** The bytes that a use is counted with, beside its text. */
export const USE_BYTES = 10;

/** Where clients and their uses are kept. Instances of one gateway share it. */
export interface UsageStore {
  /**
   * Adds uses to those that are kept: of each use the latest day counts, whatever is added first. Durable when it resolves.
   *
   * What is over BOUNDS is dropped: of a principal's clients the one that was added longest ago; of all clients first those of
   * users, then those of admins, then those of services, among equals the one that was added longest ago; of a client's uses the
   * oldest. Whatever was used more than KEPT_DAYS ago goes too. A day later than today, which a wrong clock wrote, counts as today.
   */
  add(clients: readonly ContractClient[], today: number): Promise<void>;
  /** All that was used within KEPT_DAYS. */
  load(today: number): Promise<readonly ContractClient[]>;
}
