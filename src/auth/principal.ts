/** The principal, for whom a caller speaks, and the functions that decide what it may do. */
import type { Role } from '../contract/admin.ts';
import { type ChannelSet, includesAll, includesChannel } from '../contract/channels.ts';
import type { Contract } from '../contract/contract.ts';

/** A verified caller. */
export interface Principal {
  /** Who: a user's id, a service's name. Becomes the `source` of what they publish. */
  readonly sub: string;
  readonly role: Role;
  /** Channels that the token lets them read: the defaults of the role and its own grants. */
  readonly readable: ChannelSet;
  /** Channels that the token's grants let them write, beyond the defaults of the role. */
  readonly writable: ChannelSet;
  /** When the token expires, in ms since 1970. */
  readonly expiresAt: number;
  /** When the token was issued, in ms since 1970, where it says so. */
  readonly issuedAt?: number | undefined;
  /** The token's own id, where it has one. */
  readonly jti?: string | undefined;
}

/**
 * A text that no two principals share: what is kept of one is kept by its role and its `sub`, of which tokens of different
 * roles may have the same. A `sub` has no space. That of a service is the bare name.
 */
export function principalKey({ role, sub }: Pick<Principal, 'role' | 'sub'>): string {
  return role === 'service' ? sub : `${role} ${sub}`;
}

/** What a token grants beyond the defaults of its role, as channel names and patterns. */
export interface Grants {
  readonly subscribe: readonly string[];
  readonly publish: readonly string[];
}

/** Makes a principal of a token's claims. @throws {RangeError} when a grant is no channel and no pattern. */
export function principalOf({ channels }: Contract, sub: string, role: Role, grants: Grants, expiresAt: number): Principal {
  const own = role === 'user' ? ['global', ...(channels.familyOf(`user.${sub}`) === undefined ? [] : [`user.${sub}`])] : [];
  return {
    sub,
    role,
    readable: role === 'user' ? channels.setOf([...own, ...grants.subscribe]) : channels.everything,
    writable: role === 'admin' ? channels.everything : channels.setOf(grants.publish),
    expiresAt,
  };
}

/** May they subscribe to, and read the history of, every one of the selected channels? */
export function mayRead(principal: Principal, channels: ChannelSet): boolean {
  return includesAll(principal.readable, channels);
}

/**
 * May they publish an event of `type` on `channel`? A service its own types only, wherever the contract allows; a user
 * what the token grants; an admin everything. That the contract lets the channel carry the type is checked by its schema.
 */
export function mayPublish(contract: Contract, principal: Principal, type: string, channel: string): boolean {
  if (principal.role === 'admin') return true;
  const family = contract.channels.familyOf(channel);
  if (family === undefined || !contract.carries(family, type)) return false;
  if (principal.role === 'service') return contract.serviceOf(type) === principal.sub;
  return includesChannel(principal.writable, family, channel);
}
