/**
 * Refuses what a principal may not publish, before any work whose cost grows with the input. `mayPublish` makes the decision;
 * the input is read here only as far as that needs, and is validated in full later.
 */
import { familyOf } from '../contract/channels.ts';
import { type EventType, familiesOf, SERVICE_NAMES, type Service, serviceOf } from '../contract/events/index.ts';
import { CourierError } from '../errors.ts';
import { mayPublish, type Principal } from './principal.ts';

/** May they publish anything at all? */
export function mayPublishSomething({ role, sub, writable }: Principal): boolean {
  if (role === 'service') return (SERVICE_NAMES as readonly string[]).includes(sub);
  return writable.families.size > 0 || writable.singles.size > 0;
}

/** @throws {CourierError} FORBIDDEN unless they may publish something. */
export function requireSomeRight(principal: Principal): void {
  if (!mayPublishSomething(principal)) throw new CourierError('FORBIDDEN', `${nameOf(principal)} may not publish anything`);
}

/** @throws {CourierError} FORBIDDEN unless they are `service` itself or an admin. */
export function requireService({ role, sub }: Principal, service: Service): void {
  if (role === 'admin' || (role === 'service' && sub === service)) return;
  throw new CourierError('FORBIDDEN', `only the service ${service} and admins may use ${service}.publish`);
}

/** @param index of the event in its call. @throws {CourierError} FORBIDDEN */
export function requireRight(principal: Principal, type: EventType, channel: string, index: number): void {
  if (mayPublish(principal, type, channel)) return;
  const where = index > 0 ? ` (event ${index})` : '';
  throw new CourierError('FORBIDDEN', `${nameOf(principal)} may not publish ${type} on ${channel}${where}`);
}

/**
 * Looks at the rights to what was handed in, before it is validated. What names no type and channel that go together
 * is left to the validation, which refuses it.
 *
 * @throws {CourierError} FORBIDDEN
 */
export function requireRights(principal: Principal, drafts: readonly unknown[]): void {
  for (const [index, draft] of drafts.entries()) {
    if (typeof draft !== 'object' || draft === null) continue;
    const { type, channel } = draft as { readonly type?: unknown; readonly channel?: unknown };
    if (typeof channel === 'string' && isType(type) && mayCarry(channel, type)) requireRight(principal, type, channel, index);
  }
}

function isType(type: unknown): type is EventType {
  return typeof type === 'string' && serviceOf(type) !== undefined;
}

function mayCarry(channel: string, type: EventType): boolean {
  const family = familyOf(channel);
  return family !== undefined && familiesOf(type).includes(family);
}

function nameOf({ role, sub }: Principal): string {
  return `${role} ${JSON.stringify(sub)}`;
}
