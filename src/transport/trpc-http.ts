/** tRPC over HTTP: batched queries and mutations, and subscriptions as server-sent events. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { nodeHTTPRequestHandler } from '@trpc/server/adapters/node-http';
import { parseConnectionParamsFromString, type TRPCRequestInfo } from '@trpc/server/http';
import type { Access } from '../auth/access.ts';
import type { Control } from '../control.ts';
import type { Feed } from '../delivery/subscriber.ts';
import { CourierError } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import { appRouter } from '../router/index.ts';
import { type Context, contextOf } from '../router/trpc.ts';
import { addressOf } from './doorway.ts';
import { headerOf, readText, requireJsonInUtf8, traceparentOf } from './http-exchange.ts';

/** Bytes of a batch's body, at most. */
const MAX_BATCH_BYTES = 1024 * 1024;
const METHODS = ['GET', 'POST'];
/** Calls in one batch, at most. */
export const MAX_BATCH_CALLS = 100;

export interface TrpcHttpDeps {
  readonly feed: Feed;
  readonly access: Access;
  readonly control: Control;
  readonly failures: Failures;
}

/** Answers one request to `/trpc/{path}`. */
export async function handleTrpcHttp(
  deps: TrpcHttpDeps,
  { req, res, path, requestId }: { req: IncomingMessage; res: ServerResponse; path: string; requestId: string },
): Promise<void> {
  if (!METHODS.includes(req.method ?? '')) {
    res.setHeader('allow', METHODS.join(', '));
    throw new CourierError('METHOD_NOT_SUPPORTED', `use ${METHODS.join(' or ')} here`);
  }
  if (req.method === 'POST') requireJsonInUtf8(req);
  res.setHeader('x-request-id', requestId);
  const signIn = async (connectionParams: TRPCRequestInfo['connectionParams']): Promise<Context> => {
    const credentials = { authorization: headerOf(req, 'authorization'), token: connectionParams?.['token'] };
    const session = await deps.access.signIn(credentials, addressOf(req));
    const { access, control, feed } = deps;
    return contextOf({ session, access, control, feed, connectionId: undefined, requestId, traceparent: traceparentOf(req) });
  };
  const posted = req.method === 'POST' ? await withBody(req, signIn) : undefined;
  await nodeHTTPRequestHandler({
    req,
    res,
    path,
    router: appRouter,
    maxBatchSize: MAX_BATCH_CALLS,
    createContext: ({ info }) => posted?.() ?? signIn(info.connectionParams),
    responseMeta: ({ errors }) => {
      const waits = errors.flatMap((error) =>
        error instanceof CourierError && error.retryAfterMs !== undefined ? [error.retryAfterMs] : [],
      );
      return waits.length === 0 ? {} : { headers: { 'retry-after': String(Math.ceil(Math.max(...waits) / 1000)) } };
    },
    onError: ({ error, path: procedure }) => {
      deps.failures.answer('trpc', error, { request_id: requestId, procedure });
    },
  });
}

/**
 * Reads a body for tRPC's adapter, which would take bytes for text whatever they are. A stranger's is not read. Returns
 * what gives the context: where one of the two failed, it fails with that, as every call does then.
 */
async function withBody(req: IncomingMessage, signIn: (params: TRPCRequestInfo['connectionParams']) => Promise<Context>) {
  // The adapter takes the body from here where there is one, and else reads by itself.
  const read = Object.assign(req, { body: '' });
  try {
    const params = URL.parse(req.url ?? '', 'http://localhost')?.searchParams.get('connectionParams') ?? null;
    const context = await signIn(params === null ? null : parseConnectionParamsFromString(params));
    read.body = await readText(req, MAX_BATCH_BYTES);
    return async () => context;
  } catch (error) {
    return () => Promise.reject(error);
  }
}
