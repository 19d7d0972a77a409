/**
 * Server-sent events without tRPC, for `EventSource` and curl: `GET /sse/{channels}?token=&last_event_id=&from=&types=`. Each
 * event has its position as `id`, its type as `event`, and its JSON as `data`; `Last-Event-ID` resumes. What the gateway ends
 * by itself ends with an event `courier.closed`, with the code and reason that a WebSocket would be closed with.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connection } from '../connections/connection.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import { CourierError } from '../errors.ts';
import { subscribe } from '../subscribe.ts';
import { identityOf } from './client-identity.ts';
import { headerOf } from './http-exchange.ts';
import { credentialsOf, plainSubscription } from './plain-subscription.ts';
import type { RequestTarget } from './request-target.ts';
import { openSseStream, type SseDialect } from './sse-stream.ts';

export const SSE_PREFIX = '/sse/';

const PLAIN: SseDialect = {
  name: 'sse',
  // Proxies and browsers pass on the beginning of a body at once, not the headers alone.
  opening: ': courier\n\n',
  ping: ':\n\n',
  event: ({ id, type, json }) => `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`,
  lastWords: ({ close, error: { message, retryAfterMs } }) => {
    const retry = retryAfterMs === undefined ? '' : `retry: ${Math.max(1000, retryAfterMs)}\n`;
    return `${retry}event: courier.closed\ndata: ${JSON.stringify({ code: close, reason: message })}\n\n`;
  },
};

export interface PlainSseExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: RequestTarget;
  readonly connection: Connection;
  readonly stallMs: number;
}

/**
 * Serves one stream until it ends.
 *
 * @throws {CourierError} for everything that is to be answered with a problem document, as long as the stream has not begun.
 */
export async function servePlainSse(pipeline: Pipeline, { req, res, target, connection, stallMs }: PlainSseExchange): Promise<void> {
  if (req.method !== 'GET') {
    res.setHeader('allow', 'GET');
    throw new CourierError('METHOD_NOT_SUPPORTED', 'use GET here');
  }
  const principal = await connection.open(credentialsOf(req, target), identityOf(req));
  await connection.charge('subscribe');
  // An EventSource that comes back asks for the same address, and says in the header how far it has come.
  const request = plainSubscription(principal, target, SSE_PREFIX, headerOf(req, 'last-event-id') || undefined);
  const events = subscribe(pipeline, connection, request);
  const stream = await openSseStream(connection, res, PLAIN, { stallMs, meter: pipeline.meter });
  await events.attach(stream.sink, connection.signal);
}
