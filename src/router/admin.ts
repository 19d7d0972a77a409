/** `admin.*`: for those who run the gateway. */
import { z } from 'zod';
import { administering, router } from './trpc.ts';

const MAX_NAME_LENGTH = 128;
const name = z.string().min(1).max(MAX_NAME_LENGTH);

export const adminRouter = router({
  /**
   * Refuses a token by its `jti`, or every token of a `sub` that was issued until now, from this moment on: connections
   * that stand on one are closed with 1008. Returns how many those were.
   */
  revoke: administering
    .input(z.union([z.strictObject({ sub: name }), z.strictObject({ jti: name })], { error: 'must be {sub} or {jti}' }))
    .mutation(({ ctx, input }) => ({ ended: ctx.access.revoke(input) })),
});
