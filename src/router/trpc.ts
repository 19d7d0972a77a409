/** The base of every procedure: the context, the transformer, the shape of errors, and the check that somebody is signed in. */
import { initTRPC, type TRPCDefaultErrorShape } from '@trpc/server';
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc';
import type { z } from 'zod';
import type { Administration } from '../administration.ts';
import type { Principal } from '../auth/principal.ts';
import { mayPublishSomething, requireService } from '../auth/publish-rights.ts';
import type { Connection } from '../connections/connection.ts';
import { type ErrorCode, meaningOf } from '../contract/codes.ts';
import { MAX_BATCH_EVENTS } from '../contract/draft.ts';
import type { Service } from '../contract/events/index.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import { CourierError, cut, tellable, validated } from '../errors.ts';
import type { LimitedAction } from '../limits/limits.ts';
import { authorise } from '../publish.ts';
import { type AnswerSize, serialize } from './event-page.ts';
import { read, unread } from './unread-input.ts';

/** What a caller's context is made of. */
export interface ContextParts {
  readonly connection: Connection;
  readonly administration: Administration;
  readonly pipeline: Pipeline;
  /** Set where the connection lasts. */
  readonly connectionId: string | undefined;
  /** Of the call. */
  readonly requestId: string;
  /** W3C trace context that came with the request. */
  readonly traceparent: string | undefined;
}

/** What every procedure is given. */
export class Context implements ContextParts {
  readonly connection: Connection;
  readonly administration: Administration;
  readonly pipeline: Pipeline;
  readonly connectionId: string | undefined;
  readonly requestId: string;
  readonly traceparent: string | undefined;
  /** Of the answer that the call is part of. */
  readonly answer: AnswerSize = { units: 0 };

  constructor({ connection, administration, pipeline, connectionId, requestId, traceparent }: ContextParts) {
    this.connection = connection;
    this.administration = administration;
    this.pipeline = pipeline;
    this.connectionId = connectionId;
    this.requestId = requestId;
    this.traceparent = traceparent;
  }

  /** Who the connection speaks for now: a refresh may change the rights. */
  get principal(): Principal {
    return this.connection.principal;
  }

  /** The context of one call of several that a connection carries, each with an answer of its own. */
  ofCall(requestId: string): Context {
    return new Context({ ...this, requestId });
  }
}

/** Answers are as superjson has them. Input is kept as it came, for `reading`. */
const transformer = { serialize, deserialize: unread };

const t = initTRPC.context<Context>().create({
  transformer,
  // Never a stack trace in an answer, whatever NODE_ENV says.
  isDev: false,
  errorFormatter: ({ shape, error, ctx }) => {
    const { code, message, issues, retryAfterMs } = tellable(error);
    const told = withCode(shape, code);
    return {
      ...told,
      message,
      data: {
        ...told.data,
        ...(issues && { issues }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
        ...(ctx && { requestId: ctx.requestId }),
      },
    };
  },
});

/** What tRPC makes of an error that it has wrapped, with the code of what is told; the path of a call is the caller's. */
function withCode(shape: TRPCDefaultErrorShape, code: ErrorCode): TRPCDefaultErrorShape {
  const { path } = shape.data;
  const data = { ...shape.data, code, httpStatus: meaningOf(code).status, ...(path !== undefined && { path: cut(path) }) };
  return { ...shape, code: TRPC_ERROR_CODES_BY_KEY[code], data };
}

export const router = t.router;

/** What a procedure takes: `schema`, with what it finds wrong told as Courier tells it. */
export function checked<Out, In>(schema: z.ZodType<Out, In>) {
  const parser = { parse: (value: unknown) => validated(schema, value) };
  // tRPC infers the types of input from these two, which exist for the compiler only.
  return parser as typeof parser & { _input: In; _output: Out };
}

/** Reads input when somebody asks for it, once. */
function readOnce(getRawInput: () => Promise<unknown>): () => Promise<unknown> {
  let input: Promise<unknown> | undefined;
  return () => {
    input ??= getRawInput().then(read);
    return input;
  };
}

/**
 * Counts a call against the caller's limits and asks `allow` before anything of its input is looked at. One step, as each
 * costs a call dearly; it waits only where the limiter does.
 */
const counted = (activity: LimitedAction, allow: (principal: Principal) => void = () => undefined) =>
  t.procedure.use(({ ctx, getRawInput, next }) => {
    const go = () => {
      allow(ctx.principal);
      return next({ getRawInput: readOnce(getRawInput) });
    };
    const charged = ctx.connection.charge(activity);
    return charged === undefined ? go() : charged.then(go);
  });

/** A query or a small mutation. */
export const procedure = counted('query');
/** A subscription. */
export const subscription = counted('subscribe');
/** The publish of one event of a service. For that service and admins. */
export const publishingFor = (service: Service) => counted('publish', (principal) => requireService(principal, service));
/** The publish of one event of any service. Its validation comes after the look at rights. */
export const publishingAny = counted('publish').use(async ({ ctx, getRawInput, next }) => {
  authorise(ctx.pipeline, ctx, []);
  authorise(ctx.pipeline, ctx, [await getRawInput()]);
  return next();
});
/**
 * The publish of a list of events, each of which counts. One that cannot be read, or whose caller may publish nothing,
 * counts as one.
 */
export const publishingMany = t.procedure.use(async ({ ctx, getRawInput: getUnread, next }) => {
  const getRawInput = readOnce(getUnread);
  const drafts = mayPublishSomething(ctx.principal) ? getRawInput().then(listOf) : Promise.resolve([]);
  const cost = await drafts.then(
    ({ length }) => Math.max(1, length),
    () => 1,
  );
  await ctx.connection.charge('publish', cost);
  authorise(ctx.pipeline, ctx, await drafts);
  return next({ getRawInput });
});

/** As much of the list as a call may have; more of it is refused by its schema. */
function listOf(input: unknown): readonly unknown[] {
  return Array.isArray(input) ? input.slice(0, MAX_BATCH_EVENTS) : [];
}

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
