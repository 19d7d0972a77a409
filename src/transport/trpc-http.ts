/** tRPC over HTTP: queries and mutations, one by one and in batches. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseConnectionParamsFromString, resolveResponse } from '@trpc/server/http';
import type { Administration } from '../administration.ts';
import type { Connection } from '../connections/connection.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import { CourierError, tellable } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import { appRouter, isProcedure } from '../router/index.ts';
import { Context } from '../router/trpc.ts';
import { endUnread, headerOf, readText, requireJsonInUtf8, traceparentFrom } from './http-exchange.ts';
import type { Exchange } from './http-requests.ts';
import type { RequestTarget } from './request-target.ts';
import { sendTrpcError } from './trpc-errors.ts';

/** Bytes of a batch's body, at most. */
const MAX_BATCH_BYTES = 1024 * 1024;
const METHODS = ['GET', 'POST'];
/** Calls in one batch, at most: each has an answer, and all of them are held until the last is there. */
const MAX_BATCH_CALLS = 100;

export interface TrpcHttpDeps {
  readonly pipeline: Pipeline;
  readonly administration: Administration;
  readonly failures: Failures;
}

export interface TrpcHttpExchange extends Exchange {
  readonly target: RequestTarget;
  /** Of the procedure, or of several with commas. */
  readonly path: string;
  readonly connection: Connection;
}

/** Answers one request to `/trpc/{path}`. Its body is read once it is known who calls. */
export async function handleTrpcHttp(deps: TrpcHttpDeps, exchange: TrpcHttpExchange): Promise<void> {
  const { req, res, connection, requestId } = exchange;
  if (!METHODS.includes(req.method ?? '')) {
    res.setHeader('allow', METHODS.join(', '));
    throw new CourierError('METHOD_NOT_SUPPORTED', `use ${METHODS.join(' or ')} here`);
  }
  const refuse = (error: unknown) => sendTrpcError(exchange, deps.failures.answer('trpc', error, { request_id: requestId }));
  try {
    const response = await respond(deps, exchange, await bodyOf(exchange));
    // What was done is done; a caller that has been shown out is not told of it.
    connection.assertOpen();
    await send(exchange, response);
  } catch (error) {
    refuse(connection.ending?.error ?? error);
  }
}

/** Learns who calls, and then reads the body. */
async function bodyOf({ req, target, path, connection }: TrpcHttpExchange): Promise<string | undefined> {
  const given = new URLSearchParams(target.search).get('connectionParams');
  const params = given === null ? null : parseConnectionParamsFromString(given);
  await connection.open({ authorization: headerOf(req, 'authorization'), token: params?.['token'] });
  if (req.method === 'POST') requireJsonInUtf8(req);
  const body = req.method === 'POST' ? await readText(req, connection, MAX_BATCH_BYTES) : undefined;
  connection.assertOpen();
  // What there is not counts too: it is counted nowhere else.
  const unknown = path.split(',').filter((one) => !isProcedure(one)).length;
  if (unknown > 0) await connection.charge('query', unknown);
  return body;
}

function respond(
  deps: TrpcHttpDeps,
  { req, target, path, connection, requestId }: TrpcHttpExchange,
  body: string | undefined,
): Promise<Response> {
  const { administration, pipeline, failures } = deps;
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
    router: appRouter,
    error: null,
    maxBatchSize: MAX_BATCH_CALLS,
    createContext: async ({ info }) => {
      // They have a way of their own, on which they are counted and paced.
      if (info.type === 'subscription') throw new CourierError('METHOD_NOT_SUPPORTED', 'subscribe with one GET, without a batch');
      return new Context({ connection, administration, pipeline, connectionId: undefined, requestId, traceparent: traceparentFrom(req) });
    },
    responseMeta: ({ errors }) => {
      const waits = errors.flatMap((error) => tellable(error).retryAfterMs ?? []);
      return waits.length === 0 ? {} : { headers: new Headers({ 'retry-after': String(Math.ceil(Math.max(...waits) / 1000)) }) };
    },
    onError: ({ error, path: procedure }) => {
      failures.answer('trpc', error, { request_id: requestId, procedure });
    },
  });
}

async function send({ req, res, connection }: TrpcHttpExchange, response: Response): Promise<void> {
  // Several answers, each when it is there.
  const isStreamed = response.headers.get('transfer-encoding') === 'chunked';
  const text = isStreamed ? '' : await response.text();
  // What a mutation did is told; its answer is small, and its body is counted already.
  if (req.method === 'GET') connection.reserve(Buffer.byteLength(text));
  for (const [name, value] of response.headers) res.setHeader(name, value);
  endUnread(req, res);
  res.statusCode = response.status;
  if (isStreamed) await pipeline(Readable.fromWeb(response.body as never), res, { signal: connection.signal }).catch(() => res.destroy());
  else res.end(text);
}
