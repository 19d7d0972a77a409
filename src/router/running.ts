/**
 * Runs procedures: their middlewares in order, as tRPC does. tRPC copies the call for each middleware, twice and field by field,
 * which takes a fifth of the time of a publish; here each gets an object of its own that is made at once.
 */
import { type AnyTRPCProcedure, type AnyTRPCRouter, getTRPCErrorFromUnknown, type TRPCError } from '@trpc/server';

/** What a procedure is called with. */
interface CallOptions {
  readonly ctx: unknown;
  readonly type: string;
  readonly path: string;
  readonly getRawInput: () => Promise<unknown>;
  readonly input: unknown;
  readonly signal: AbortSignal | undefined;
  readonly batchIndex: number;
}

type Outcome = { readonly ok: true; readonly data: unknown } | { readonly ok: false; readonly error: TRPCError };
type Middleware = (
  options: CallOptions & { readonly meta: unknown; readonly next: (given?: Partial<CallOptions>) => Promise<Outcome> },
) => Promise<Outcome>;

/** What tRPC keeps of a procedure, and its types do not tell. */
interface Definition {
  readonly middlewares: readonly Middleware[];
  readonly meta: unknown;
}

/** Lets all procedures of a router run without the copies. @throws {TypeError} where this version of tRPC keeps them in another way. */
export function runWithoutCopies(router: AnyTRPCRouter): void {
  const procedures = router._def.procedures as unknown as Record<string, AnyTRPCProcedure>;
  for (const [path, procedure] of Object.entries(procedures)) procedures[path] = withoutCopies(procedure);
}

function withoutCopies(procedure: AnyTRPCProcedure): AnyTRPCProcedure {
  const definition = procedure._def as unknown as Definition;
  if (!Array.isArray(definition.middlewares)) throw new TypeError('this version of @trpc/server keeps its middlewares elsewhere');
  const call = async (options: CallOptions) => {
    const outcome = await run(definition, 0, options);
    if (!outcome.ok) throw outcome.error;
    return outcome.data;
  };
  const { _def, meta } = procedure as AnyTRPCProcedure & { meta?: unknown };
  return Object.assign(call, { _def, meta, procedure: true }) as unknown as AnyTRPCProcedure;
}

async function run(definition: Definition, index: number, options: CallOptions): Promise<Outcome> {
  const { ctx, type, path, getRawInput, input, signal, batchIndex } = options;
  try {
    return await (definition.middlewares[index] as Middleware)({
      ctx,
      type,
      path,
      getRawInput,
      input,
      signal,
      batchIndex,
      meta: definition.meta,
      next: (given) => run(definition, index + 1, given === undefined ? options : continued(options, given)),
    });
  } catch (cause) {
    return { ok: false, error: getTRPCErrorFromUnknown(cause) };
  }
}

/** The call as the next middleware gets it. None of Courier's changes the context. */
function continued({ ctx, type, path, getRawInput, input, signal, batchIndex }: CallOptions, given: Partial<CallOptions>): CallOptions {
  return {
    ctx,
    type,
    path,
    getRawInput: given.getRawInput ?? getRawInput,
    input: 'input' in given ? given.input : input,
    signal,
    batchIndex,
  };
}
