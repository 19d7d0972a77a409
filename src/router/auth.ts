/** `auth.*`: who the caller is, and a new token for a live connection. */
import { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import { type ChannelSet, familyPattern } from '../contract/channels.ts';
import type { Contract } from '../contract/contract.ts';
import { contractHash } from '../version.ts';
import type { WhoAmI } from './routes.ts';
import { checked, procedure, router } from './trpc.ts';

const MAX_TOKEN_LENGTH = 8192;

export function authRouter(contract: Contract) {
  const hash = contractHash(contract);
  const describePrincipal = (principal: Principal): WhoAmI => ({
    sub: principal.sub,
    role: principal.role,
    expires_at: new Date(principal.expiresAt),
    /** The time until then, for callers whose clock is wrong. */
    expires_in_ms: Math.max(0, principal.expiresAt - Date.now()),
    /** The channels that the caller may read, whole families in the form `family.*`. */
    // The key is not `subscribe`: tRPC takes an object with that key for an observable.
    may_subscribe: describeChannels(contract, principal.readable),
    /** The channels that the caller may publish to, beyond a service's own event types. */
    may_publish: describeChannels(contract, principal.writable),
    /** The hash of the gateway's contract. */
    contract: hash,
  });
  return router({
    whoami: procedure.query(({ ctx: { principal } }) => describePrincipal(principal)),

    /** Gives the connection a new token of the same `sub`. Its rights act at once: subscriptions that it does not grant end. */
    refresh: procedure
      .input(checked(z.strictObject({ token: z.string().min(1).max(MAX_TOKEN_LENGTH) })))
      .mutation(async ({ ctx: { connection }, input: { token } }) => describePrincipal(await connection.refresh(token))),
  });
}

function describeChannels({ channels }: Contract, { families, singles }: ChannelSet): string[] {
  const whole = channels.families.filter((family) => families.has(family)).map((family) => familyPattern(family));
  return [...whole, ...singles];
}
