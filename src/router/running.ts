/**
 * Runs procedures: their middlewares in order, as tRPC does. tRPC copies the call for each middleware, twice and field by field, and
 * waits for each of its steps, which takes a third of the time of a publish; here each middleware gets an object of its own that is
 * made at once, and nothing is waited for but what takes its time.
 *
 * One thing differs: `next` throws what the rest of the procedure throws, instead of giving an outcome that has failed. No middleware of
 * Courier looks at outcomes.
 */
import { type AnyTRPCProcedure, type AnyTRPCRouter, getTRPCErrorFromUnknown, TRPCError } from '@trpc/server';

/** Something that is there, or will be. */
export type Later<T> = T | Promise<T>;

/** Goes on with a value: at once where it is there. */
export function after<T, R>(value: Later<T>, go: (value: T) => Later<R>): Later<R> {
  return value instanceof Promise ? value.then(go) : go(value);
}

/** What a procedure is called with. */
interface CallOptions {
  readonly ctx: unknown;
  readonly type: string;
  readonly path: string;
  readonly getRawInput: () => Later<unknown>;
  readonly input: unknown;
  readonly signal: AbortSignal | undefined;
  readonly batchIndex: number;
}

interface Outcome {
  readonly ok: true;
  readonly data: unknown;
}
type Next = (given?: Partial<Pick<CallOptions, 'getRawInput' | 'input'>>) => Later<Outcome>;
type Middleware = (options: CallOptions & { readonly meta: unknown; readonly next: Next }) => Later<Outcome>;
type Step = (options: CallOptions, next: Next) => Later<Outcome>;

/** What tRPC keeps of a procedure, and its types do not tell. */
interface Definition {
  /** The last one calls the resolver. */
  readonly middlewares: readonly (Middleware & { readonly _type?: string })[];
  /** The parsers of the middlewares that read the input. */
  readonly inputs: readonly { parse(value: unknown): unknown }[];
  readonly resolver: (options: CallOptions) => Later<unknown>;
  readonly meta: unknown;
}

/** Lets all procedures of a router run in this way. @throws {TypeError} for one that is made otherwise than Courier's are. */
export function runAtOnce(router: AnyTRPCRouter): void {
  const procedures = router._def.procedures as unknown as Record<string, AnyTRPCProcedure>;
  for (const [path, procedure] of Object.entries(procedures)) procedures[path] = atOnce(procedure);
}

function atOnce(procedure: AnyTRPCProcedure): AnyTRPCProcedure {
  const steps = stepsOf(procedure._def as unknown as Definition);
  const run = (index: number, options: CallOptions): Later<Outcome> =>
    (steps[index] as Step)(options, (given) => run(index + 1, given === undefined ? options : { ...options, ...given }));
  const call = async ({ ctx, type, path, getRawInput, input, signal, batchIndex }: CallOptions) => {
    try {
      return (await run(0, { ctx, type, path, getRawInput, input, signal, batchIndex })).data;
    } catch (cause) {
      throw getTRPCErrorFromUnknown(cause);
    }
  };
  const { _def, meta } = procedure as AnyTRPCProcedure & { meta?: unknown };
  return Object.assign(call, { _def, meta, procedure: true }) as unknown as AnyTRPCProcedure;
}

function stepsOf({ middlewares, inputs, resolver, meta }: Definition): Step[] {
  const [parser, ...more] = inputs;
  const isKnown = typeof resolver === 'function' && more.length === 0 && middlewares.every(({ _type = 'input' }) => _type === 'input');
  if (!isKnown || (parser !== undefined && typeof parser.parse !== 'function'))
    throw new TypeError('a procedure has one input at most, which can be parsed at once, and is kept as by this version of @trpc/server');
  return middlewares.map((middleware, index): Step => {
    if (index === middlewares.length - 1) return (options) => after(resolver(options), (data) => ({ ok: true, data }));
    if (middleware._type === 'input') return (options, next) => after(options.getRawInput(), (raw) => next({ input: parsed(parser, raw) }));
    return ({ ctx, type, path, getRawInput, input, signal, batchIndex }, next) =>
      middleware({ ctx, type, path, getRawInput, input, signal, batchIndex, meta, next });
  });
}

function parsed(parser: Definition['inputs'][number] | undefined, raw: unknown): unknown {
  try {
    return parser?.parse(raw);
  } catch (cause) {
    throw new TRPCError({ code: 'BAD_REQUEST', cause });
  }
}
