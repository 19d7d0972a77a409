/** tRPC over HTTP: queries and mutations, one by one and in batches. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseConnectionParamsFromString, resolveResponse } from '@trpc/server/http';
import type { Connection } from '../connections/connection.ts';
import type { Control } from '../control.ts';
import type { Feed } from '../delivery/subscriber.ts';
import { CourierError, tellable } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import { appRouter, isProcedure } from '../router/index.ts';
import { Context } from '../router/trpc.ts';
import { endUnread, headerOf, readText, requireJsonInUtf8, traceparentOf } from './http-exchange.ts';
import type { RequestTarget } from './request-target.ts';

/** Bytes of a batch's body, at most. */
const MAX_BATCH_BYTES = 1024 * 1024;
const METHODS = ['GET', 'POST'];
/** Calls in one batch, at most: each has an answer, and all of them are held until the last is there. */
const MAX_BATCH_CALLS = 100;

export interface TrpcHttpDeps {
  readonly feed: Feed;
  readonly control: Control;
  readonly failures: Failures;
}

export interface TrpcHttpExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: RequestTarget;
  /** Of the procedure, or of several with commas. */
  readonly path: string;
  readonly connection: Connection;
  readonly requestId: string;
}

/** Answers one request to `/trpc/{path}`. Its body is read once it is known who calls. */
export async function handleTrpcHttp(deps: TrpcHttpDeps, exchange: TrpcHttpExchange): Promise<void> {
  const { req, res, connection, requestId } = exchange;
  if (!METHODS.includes(req.method ?? '')) {
    res.setHeader('allow', METHODS.join(', '));
    throw new CourierError('METHOD_NOT_SUPPORTED', `use ${METHODS.join(' or ')} here`);
  }
  res.setHeader('x-request-id', requestId);
  const response = await respond(deps, exchange, await received(exchange));
  // What was done is done; a caller that has been shown out is not told more.
  if (connection.ending !== undefined) await send(exchange, await respond(deps, exchange, { error: connection.ending.error }));
  else await send(exchange, response);
}

/** What came of a request: its body, or what is wrong with it or its caller. */
type Received = { readonly body: string | undefined } | { readonly error: unknown };

async function received({ req, target, path, connection }: TrpcHttpExchange): Promise<Received> {
  try {
    const given = new URLSearchParams(target.search).get('connectionParams');
    const params = given === null ? null : parseConnectionParamsFromString(given);
    await connection.open({ authorization: headerOf(req, 'authorization'), token: params?.['token'] });
    if (req.method === 'POST') requireJsonInUtf8(req);
    const body = req.method === 'POST' ? await readText(req, { maxBytes: MAX_BATCH_BYTES, signal: connection.signal }) : undefined;
    connection.assertOpen();
    // What there is not counts too: it is counted nowhere else.
    const unknown = path.split(',').filter((one) => !isProcedure(one)).length;
    if (unknown > 0) await connection.charge('query', unknown);
    return { body };
  } catch (error) {
    return { error };
  }
}

function respond(deps: TrpcHttpDeps, { req, target, path, connection, requestId }: TrpcHttpExchange, what: Received): Promise<Response> {
  const { control, feed, failures } = deps;
  const headers = new Headers();
  for (const name of ['content-type', 'accept', 'trpc-accept']) {
    const value = headerOf(req, name);
    if (value !== undefined) headers.set(name, value);
  }
  const method = req.method ?? 'GET';
  const url = new URL(`http://localhost/trpc/${target.search}`);
  const body = 'body' in what ? what.body : undefined;
  return resolveResponse({
    req: new Request(url, { method, headers, signal: connection.signal, ...(body !== undefined && { body }) }),
    // Decoded already.
    path: encodeURIComponent(path),
    router: appRouter,
    error: null,
    maxBatchSize: MAX_BATCH_CALLS,
    createContext: async ({ info }) => {
      if ('error' in what) throw what.error;
      // They have a way of their own, on which they are counted and paced.
      if (info.type === 'subscription') throw new CourierError('METHOD_NOT_SUPPORTED', 'subscribe with one GET, without a batch');
      return new Context({ connection, control, feed, connectionId: undefined, requestId, traceparent: traceparentOf(req) });
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
  for (const [name, value] of response.headers) res.setHeader(name, value);
  endUnread(req, res);
  res.statusCode = response.status;
  if (response.body === null) res.end();
  // Several answers, each when it is there.
  else if (response.headers.get('transfer-encoding') === 'chunked') {
    await pipeline(Readable.fromWeb(response.body as never), res, { signal: connection.signal }).catch(() => res.destroy());
  } else res.end(await response.text());
}
