/** `admin.*`: for those who run the gateway. */
import { z } from 'zod';
import type { Session } from '../auth/session.ts';
import { LOG_LEVELS } from '../config.ts';
import { CourierError } from '../errors.ts';
import { administering, router } from './trpc.ts';

const MAX_NAME_LENGTH = 128;
/** Connections in one answer, at most. */
const MAX_CONNECTIONS = 1000;
const name = z.string().min(1).max(MAX_NAME_LENGTH);

export const adminRouter = router({
  /** Open connections, oldest first; `sub` narrows them to one principal's. */
  connections: administering.input(z.strictObject({ sub: name.optional() }).optional()).query(({ ctx: { access, feed }, input }) => {
    const all = access.sessions.filter(({ principal }) => input?.sub === undefined || principal.sub === input.sub);
    const described = all.flatMap((session) => describeConnection(session, feed.tail.position));
    described.sort((a, b) => a.since.getTime() - b.since.getTime());
    return { total: described.length, connections: described.slice(0, MAX_CONNECTIONS) };
  }),

  /** The channels and families with the most subscribers. */
  channels: administering.query(async ({ ctx }) => (await ctx.control.stats()).channels),

  /** As `GET /stats`. */
  stats: administering.query(({ ctx }) => ctx.control.stats()),

  /** Closes a connection with 1013: its client may come back after a delay. Returns whether there was one. */
  disconnect: administering.input(z.strictObject({ connection_id: name })).mutation(({ ctx: { access }, input }) => {
    const session = access.sessions.find(({ connection }) => connection?.id === input.connection_id);
    session?.end(new CourierError('SERVICE_UNAVAILABLE', 'disconnected by an administrator'));
    return { disconnected: session !== undefined };
  }),

  /**
   * Refuses a token by its `jti`, or every token of a `sub` that was issued until now, from this moment on: connections
   * that stand on one are closed with 1008. Returns how many those were.
   */
  revoke: administering
    .input(z.union([z.strictObject({ sub: name }), z.strictObject({ jti: name })], { error: 'must be {sub} or {jti}' }))
    .mutation(({ ctx, input }) => ({ ended: ctx.access.revoke(input) })),

  /** Logs from this level on, until the next start. */
  setLogLevel: administering.input(z.strictObject({ level: z.enum(LOG_LEVELS) })).mutation(({ ctx, input: { level } }) => {
    ctx.control.setLogLevel(level);
    return { level };
  }),
});

function describeConnection({ principal, connection, readers }: Session, head: number) {
  if (connection === undefined) return [];
  const { id, transport, address, since, bufferedBytes } = connection;
  return {
    connection_id: id,
    sub: principal.sub,
    role: principal.role,
    transport,
    address,
    since: new Date(since),
    expires_at: new Date(principal.expiresAt),
    subscriptions: readers.length,
    /** Bytes that wait for the client to read. */
    buffered_bytes: bufferedBytes(),
    /** Events that the slowest subscription has yet to be given, whether it wants them or not. */
    lag: Math.max(0, ...readers.map(({ position }) => head - position)),
  };
}
