/**
 * Server-sent events without tRPC, for `EventSource` and curl: `GET /sse/{channels}?token=&last_event_id=&from=&types=`, and of
 * the state `?state=`. Each
 * event has its position as `id`, its type as `event`, and its JSON as `data`; `Last-Event-ID` resumes. A stream that the
 * gateway ends ends with an event `courier.closed`, with the code and the reason with which it would close a WebSocket.
 */
import type { Served } from '../state/served.ts';
import { subscribe } from '../subscribe.ts';
import { watchState } from '../watch-state.ts';
import { credentialsOf, identityOf, tokenIn } from './caller.ts';
import { headerOf, requireMethod } from './http-exchange.ts';
import type { RoutedExchange } from './http-requests.ts';
import { isWatch, plainSubscription, plainWatch } from './plain-address.ts';
import { openSseStream, type SseDialect } from './sse-stream.ts';

export const SSE_PREFIX = '/sse/';

const PLAIN: SseDialect = {
  name: 'sse',
  // Proxies and browsers pass on the beginning of a body at once, not the headers alone.
  opening: ': courier\n\n',
  ping: Buffer.from(':\n\n'),
  event: ({ id, toldType, json }) => `id: ${id}\nevent: ${toldType}\ndata: ${json}\n\n`,
  lastWords: ({ close, error }) => `event: courier.closed\ndata: ${JSON.stringify({ code: close, reason: error.message })}\n\n`,
};

/**
 * Serves one stream until it ends.
 *
 * @throws {CourierError} for everything that is to be answered with a problem document, as long as the stream has not begun.
 */
export async function servePlainSse(pipeline: Served, { req, res, target, connection }: RoutedExchange, stallMs: number): Promise<void> {
  requireMethod(req, res, ['GET']);
  const principal = await connection.open(credentialsOf(req, tokenIn(target)), identityOf(req));
  await connection.charge('subscribe');
  // An EventSource that comes back asks for the same address, and says in the header how far it has come.
  const lastEventId = headerOf(req, 'last-event-id') || undefined;
  const { contract } = pipeline;
  const events = isWatch(target)
    ? watchState(pipeline, connection, plainWatch(contract, principal, target, SSE_PREFIX, lastEventId))
    : subscribe(pipeline, connection, plainSubscription(contract, principal, target, SSE_PREFIX, lastEventId));
  const stream = await openSseStream(connection, res, PLAIN, { stallMs, meter: pipeline.meter });
  await events.attach(stream.sink, connection.signal);
}
