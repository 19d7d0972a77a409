/** What a token must say to be let in, and the principal that it speaks for. Its signature is checked before. */
import { z } from 'zod';
import { ROLES } from '../contract/admin.ts';
import type { Contract } from '../contract/contract.ts';
import { issueMessage } from '../issue-messages.ts';
import { type Principal, principalOf } from './principal.ts';

/** How far the clocks of issuer and gateway may differ, in ms. */
export const CLOCK_TOLERANCE_MS = 5000;
/** How many patterns a token may grant for each action. */
const MAX_GRANTS = 100;
/** The latest moment that a `Date` can stand for, in seconds since 1970 (ECMA-262, section 21.4.1.1). */
const MAX_DATE_SECONDS = 8_640_000_000_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** The form of a `sub` and of a `jti`: without spaces, so that a space may separate it from something else. */
export const identifier = z.string().regex(/^[\x21-\x7e]{1,128}$/, { error: 'must be 1 to 128 printable ASCII characters' });

const grants = z.array(z.string()).max(MAX_GRANTS).default([]);
const claims = z.object({
  sub: identifier,
  exp: z
    .int({ error: 'must be a whole number of seconds since 1970' })
    .max(MAX_DATE_SECONDS, { error: 'is later than any date that can be told' }),
  iat: z.number({ error: 'must be a number of seconds since 1970' }).optional(),
  jti: identifier.optional(),
  role: z.enum(ROLES).default('user'),
  subscribe: grants,
  publish: grants,
});
type Claims = z.output<typeof claims>;

/**
 * Makes the function that reads claims.
 *
 * @param maxLifetimeMs how long a token may live. One without `iat` is judged by the time that it has left.
 * @returns a function that throws ZodError, or RangeError for a grant that is no channel and no pattern.
 */
export function claimsReader(contract: Contract, maxLifetimeMs: number): (payload: unknown) => Principal {
  return (payload) => {
    const read = claims.parse(payload, { error: issueMessage });
    const problem = serviceProblem(contract, read) ?? lifetimeProblem(read, maxLifetimeMs, Date.now());
    if (problem !== undefined) throw new z.ZodRealError([{ code: 'custom', input: payload, ...problem }]);
    const { sub, role, exp, iat, jti, subscribe, publish } = read;
    const principal = principalOf(contract, sub, role, { subscribe, publish }, exp * 1000);
    return { ...principal, ...(iat !== undefined && { issuedAt: iat * 1000 }), ...(jti !== undefined && { jti }) };
  };
}

/** A caller that may choose its name must not pass for a service by it. */
function serviceProblem({ services }: Contract, { sub, role }: Claims) {
  if (role === 'service' || !services.has(sub)) return undefined;
  return { path: ['role'], message: `must be service, as ${sub} is the name of one` };
}

function lifetimeProblem({ exp, iat }: Claims, maxLifetimeMs: number, now: number) {
  const from = iat === undefined ? now : iat * 1000;
  if (from > now + CLOCK_TOLERANCE_MS) return { path: ['iat'], message: 'is later than now' };
  if (exp * 1000 - from > maxLifetimeMs) {
    const most = `${maxLifetimeMs / DAY_MS} days after ${iat === undefined ? 'now' : 'iat'}`;
    return { path: ['exp'], message: `is later than ${most}, which is the most that COURIER_JWT_MAX_DAYS allows` };
  }
  return undefined;
}
