/** How much each role may do, and how much the gateway takes in all. `null` is no limit. */

import { z } from 'zod';
import type { Role } from '../contract/admin.ts';
import type { Rate } from './gcra.ts';

const limit = z.int().min(1).max(1_000_000_000).nullable();
const roleLimits = z.strictObject({
  /** Connections at once: WebSockets, and streams of server-sent events. */
  connections: limit,
  publishPerSecond: limit,
  publishPerMinute: limit,
  subscribePerSecond: limit,
  queriesPerSecond: limit,
});
const gatewayLimits = z.strictObject({
  /** The same, of everyone. */
  connections: limit,
  /** Connections of one address, or of one principal, that have yet to sign in. */
  unauthenticatedPerAddress: limit,
  /** Wrong or missing tokens from one address. */
  failedAuthenticationsPerMinute: limit,
});

type RoleLimits = Readonly<z.output<typeof roleLimits>>;
type GatewayLimits = Readonly<z.output<typeof gatewayLimits>>;
export type Limits = Readonly<Record<Role, RoleLimits>> & { readonly gateway: GatewayLimits };

const SERVICE: RoleLimits = {
  connections: 50,
  publishPerSecond: 5000,
  publishPerMinute: null,
  subscribePerSecond: 500,
  queriesPerSecond: 500,
};

export const DEFAULT_LIMITS: Limits = {
  user: { connections: 10, publishPerSecond: 10, publishPerMinute: 100, subscribePerSecond: 20, queriesPerSecond: 20 },
  service: SERVICE,
  admin: SERVICE,
  gateway: { connections: 20_000, unauthenticatedPerAddress: 100, failedAuthenticationsPerMinute: 60 },
};

const overrides = z.strictObject({
  user: roleLimits.partial().optional(),
  service: roleLimits.partial().optional(),
  admin: roleLimits.partial().optional(),
  gateway: gatewayLimits.partial().optional(),
});

/** Merges JSON over the defaults. @throws {SyntaxError | z.ZodError} */
export function parseLimits(json: string): Limits {
  const { user, service, admin, gateway } = overrides.parse(JSON.parse(json));
  // Absent keys are absent, never undefined.
  return {
    user: { ...DEFAULT_LIMITS.user, ...(user as Partial<RoleLimits>) },
    service: { ...DEFAULT_LIMITS.service, ...(service as Partial<RoleLimits>) },
    admin: { ...DEFAULT_LIMITS.admin, ...(admin as Partial<RoleLimits>) },
    gateway: { ...DEFAULT_LIMITS.gateway, ...(gateway as Partial<GatewayLimits>) },
  };
}

/** What a limit counts: each call is one of these. */
export type LimitedAction = 'publish' | 'subscribe' | 'query';

/** The rates that `limits` sets for each action. */
export function ratesOf(limits: RoleLimits): Readonly<Record<LimitedAction, readonly Rate[]>> {
  return {
    publish: [...rate(limits.publishPerSecond, 1000), ...rate(limits.publishPerMinute, 60_000)],
    subscribe: rate(limits.subscribePerSecond, 1000),
    query: rate(limits.queriesPerSecond, 1000),
  };
}

export function rate(limit: number | null, periodMs: number): Rate[] {
  return limit === null ? [] : [{ limit, periodMs }];
}
