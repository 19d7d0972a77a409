/** `auth.*`: what the gateway knows of the caller, and renewing the token of a live connection. */
import { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import { CHANNEL_FAMILIES, type ChannelSet, familyPattern } from '../contract/channels.ts';
import { CONTRACT_HASH } from '../version.ts';
import { checked, procedure, router } from './trpc.ts';

const MAX_TOKEN_LENGTH = 8192;

export const authRouter = router({
  whoami: procedure.query(({ ctx: { principal } }) => describePrincipal(principal)),

  /** Goes on with a new token of the same `sub`. Its rights act at once: subscriptions that it does not grant end. */
  refresh: procedure
    .input(checked(z.strictObject({ token: z.string().min(1).max(MAX_TOKEN_LENGTH) })))
    .mutation(async ({ ctx: { connection }, input: { token } }) => describePrincipal(await connection.refresh(token))),
});

function describePrincipal(principal: Principal) {
  return {
    sub: principal.sub,
    role: principal.role,
    expires_at: new Date(principal.expiresAt),
    /** How long that is from now, for callers whose clock is wrong. */
    expires_in_ms: Math.max(0, principal.expiresAt - Date.now()),
    /** Channels and, in the form `family.*`, whole families that the caller may read. */
    // Not `subscribe`: tRPC takes an object with that key for an observable.
    may_subscribe: describeSelector(principal.readable),
    /** The same for publishing, beyond a service's own event types. */
    may_publish: describeSelector(principal.writable),
    /** The hash of the gateway's contract. */
    contract: CONTRACT_HASH,
  };
}

function describeSelector({ families, singles }: ChannelSet): string[] {
  const whole = CHANNEL_FAMILIES.filter((family) => families.has(family)).map((family) => familyPattern(family));
  return [...whole, ...singles];
}
