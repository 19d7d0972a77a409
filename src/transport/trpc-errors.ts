/** Answers over HTTP to a caller of tRPC that is refused as a whole: one error, which tRPC's clients take for each of their calls. */
import { getTRPCErrorShape, transformTRPCResponse } from '@trpc/server';
import type { CourierError } from '../errors.ts';
import { appRouter } from '../router/index.ts';
import type { Context } from '../router/trpc.ts';
import { endUnread } from './http-exchange.ts';
import type { Exchange } from './http-requests.ts';

export function sendTrpcError({ req, res, requestId }: Exchange, error: CourierError): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const config = appRouter._def._config;
  // Of a context an error tells the id of the request only.
  const ctx = { requestId } as Context;
  const shape = getTRPCErrorShape({ config, error, type: 'unknown', path: undefined, input: undefined, ctx });
  const { retryAfterMs } = error;
  endUnread(req, res, error);
  res.writeHead(shape.data.httpStatus, {
    'content-type': 'application/json',
    ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }),
  });
  res.end(JSON.stringify(transformTRPCResponse(config, { error: shape })));
}
