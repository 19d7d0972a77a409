/** The base of every procedure: the context, the transformer, the shape of errors, and the check that somebody is signed in. */
import { initTRPC } from '@trpc/server';
import superjson from 'superjson';
import type { Principal } from '../auth/principal.ts';
import type { Connection } from '../connections/connection.ts';
import type { Control } from '../control.ts';
import type { Feed } from '../delivery/subscriber.ts';
import { CourierError, tellable } from '../errors.ts';
import type { Activity } from '../limits/limits.ts';

/** What every procedure is given. */
export interface Context {
  readonly connection: Connection;
  /** Who the connection speaks for now: a refresh may change the rights. */
  readonly principal: Principal;
  readonly control: Control;
  readonly feed: Feed;
  /** Set where the connection lasts. */
  readonly connectionId: string | undefined;
  /** Of the call. */
  readonly requestId: string;
  /** W3C trace context that came with the request. */
  readonly traceparent: string | undefined;
}

type Serialised = Parameters<typeof superjson.deserialize>[0];

/** Dates travel as superjson has them; input that is plain JSON, or none at all, is not walked. */
const transformer = {
  serialize: superjson.serialize,
  deserialize: (value: Serialised | undefined) => (value?.meta === undefined ? value?.json : superjson.deserialize(value)),
};

/** Pings keep proxies from closing a quiet stream, and let the client notice a dead one. */
const SSE_PING_MS = 15_000;
export const SSE_INACTIVITY_MS = 40_000;

const t = initTRPC.context<Context>().create({
  transformer,
  // Never a stack trace in an answer, whatever NODE_ENV says.
  isDev: false,
  sse: { ping: { enabled: true, intervalMs: SSE_PING_MS }, client: { reconnectAfterInactivityMs: SSE_INACTIVITY_MS } },
  errorFormatter: ({ shape, error, ctx }) => {
    const { message, issues, retryAfterMs } = tellable(error);
    return {
      ...shape,
      message,
      data: {
        ...shape.data,
        ...(issues && { issues }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
        ...(ctx && { requestId: ctx.requestId }),
      },
    };
  },
});

/** Makes the context of a caller. */
export function contextOf(context: Omit<Context, 'principal'>): Context {
  return Object.defineProperty(context as Context, 'principal', { get: () => context.connection.principal, enumerable: true });
}

/** Makes the context of one call of several that a connection carries. */
export function contextOfCall(context: Context, requestId: string): Context {
  return Object.assign(Object.create(context) as Context, { requestId });
}

export const router = t.router;
/** Counts a call against the caller's limits before anything of it is looked at. Waits only where the limiter does. */
const counted = (activity: Activity) =>
  t.procedure.use(({ ctx, next }) => {
    const charged = ctx.connection.charge(activity);
    return charged === undefined ? next() : charged.then(() => next());
  });

/** A query or a small mutation. */
export const procedure = counted('query');
/** A subscription. */
export const subscription = counted('subscribe');
/** The publish of one event. */
export const publishing = counted('publish');
/** The publish of a list of events, each of which counts. */
export const publishingMany = t.procedure.use(async ({ ctx, getRawInput, next }) => {
  const input = await getRawInput();
  await ctx.connection.charge('publish', Array.isArray(input) ? Math.max(1, input.length) : 1);
  return next();
});
/** For services and admins: figures, which name nobody. */
export const observing = procedure.use(({ ctx, next }) => {
  if (ctx.principal.role === 'user') throw new CourierError('FORBIDDEN', 'this is for services and admins');
  return next();
});
/** For admins. */
export const administering = procedure.use(({ ctx, next }) => {
  if (ctx.principal.role !== 'admin') throw new CourierError('FORBIDDEN', 'this is for admins');
  return next();
});
