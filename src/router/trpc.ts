/** The base of every procedure: the context, the transformer, the shape of errors, and the checks of limits and rights. */
import { initTRPC, type TRPCDefaultErrorShape } from '@trpc/server';
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc';
import type { z } from 'zod';
import type { Administration } from '../administration.ts';
import type { Principal } from '../auth/principal.ts';
import { mayPublishSomething, requireService } from '../auth/publish-rights.ts';
import type { Connection } from '../connections/connection.ts';
import { type ErrorCode, meaningOf } from '../contract/codes.ts';
import { MAX_BATCH_EVENTS } from '../contract/draft.ts';
import { CourierError, cut, detailsOf, tellable, validated } from '../errors.ts';
import type { LimitedAction } from '../limits/limits.ts';
import type { Failures } from '../observe/failures.ts';
import { authorise } from '../publish.ts';
import type { Served } from '../state/served.ts';
import type { AnswerSize } from './event-page.ts';
import { after, type Later } from './running.ts';
import { serialize } from './serialize.ts';
import { read, unread } from './unread-input.ts';

/** The parts of a caller's context. */
export interface ContextParts {
  readonly connection: Connection;
  readonly administration: Administration;
  readonly pipeline: Served;
  readonly failures: Failures;
  /** Undefined when the connection lasts for one request only. */
  readonly connectionId: string | undefined;
  /** Names the call in the log. */
  readonly requestId: string;
  /** The W3C trace context of the request. */
  readonly traceparent: string | undefined;
}

/** The context that every procedure receives. */
export class Context implements ContextParts {
  readonly connection: Connection;
  readonly administration: Administration;
  readonly pipeline: Served;
  readonly failures: Failures;
  readonly connectionId: string | undefined;
  readonly requestId: string;
  readonly traceparent: string | undefined;
  /** The size of the answer that the call is part of. */
  readonly answer: AnswerSize = { units: 0 };

  constructor({ connection, administration, pipeline, failures, connectionId, requestId, traceparent }: ContextParts) {
    this.connection = connection;
    this.administration = administration;
    this.pipeline = pipeline;
    this.failures = failures;
    this.connectionId = connectionId;
    this.requestId = requestId;
    this.traceparent = traceparent;
  }

  /** The connection's present principal: a refresh may change the rights. */
  get principal(): Principal {
    return this.connection.principal;
  }

  /** The context of one of several calls over the connection. Each call has an answer of its own. */
  ofCall(requestId: string): Context {
    const { connection, administration, pipeline, failures, connectionId, traceparent } = this;
    return new Context({ connection, administration, pipeline, failures, connectionId, requestId, traceparent });
  }
}

/** Answers are superjson. Input stays unread until the call has been counted and allowed. */
const transformer = { serialize, deserialize: unread };

const t = initTRPC.context<Context>().create({
  transformer,
  // No answer has a stack trace, whatever NODE_ENV is.
  isDev: false,
  errorFormatter: ({ shape, error, ctx }) => {
    const refusal = tellable(error);
    const told = withCode(shape, refusal.code, refusal.status);
    return {
      ...told,
      message: refusal.message,
      data: { ...told.data, ...detailsOf(refusal), ...(ctx && { requestId: ctx.requestId }) },
    };
  },
});

/** The shape that tRPC made of an error, with the code that the caller is told, and with the caller's path cut to a bounded length. */
function withCode(shape: TRPCDefaultErrorShape, code: ErrorCode, status = meaningOf(code).status): TRPCDefaultErrorShape {
  const { path } = shape.data;
  const data = { ...shape.data, code, httpStatus: status, ...(path !== undefined && { path: cut(path) }) };
  return { ...shape, code: TRPC_ERROR_CODES_BY_KEY[code], data };
}

export const router = t.router;

/** The parser of a procedure's input: `schema`, with Courier's errors. */
export function checked<Out, In>(schema: z.ZodType<Out, In>) {
  const parser = { parse: (value: unknown) => validated(schema, value) };
  // tRPC infers the types of the input from these two properties, which exist for the compiler only.
  return parser as typeof parser & { _input: In; _output: Out };
}

/** Reads input at the first call of the function, and once only. What asks for it need not wait where it is there. */
function readOnce(getRawInput: () => Later<unknown>): () => Later<unknown> {
  let input: { readonly value: Later<unknown> } | undefined;
  return () => {
    input ??= { value: after(getRawInput(), read) };
    return input.value;
  };
}

/** What the rest of a procedure gets its input by. tRPC's types know of promises only; see `running.ts`. */
function inputBy(input: () => Later<unknown>): { readonly getRawInput: () => Promise<unknown> } {
  return { getRawInput: input as () => Promise<unknown> };
}

/**
 * Charges a call to the caller's limits and asks `allow`, before anything reads the input. Both happen in one middleware, as
 * each middleware slows every call; it waits only when the limiter does.
 */
const counted = (action: LimitedAction, allow: (principal: Principal) => void = () => undefined) =>
  t.procedure.use(({ ctx, getRawInput, next }) => {
    const go = () => {
      allow(ctx.principal);
      return next(inputBy(readOnce(getRawInput)));
    };
    const charged = ctx.connection.charge(action);
    return charged === undefined ? go() : charged.then(go);
  });

/** A query or a small mutation. */
export const procedure = counted('query');
/** A subscription. */
export const subscription = counted('subscribe');
/** A publish of one event of a service, by this service or an admin. */
export const publishingFor = (service: string) => counted('publish', (principal) => requireService(principal, service));
/** A publish of one event of any service. The check of rights comes before the validation. */
export const publishingAny = counted('publish').use(({ ctx, getRawInput, next }) => {
  authorise(ctx.pipeline, ctx, []);
  const go = (draft: unknown) => {
    authorise(ctx.pipeline, ctx, [draft]);
    return next();
  };
  return after<unknown, Awaited<ReturnType<typeof go>>>(getRawInput(), go) as ReturnType<typeof go>;
});
/**
 * A publish of a list of events, which counts once for each event. It counts once when the list is unreadable, or when the
 * caller may publish nothing.
 */
export const publishingMany = t.procedure.use(async ({ ctx, getRawInput, next }) => {
  const input = readOnce(getRawInput);
  const drafts = mayPublishSomething(ctx.pipeline.contract, ctx.principal)
    ? Promise.resolve().then(input).then(listOf)
    : Promise.resolve([]);
  const cost = await drafts.then(
    ({ length }) => Math.max(1, length),
    () => 1,
  );
  await ctx.connection.charge('publish', cost);
  authorise(ctx.pipeline, ctx, await drafts);
  return next(inputBy(input));
});

/**
 * Publishes of a list of events, each by itself: they are charged, and their rights checked, one by one in the call. What is refused
 * as a whole counts once: no list of events, or a caller who may publish nothing.
 */
export const publishingEach = t.procedure.use(async ({ ctx, getRawInput, next }) => {
  const input = readOnce(getRawInput);
  const mayPublish = mayPublishSomething(ctx.pipeline.contract, ctx.principal);
  const isOfEvents =
    mayPublish &&
    (await Promise.resolve()
      .then(input)
      .then(isDraftList, () => false));
  if (!isOfEvents) await ctx.connection.charge('publish');
  authorise(ctx.pipeline, ctx, []);
  if (isOfEvents) await room(ctx, ((await input()) as readonly unknown[]).length);
  return next(inputBy(input));
});

/** What one of several events counts as, in bytes that are looked at in a turn: a refusal takes some ten microseconds. */
const LOOKED_AT_BYTES = 2048;
/** What is said of one, in bytes, about. */
const ANSWERED_BYTES = 1024;

/** Waits until so many events have their turn, and reserves memory for the answer of a request, which its client may leave unread. */
async function room({ connection, connectionId }: Context, events: number): Promise<void> {
  if (connectionId === undefined) connection.reserve(events * ANSWERED_BYTES);
  const turn = connection.turn(events * LOOKED_AT_BYTES);
  if (turn === undefined) return;
  await turn;
  connection.assertOpen();
}

function isDraftList(input: unknown): boolean {
  return Array.isArray(input) && input.length > 0 && input.length <= MAX_BATCH_EVENTS;
}

/** The events of the list, up to the limit of a call: the schema refuses a longer list. */
function listOf(input: unknown): readonly unknown[] {
  return Array.isArray(input) ? input.slice(0, MAX_BATCH_EVENTS) : [];
}

/** A query of figures, which name nobody, by a service or an admin. */
export const observing = procedure.use(({ ctx, next }) => {
  if (ctx.principal.role === 'user') throw new CourierError('FORBIDDEN', 'this is for services and admins');
  return next();
});
/** A call by an admin. */
export const administering = procedure.use(({ ctx, next }) => {
  if (ctx.principal.role !== 'admin') throw new CourierError('FORBIDDEN', 'this is for admins');
  return next();
});
