/** `admin.*`: for those who run the gateway. */

import { z } from 'zod';
import { identifier } from '../auth/claims.ts';
import { LOG_LEVELS, ROLES } from '../contract/admin.ts';
import { familyOf } from '../contract/channels.ts';
import { position } from '../contract/position.ts';
import { administering, checked, observing, router } from './trpc.ts';

const MAX_NAME_LENGTH = 128;
const name = z.string().min(1).max(MAX_NAME_LENGTH);
const knownChannel = z.string().refine((channel) => familyOf(channel) !== undefined, { error: 'is no channel' });

export const adminRouter = router({
  /** Open connections, oldest first; `sub` narrows them to one principal's. */
  connections: administering
    .input(checked(z.strictObject({ sub: name.optional() }).optional()))
    .query(({ ctx, input }) => ctx.administration.connections(input?.sub)),

  /** Channels and families that have subscribers, and channels on which something came of late. */
  channels: observing.query(({ ctx }) => ctx.administration.channels()),

  /** As `GET /stats`. */
  stats: observing.query(({ ctx }) => ctx.administration.stats()),

  /** The last 15 minutes, in intervals of 5 s. */
  series: observing.query(({ ctx }) => ctx.administration.series()),

  /** Who subscribes to what the event `id` was published on and began before it, and whether it was handed to them. */
  recipients: administering
    .input(checked(z.strictObject({ id: position, channel: knownChannel, type: name })))
    .query(({ ctx, input }) => ctx.administration.recipients(input)),

  /** Closes a connection with 1013: its client may come back after a delay. Returns whether there was one. */
  disconnect: administering
    .input(checked(z.strictObject({ connection_id: name })))
    .mutation(async ({ ctx, input }) => ({ disconnected: await ctx.administration.disconnect(input.connection_id) })),

  /**
   * Refuses a token by its `jti`, or every token of a `sub` that was issued until now, of one role or of all, from this
   * moment on: connections that stand on one are closed with 1008. Returns how many those were.
   */
  revoke: administering
    .input(
      checked(
        z.union([z.strictObject({ sub: identifier, role: z.enum(ROLES).optional() }), z.strictObject({ jti: identifier })], {
          error: 'must be {sub}, {sub, role} or {jti}, with a known role',
        }),
      ),
    )
    .mutation(async ({ ctx, input }) => ({ ended: await ctx.administration.revoke(input) })),

  /** Logs from this level on, until the next start. */
  setLogLevel: administering.input(checked(z.strictObject({ level: z.enum(LOG_LEVELS) }))).mutation(({ ctx, input: { level } }) => {
    ctx.administration.setLogLevel(level);
    return { level };
  }),
});
