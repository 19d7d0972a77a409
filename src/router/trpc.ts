/** The base of every procedure: the context, the transformer, the shape of errors, and the check that somebody is signed in. */
import { initTRPC } from '@trpc/server';
import superjson from 'superjson';
import { ZodError } from 'zod';
import type { Access } from '../auth/access.ts';
import type { Principal } from '../auth/principal.ts';
import type { Session } from '../auth/session.ts';
import type { LogLevel } from '../config.ts';
import type { Feed } from '../delivery/subscriber.ts';
import { CourierError, type Issue } from '../errors.ts';
import type { Activity } from '../limits/limits.ts';

/** Figures of the gateway as a whole. */
export interface Stats {
  readonly version: string;
  /** Seconds since the start. */
  readonly uptime: number;
  readonly connections: { readonly trpc: number; readonly plain: number };
  readonly subscriptions: number;
  /** The channels and families with the most subscribers. */
  readonly channels: readonly { readonly channel: string; readonly subscribers: number }[];
  readonly log: { readonly head: string; readonly first_retained: string; readonly events: number; readonly reads: number };
}

/** What admins may ask of the gateway as a whole. */
export interface GatewayControl {
  readonly stats: () => Promise<Stats>;
  readonly setLogLevel: (level: LogLevel) => void;
}

/** What every procedure is given. */
export interface Context {
  readonly session: Session;
  /** Who the session speaks for now: a refresh may change the rights. */
  readonly principal: Principal;
  readonly access: Access;
  readonly control: GatewayControl;
  readonly feed: Feed;
  /** Set for calls over WebSocket: which connection. */
  readonly connectionId: string | undefined;
  readonly requestId: string;
}

type Serialised = Parameters<typeof superjson.deserialize>[0];

/** Dates travel as superjson has them; input that is plain JSON, or none at all, is not walked. */
const transformer = {
  serialize: superjson.serialize,
  deserialize: (value: Serialised | undefined) => (value?.meta === undefined ? value?.json : superjson.deserialize(value)),
};

/** Pings keep proxies from closing a quiet stream, and let the client notice a dead one. */
const SSE_PING_MS = 15_000;
const SSE_INACTIVITY_MS = 40_000;

const t = initTRPC.context<Context>().create({
  transformer,
  // Never a stack trace in an answer, whatever NODE_ENV says.
  isDev: false,
  sse: { ping: { enabled: true, intervalMs: SSE_PING_MS }, client: { reconnectAfterInactivityMs: SSE_INACTIVITY_MS } },
  errorFormatter: ({ shape, error, ctx }) => {
    const known = error instanceof CourierError ? error : undefined;
    const issues = known?.issues ?? (error.cause instanceof ZodError ? issuesOf(error.cause) : undefined);
    return {
      ...shape,
      message: safeMessage(error, shape.message, issues),
      data: {
        ...shape.data,
        ...(issues && { issues }),
        ...(known?.retryAfterMs !== undefined && { retryAfterMs: known.retryAfterMs }),
        ...(ctx && { requestId: ctx.requestId }),
      },
    };
  },
});

/** What went wrong, without anything that was not meant for the caller. */
function safeMessage(error: Error & { code: string }, message: string, issues: readonly Issue[] | undefined): string {
  if (error instanceof CourierError) return error.message;
  if (issues !== undefined) return describe(issues);
  return error.code === 'INTERNAL_SERVER_ERROR' ? 'internal error' : message;
}

/** The issues of a schema, each with its path written with dots. */
export function issuesOf(error: ZodError): Issue[] {
  return error.issues.flatMap((issue) => {
    const base = issue.path.join('.');
    if (issue.code !== 'unrecognized_keys') return [{ path: base, message: issue.message }];
    return issue.keys.map((key) => ({ path: base === '' ? key : `${base}.${key}`, message: 'is not a known key' }));
  });
}

/** Issues as one line. */
export function describe(issues: readonly Issue[]): string {
  return issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
}

/** Makes the context of a caller. */
export function contextOf(context: Omit<Context, 'principal'>): Context {
  return Object.defineProperty(context as Context, 'principal', { get: () => context.session.principal, enumerable: true });
}

export const router = t.router;
/** Counts a call against the caller's limits before anything of it is looked at. Waits only where the limiter does. */
const counted = (activity: Activity) =>
  t.procedure.use(({ ctx, next }) => {
    const charged = ctx.session.charge(activity);
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
  await ctx.session.charge('publish', Array.isArray(input) ? Math.max(1, input.length) : 1);
  return next();
});
/** For admins. */
export const administering = procedure.use(({ ctx, next }) => {
  if (ctx.principal.role !== 'admin') throw new CourierError('FORBIDDEN', 'this is for admins');
  return next();
});
