/** tRPC over HTTP: queries and mutations, one by one and in batches, and the answer to a caller that is refused as a whole. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type AnyTRPCRouter, getTRPCErrorShape, transformTRPCResponse } from '@trpc/server';
import { resolveResponse } from '@trpc/server/http';
import type { Administration } from '../administration.ts';
import { CourierError, cut, tellable } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import { procedureAt } from '../router/index.ts';
import { Context } from '../router/trpc.ts';
import type { Served } from '../state/served.ts';
import { connectionParamsIn, credentialsOf, identityOf } from './caller.ts';
import { endUnread, headerOf, readText, requireJsonInUtf8, requireMethod, retryAfter, traceparentFrom } from './http-exchange.ts';
import type { Exchange, RoutedExchange } from './http-requests.ts';
import { tellAllowances } from './rate-headers.ts';

/** Bytes of a batch's body, at most. */
const MAX_BATCH_BYTES = 1024 * 1024;
const METHODS = ['GET', 'POST'];
/** Calls in one batch, at most: each has an answer, and the gateway keeps all of them until the last is there. */
const MAX_BATCH_CALLS = 100;

export interface TrpcDeps {
  /** Of the contract that the gateway serves. */
  readonly router: AnyTRPCRouter;
  readonly pipeline: Served;
  readonly administration: Administration;
  readonly failures: Failures;
}

export interface TrpcExchange extends RoutedExchange {
  /** Of the procedure, or of several with commas. */
  readonly path: string;
}

/** Answers one request to `/trpc/{path}`. Reads its body once it is known who calls. */
export async function handleTrpcHttp(deps: TrpcDeps, exchange: TrpcExchange): Promise<void> {
  const { req, res, connection, requestId } = exchange;
  requireMethod(req, res, METHODS);
  const told = new Set<CourierError>();
  /** One error may end a call, and then the whole request. */
  const tell = (thrown: unknown, procedure?: string): CourierError => {
    const error = tellable(thrown);
    if (told.has(error)) return error;
    told.add(error);
    return deps.failures.answer('trpc', thrown, { request_id: requestId, procedure: procedure && cut(procedure) }, connection);
  };
  try {
    const response = await respond(deps, exchange, await bodyOf(deps.router, exchange), tell);
    // What was done is done; a caller whose connection was ended is not told of it.
    connection.assertOpen();
    await send(exchange, response);
  } catch (error) {
    sendTrpcError(deps.router, exchange, tell(connection.ending?.error ?? error));
  }
}

/** Learns who calls, and then reads the body. */
async function bodyOf(router: AnyTRPCRouter, { req, target, path, connection }: TrpcExchange): Promise<string | undefined> {
  const params = connectionParamsIn(target);
  await connection.open(credentialsOf(req, params?.['token']), identityOf(req, params));
  if (req.method === 'POST') requireJsonInUtf8(req);
  const body = req.method === 'POST' ? await readText(req, connection, MAX_BATCH_BYTES) : undefined;
  connection.assertOpen();
  // No procedure charges a call of one that there is not, or that is of another type.
  const type = req.method === 'POST' ? 'mutation' : 'query';
  const none = path.split(',').filter((one) => procedureAt(router, one)?._def.type !== type).length;
  if (none > 0) await connection.charge('query', none);
  return body;
}

function respond(
  deps: TrpcDeps,
  { req, target, path, connection, requestId }: TrpcExchange,
  body: string | undefined,
  tell: (error: unknown, procedure: string | undefined) => void,
): Promise<Response> {
  const { router, administration, pipeline, failures } = deps;
  const headers = new Headers();
  for (const name of ['content-type', 'accept', 'trpc-accept']) {
    const value = headerOf(req, name);
    if (value !== undefined) headers.set(name, value);
  }
  const method = req.method ?? 'GET';
  const url = new URL(`http://localhost/trpc/${target.search}`);
  return resolveResponse({
    req: new Request(url, { method, headers, signal: connection.signal, ...(body !== undefined && { body }) }),
    // Decoded already.
    path: encodeURIComponent(path),
    router,
    error: null,
    maxBatchSize: MAX_BATCH_CALLS,
    createContext: async ({ info }) => {
      // They have a way of their own, on which they are counted and paced.
      if (info.type === 'subscription') throw new CourierError('METHOD_NOT_SUPPORTED', 'subscribe with one GET, without a batch');
      const traceparent = traceparentFrom(req);
      return new Context({ connection, administration, pipeline, failures, connectionId: undefined, requestId, traceparent });
    },
    responseMeta: ({ errors }) => {
      const waits = errors.flatMap((error) => tellable(error).retryAfterMs ?? []);
      return waits.length === 0 ? {} : { headers: new Headers(retryAfter(Math.max(...waits))) };
    },
    onError: ({ error, path: procedure }) => tell(error, procedure),
  });
}

async function send({ req, res, connection }: TrpcExchange, response: Response): Promise<void> {
  // Several answers, each when it is there.
  const isStreamed = response.headers.get('transfer-encoding') === 'chunked';
  const text = isStreamed ? '' : await response.text();
  // What a mutation did is told; its answer is small, and its body is counted already.
  if (req.method === 'GET') connection.reserve(Buffer.byteLength(text));
  for (const [name, value] of response.headers) res.setHeader(name, value);
  // The headers of a streamed answer go before its calls are charged.
  if (!isStreamed) tellAllowances(res, connection);
  endUnread(req, res);
  res.statusCode = response.status;
  if (isStreamed) await pipeline(Readable.fromWeb(response.body as never), res, { signal: connection.signal }).catch(() => res.destroy());
  else res.end(text);
}

/** Refuses a caller as a whole with one error, which tRPC's clients take for each of their calls. */
export function sendTrpcError(router: AnyTRPCRouter, { req, res, requestId }: Exchange, error: CourierError): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const config = router._def._config;
  // Of a context an error tells the id of the request only.
  const ctx = { requestId } as Context;
  const shape = getTRPCErrorShape({ config, error, type: 'unknown', path: undefined, input: undefined, ctx });
  endUnread(req, res, error);
  res.writeHead(shape.data.httpStatus, { 'content-type': 'application/json', ...retryAfter(error.retryAfterMs) });
  res.end(JSON.stringify(transformTRPCResponse(config, { error: shape })));
}
