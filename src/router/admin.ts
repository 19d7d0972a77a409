/** `admin.*`: procedures for the people who run the gateway. */
import { z } from 'zod';
import type { Actor } from '../administration.ts';
import { identifier } from '../auth/claims.ts';
import { LOG_LEVELS, ROLES } from '../contract/admin.ts';
import type { Contract } from '../contract/contract.ts';
import { position } from '../contract/position.ts';
import { entityName } from './state.ts';
import { administering, type Context, checked, observing, router } from './trpc.ts';

const MAX_NAME_LENGTH = 128;
const name = z.string().min(1).max(MAX_NAME_LENGTH);

export function adminRouter(contract: Contract) {
  const { channels } = contract;
  const knownChannel = z.string().refine((channel) => channels.familyOf(channel) !== undefined, { error: 'is no channel' });
  const knownEntity = entityName(contract);
  return router({
    /** Open connections, oldest first; with `sub`, those of one principal. */
    connections: administering
      .input(checked(z.strictObject({ sub: name.optional() }).optional()))
      .query(({ ctx, input }) => ctx.administration.connections(input?.sub)),

    /** Channels and families with subscribers, and channels with recent events. */
    channels: observing.query(({ ctx }) => ctx.administration.channels()),

    /** The same as `GET /stats`. */
    stats: observing.query(({ ctx }) => ctx.administration.stats()),

    /** The figures of the last 15 minutes, in intervals of 5 s. */
    series: observing.query(({ ctx }) => ctx.administration.series()),

    /** The subscribers of the event's channel that had started before the event, and whether each was handed the event. */
    recipients: administering
      .input(checked(z.strictObject({ id: position, channel: knownChannel, type: name })))
      .query(({ ctx, input }) => ctx.administration.recipients(input)),

    /** Who used which types within the last 30 days. */
    contractUsers: administering.query(({ ctx }) => ctx.administration.contractUsers()),

    /** Closes a connection with 1013: its client may reconnect after a delay. Returns whether the connection existed. */
    disconnect: administering
      .input(checked(z.strictObject({ connection_id: name })))
      .mutation(async ({ ctx, input }) => ({ disconnected: await ctx.administration.disconnect(input.connection_id, actorOf(ctx)) })),

    /**
     * Revokes the token with a `jti`, or all tokens of a `sub` issued until now, of one role or of all. Closes the connections
     * that use a revoked token with 1008, and returns how many they were.
     */
    revoke: administering
      .input(
        checked(
          z.union([z.strictObject({ sub: identifier, role: z.enum(ROLES).optional() }), z.strictObject({ jti: identifier })], {
            error: 'must be {sub}, {sub, role} or {jti}, with a known role',
          }),
        ),
      )
      .mutation(async ({ ctx, input }) => ({ ended: await ctx.administration.revoke(input, actorOf(ctx)) })),

    /** Sets the lowest level that the gateway logs, until its next start. */
    setLogLevel: administering.input(checked(z.strictObject({ level: z.enum(LOG_LEVELS) }))).mutation(async ({ ctx, input: { level } }) => {
      await ctx.administration.setLogLevel(level, actorOf(ctx));
      return { level };
    }),

    /** Has the states of an entity made anew of the log, by whichever gateway writes them; what is there is served until then. */
    rebuildState: administering.input(checked(z.strictObject({ entity: knownEntity }))).mutation(async ({ ctx, input: { entity } }) => {
      await ctx.administration.rebuildState(entity, actorOf(ctx));
      return { entity };
    }),
  });
}

function actorOf({ principal, requestId }: Pick<Context, 'principal' | 'requestId'>): Actor {
  return { user_id: principal.sub, request_id: requestId };
}
