/** Subscriptions of tRPC over HTTP: `httpSubscriptionLink` as it is, over the gateway's own streams of server-sent events. */
import { callTRPCProcedure, getTRPCErrorShape } from '@trpc/server';
import { endingOf } from '../connections/wire.ts';
import type { Delivery } from '../delivery/batch.ts';
import { isEventStream } from '../delivery/event-stream.ts';
import { CourierError, cut } from '../errors.ts';
import { Context } from '../router/trpc.ts';
import { withLastEventId } from '../router/unread-input.ts';
import { connectionParamsIn, credentialsOf, identityOf } from './caller.ts';
import { headerOf, traceparentFrom } from './http-exchange.ts';
import { parametersIn } from './query.ts';
import { openSseStream, type SseDialect } from './sse-stream.ts';
import type { TrpcDeps, TrpcExchange } from './trpc-http.ts';
import { encodeEvent } from './trpc-messages.ts';

/**
 * Serves one subscription until it ends. The stream tells what is wrong with the call, as tRPC does it.
 *
 * @throws {CourierError} what refuses the caller.
 */
export async function serveTrpcSse(deps: TrpcDeps, exchange: TrpcExchange, stallMs: number): Promise<void> {
  const { req, res, target, path, connection, requestId } = exchange;
  const { router, administration, pipeline, failures } = deps;
  const config = router._def._config;
  const query = parametersIn(target);
  const params = connectionParamsIn(target);
  await connection.open(credentialsOf(req, params?.['token']), identityOf(req, params));
  const ctx = new Context({
    connection,
    administration,
    pipeline,
    failures,
    connectionId: connection.id,
    requestId,
    traceparent: traceparentFrom(req),
  });
  const shapeOf = (error: CourierError) => getTRPCErrorShape({ config, error, type: 'subscription', path, input: undefined, ctx });
  const dialect = dialectOf((error) => JSON.stringify(config.transformer.output.serialize(shapeOf(error))));
  const stream = await openSseStream(connection, res, dialect, { stallMs, meter: pipeline.meter });
  try {
    const { signal } = connection;
    const getRawInput = async () => inputFrom(config, query, headerOf(req, 'last-event-id'));
    const events: unknown = await callTRPCProcedure({
      router,
      path,
      getRawInput,
      ctx,
      type: 'subscription',
      signal,
      batchIndex: 0,
    });
    if (!isEventStream(events)) throw new Error(`${path} did not return a stream of events`);
    await events.attach(stream.sink, signal);
  } catch (thrown) {
    if (connection.ending !== undefined) return;
    const context = { request_id: requestId, connection_id: connection.id, procedure: cut(path) };
    connection.end(endingOf(failures.answer('trpc', thrown, context, connection)));
  }
}

/** @throws what the transformer throws, or JSON. */
function inputFrom(
  { transformer }: TrpcDeps['router']['_def']['_config'],
  query: ReadonlyMap<string, string>,
  lastEventIdHeader: string | undefined,
): unknown {
  const text = query.get('input');
  const input = text === undefined || text === '' ? undefined : transformer.input.deserialize(parsed(text));
  const lastEventId = lastEventIdHeader || query.get('lastEventId') || query.get('Last-Event-Id') || undefined;
  return withLastEventId(input, lastEventId);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CourierError('PARSE_ERROR', 'input: is not JSON', { cause });
  }
}

/** After how long without a byte a client takes the stream for dead, in ms: pings come far more often. */
const INACTIVITY_MS = 40_000;
const PING = Buffer.from('event: ping\ndata: \n\n');

/** As `sseStreamProducer` of @trpc/server writes it. */
function dialectOf(errorJson: (error: CourierError) => string): SseDialect {
  return {
    name: 'trpc-sse',
    opening: `event: connected\ndata: ${JSON.stringify({ reconnectAfterInactivityMs: INACTIVITY_MS })}\n\n`,
    ping: PING,
    event: (delivery: Delivery) => `data: ${encodeEvent(delivery)}\nid: ${delivery.id}\n\n`,
    lastWords: ({ error }) => `event: serialized-error\ndata: ${errorJson(error)}\n\n`,
  };
}
