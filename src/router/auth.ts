/** `auth.*`: what the gateway knows of the caller. */
import { CHANNEL_FAMILIES, familyForm, type Selector } from '../contract/channels.ts';
import { procedure, router } from './trpc.ts';

export const authRouter = router({
  whoami: procedure.query(({ ctx: { principal } }) => ({
    sub: principal.sub,
    role: principal.role,
    expires_at: new Date(principal.expiresAt),
    /** Channels and, in the form `family.*`, whole families that the caller may read. */
    // Not `subscribe`: tRPC takes an object with that key for an observable.
    may_subscribe: describeSelector(principal.readable),
    /** The same for publishing, beyond a service's own event types. */
    may_publish: describeSelector(principal.writable),
  })),
});

function describeSelector({ families, channels }: Selector): string[] {
  const whole = CHANNEL_FAMILIES.filter((family) => families.has(family)).map((family) => familyForm(family).replace('{id}', '*'));
  return [...whole, ...channels];
}
