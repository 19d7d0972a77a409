/**
 * Refuses what a principal may not publish, before any work whose cost grows with the input. `mayPublish` makes the decision;
 * the input is read here only as far as that needs, and is validated in full later.
 */
import type { Contract } from '../contract/contract.ts';
import { CourierError } from '../errors.ts';
import { mayPublish, type Principal } from './principal.ts';

/** May they publish anything at all? */
export function mayPublishSomething(contract: Contract, { role, sub, writable }: Principal): boolean {
  if (role === 'service') return contract.services.has(sub);
  return writable.families.size > 0 || writable.singles.size > 0;
}

/** @throws {CourierError} FORBIDDEN unless they may publish something. */
export function requireSomeRight(contract: Contract, principal: Principal): void {
  if (!mayPublishSomething(contract, principal)) throw new CourierError('FORBIDDEN', `${nameOf(principal)} may not publish anything`);
}

/** @throws {CourierError} FORBIDDEN unless they are `service` itself or an admin. */
export function requireService({ role, sub }: Principal, service: string): void {
  if (role === 'admin' || (role === 'service' && sub === service)) return;
  throw new CourierError('FORBIDDEN', `only the service ${service} and admins may use ${service}.publish`);
}

/** @param index of the event in its call. @throws {CourierError} FORBIDDEN */
export function requireRight(contract: Contract, principal: Principal, type: string, channel: string, index: number): void {
  if (mayPublish(contract, principal, type, channel)) return;
  const where = index > 0 ? ` (event ${index})` : '';
  throw new CourierError('FORBIDDEN', `${nameOf(principal)} may not publish ${type} on ${channel}${where}`);
}

/**
 * Looks at the rights to what was handed in, before it is validated. What names no type and channel that go together
 * is left to the validation, which refuses it.
 *
 * @throws {CourierError} FORBIDDEN
 */
export function requireRights(contract: Contract, principal: Principal, drafts: readonly unknown[]): void {
  for (const [index, draft] of drafts.entries()) {
    if (typeof draft !== 'object' || draft === null) continue;
    const { type, channel } = draft as { readonly type?: unknown; readonly channel?: unknown };
    if (typeof channel !== 'string' || typeof type !== 'string' || !contract.mayCarry(channel, type)) continue;
    requireRight(contract, principal, type, channel, index);
  }
}

function nameOf({ role, sub }: Principal): string {
  return `${role} ${JSON.stringify(sub)}`;
}
