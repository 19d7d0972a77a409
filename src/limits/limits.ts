/**
 * How much each role may do, and single users instead of their role; how much a channel takes, and the gateway in all. `null` is
 * no limit.
 */

import { z } from 'zod';
import { identifier } from '../auth/claims.ts';
import type { Principal } from '../auth/principal.ts';
import { ROLES, type Role } from '../contract/admin.ts';
import { parseWithDuplicates } from '../contract/json-text.ts';
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
const channelLimits = z.strictObject({
  /** Events on one channel, of all publishers together. */
  publishPerSecond: limit.optional(),
  publishPerMinute: limit.optional(),
});
const gatewayLimits = z.strictObject({
  /** The same, of everyone. */
  connections: limit,
  /** Connections of one address, or of one principal, that have yet to sign in. */
  unauthenticatedPerAddress: limit,
  /** Wrong or missing tokens from one address. */
  failedAuthenticationsPerMinute: limit,
});

export type RoleLimits = Readonly<z.output<typeof roleLimits>>;
type GatewayLimits = Readonly<z.output<typeof gatewayLimits>>;
/** Those that are absent are no limits. */
export type ChannelLimits = Readonly<z.output<typeof channelLimits>>;
export type Limits = Readonly<Record<Role, RoleLimits>> & {
  /** By `sub`: the limits that this user has in each role. */
  readonly users: ReadonlyMap<string, Readonly<Record<Role, RoleLimits>>>;
  /** By name or pattern. Whether the contract has such channels is known where it is known. */
  readonly channels: ReadonlyMap<string, ChannelLimits>;
  readonly gateway: GatewayLimits;
};

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
  users: new Map(),
  channels: new Map(),
  gateway: { connections: 20_000, unauthenticatedPerAddress: 100, failedAuthenticationsPerMinute: 60 },
};

const overrides = z.strictObject({
  user: roleLimits.partial().optional(),
  service: roleLimits.partial().optional(),
  admin: roleLimits.partial().optional(),
  users: entries(identifier, roleLimits.partial()),
  channels: entries(z.string(), channelLimits),
  gateway: gatewayLimits.partial().optional(),
});

/** An object whose keys are names of others: as a map, in which no name means anything else. */
function entries<V extends z.ZodType>(name: z.ZodType<string>, value: V) {
  return z
    .custom<object>((given) => typeof given === 'object' && given !== null && !Array.isArray(given), { error: 'must be an object' })
    .transform((given, context) => {
      const read = new Map<string, z.output<V>>();
      for (const [key, one] of Object.entries(given)) {
        const [named, valued] = [name.safeParse(key), value.safeParse(one)];
        for (const issue of [...(named.error?.issues ?? []), ...(valued.error?.issues ?? [])])
          context.addIssue({ ...issue, code: 'custom', path: [key, ...issue.path] });
        if (valued.success) read.set(key, valued.data);
      }
      return read;
    })
    .optional();
}

/** Merges JSON over the defaults. @throws {SyntaxError}; {AggregateError} with all that is wrong, as RangeErrors that begin with where. */
export function parseLimits(json: string): Limits {
  const { value, duplicates } = parseWithDuplicates(json);
  const { data, error } = overrides.safeParse(value);
  const problems = [...duplicates.map((path) => `${path}: is there more than once`), ...(error?.issues.flatMap(problemsOf) ?? [])];
  if (data === undefined || problems.length > 0) throw new AggregateError(problems.map((problem) => new RangeError(problem)));
  const { user, service, admin, users = new Map(), channels = new Map(), gateway } = data;
  // Absent keys are absent, never undefined.
  const roles = {
    user: { ...DEFAULT_LIMITS.user, ...(user as Partial<RoleLimits>) },
    service: { ...DEFAULT_LIMITS.service, ...(service as Partial<RoleLimits>) },
    admin: { ...DEFAULT_LIMITS.admin, ...(admin as Partial<RoleLimits>) },
  };
  return {
    ...roles,
    users: new Map([...users].map(([sub, own]) => [sub, mapRoles((role) => ({ ...roles[role], ...(own as Partial<RoleLimits>) }))])),
    channels,
    gateway: { ...DEFAULT_LIMITS.gateway, ...(gateway as Partial<GatewayLimits>) },
  };
}

/** A line for each unknown key, though they are one issue. */
function problemsOf({ path, message, ...issue }: z.core.$ZodIssue): string[] {
  const at = (more: readonly PropertyKey[], text: string) => [[...path, ...more].map(String).join('.'), text].filter(Boolean).join(': ');
  const keys = 'keys' in issue && Array.isArray(issue.keys) ? (issue.keys as string[]) : undefined;
  return keys?.map((key) => at([key], 'is no limit that there is')) ?? [at([], message)];
}

/** The limits of a principal: its own, or those of its role. */
export function limitsOf(limits: Limits, { sub, role }: Pick<Principal, 'sub' | 'role'>): RoleLimits {
  return (limits.users.get(sub) ?? limits)[role];
}

/** A value for each role. */
export function mapRoles<T>(value: (role: Role) => T): Readonly<Record<Role, T>> {
  return Object.fromEntries(ROLES.map((role) => [role, value(role)])) as Record<Role, T>;
}

/** What a limit counts: each call is one of these. */
export type LimitedAction = 'publish' | 'subscribe' | 'query';

/** The period of a rate, in ms. */
const SECOND = 1000;
const MINUTE = 60_000;

/** The rates that `limits` sets for each action. */
export function ratesOf(limits: RoleLimits): Readonly<Record<LimitedAction, readonly Rate[]>> {
  return {
    publish: publishRates(limits),
    subscribe: rate(limits.subscribePerSecond, SECOND),
    query: rate(limits.queriesPerSecond, SECOND),
  };
}

/** The rates of publishing, of a principal or on a channel. */
export function publishRates({ publishPerSecond = null, publishPerMinute = null }: ChannelLimits): readonly Rate[] {
  return [...rate(publishPerSecond, SECOND), ...rate(publishPerMinute, MINUTE)];
}

export function rate(limit: number | null, periodMs: number): Rate[] {
  return limit === null ? [] : [{ limit, periodMs }];
}
