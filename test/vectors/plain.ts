/** The scripted server's side of plain HTTP and plain WebSocket, after a script. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import superjson from 'superjson';
import { type ErrorCode, meaningOf } from '../../src/contract/codes.ts';
import { CourierError } from '../../src/errors.ts';
import { headerOf, readJson, sendJson, sendProblem } from '../../src/transport/http-exchange.ts';
import type { Run, SeenConnection } from './run.ts';
import { clientOf, deliver, type Line, refused } from './script.ts';
import type { ScriptedSocket } from './socket.ts';
import { errorShape, publishOf, withDate } from './trpc-messages.ts';
import { eventOf, type NoAnswer, receiptOf, type ScriptedConnection, type ScriptedError } from './vector.ts';

/** What `/ws/{list}` may be asked with. */
const WS_PARAMETERS: ReadonlySet<string> = new Set(['token', 'last_event_id', 'from', 'types']);

/** What an upgrade of `/ws/{list}` asks for. */
export function plainConnectionOf(run: Run, req: IncomingMessage, url: URL, list: string): SeenConnection {
  const query = url.searchParams;
  for (const name of query.keys()) if (!WS_PARAMETERS.has(name)) run.mismatch(`/ws/ has no parameter ${name}`);
  const client = clientOf('plain', req);
  return {
    ...client,
    token: client.token ?? query.get('token'),
    channels: list.split(',').map(decodeURIComponent),
    types: query.get('types')?.split(',') ?? null,
    from: query.get('from'),
    last_event_id: query.get('last_event_id'),
  };
}

/** Serves a connection whose upgrade was accepted. */
export function servePlain(run: Run, socket: ScriptedSocket, entry: ScriptedConnection): void {
  const line = new PlainLine(socket);
  if (entry.refuse === undefined) {
    void deliver(run, entry, line);
    return;
  }
  line.fail(refused(entry));
  run.played();
}

class PlainLine implements Line {
  readonly socket: ScriptedSocket;

  constructor(socket: ScriptedSocket) {
    this.socket = socket;
  }

  textOf(event: string): string {
    return event;
  }

  ping(): Promise<boolean> {
    const { ws, closed } = this.socket;
    const answered = new Promise<boolean>((resolve) => ws.once('pong', () => resolve(true)));
    ws.ping();
    return Promise.race([answered, closed.then(() => false)]);
  }

  /** A plain connection cannot be renewed. */
  refreshed(): Promise<boolean> {
    return Promise.resolve(false);
  }

  fail({ code, message = code }: ScriptedError): void {
    this.socket.close(meaningOf(code).close, code === 'FORBIDDEN' ? `forbidden: ${message}` : message);
  }

  drain(): void {
    this.socket.close(1001, 'shutting down');
  }
}

/** Nothing of a vector is cut short. */
export const NEVER = { onceEnded: () => () => undefined, reserve: () => undefined, turn: () => undefined, assertOpen: () => undefined };

/** One request to the plain HTTP surface. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly url: URL;
}

/** `POST /publish/{channel}` and `POST /publish`. */
export async function answerPublish(run: Run, { req, res }: Exchange, channel: string | undefined): Promise<void> {
  const body = (await readJson(req, NEVER)) as Record<string, unknown>;
  const correlationId = headerOf(req, 'x-correlation-id');
  const causationId = headerOf(req, 'x-causation-id');
  const traceparent = headerOf(req, 'traceparent');
  const seen = {
    channel: body['channel'] ?? channel,
    type: body['type'] ?? headerOf(req, 'x-event-type'),
    data: body['data'],
    metadata: {
      ...(correlationId !== undefined && { correlation_id: correlationId }),
      ...(causationId !== undefined && { causation_id: causationId }),
      ...(traceparent !== undefined && { traceparent }),
      ...(body['metadata'] as Record<string, unknown> | undefined),
    },
    idempotency_key: (body['idempotency_key'] as string | undefined) ?? headerOf(req, 'idempotency-key') ?? null,
  };
  const answer = run.nextPublish();
  run.sawPublish(clientOf('plain', req), seen, answer);
  // Plain HTTP has no close codes: what closes a WebSocket cuts the request off.
  if (typeof answer === 'string') leaveUnanswered(run, res, answer);
  else if (answer !== undefined && 'close' in answer) res.destroy();
  else if (answer === undefined) sendError(run, req, res, { code: 'BAD_REQUEST', message: 'the script has no such publish' });
  else if ('error' in answer) sendError(run, req, res, answer.error);
  else if ('receipt' in answer) sendJson(res, 201, JSON.stringify(receiptOf(answer.receipt)));
  else if ('half' in answer) sendHalf(res, JSON.stringify(receiptOf(answer.half)));
  else res.writeHead(answer.status, { 'content-type': 'text/html' }).end('<h1>This is the proxy speaking</h1>');
  if (answer !== undefined) run.played();
}

/** `POST /trpc/events.publishBatch`: plain HTTP has no address for a batch, and tRPC's over HTTP is one request too. */
export async function answerBatch(run: Run, { req, res }: Exchange): Promise<void> {
  const input = (await readJson(req, NEVER)) as Parameters<typeof superjson.deserialize>[0];
  const answer = run.nextBatch();
  run.sawBatch(clientOf('plain', req), superjson.deserialize<Record<string, unknown>[]>(input).map(publishOf), answer);
  if (typeof answer === 'string') leaveUnanswered(run, res, answer);
  else if (answer !== undefined && 'receipts' in answer) {
    const receipts = answer.receipts.map((form) => withDate(receiptOf(form)));
    sendJson(res, 200, JSON.stringify({ result: { data: superjson.serialize(receipts) } }));
  } else {
    const error = answer?.error ?? { code: 'BAD_REQUEST', message: 'the script has no such batch' };
    run.toldToWait(error.retry_after_ms);
    sendJson(res, error.status ?? meaningOf(error.code).status, JSON.stringify({ error: errorShape(error, '1', 'events.publishBatch') }));
  }
  if (answer !== undefined) run.played();
}

/** `GET /events/{list}`. */
export function answerHistory(run: Run, { req, res, url }: Exchange, list: string): void {
  const query = url.searchParams;
  const limit = query.get('limit');
  const asked = {
    channels: list.split(',').map(decodeURIComponent),
    types: query.get('types')?.split(',') ?? null,
    after: query.get('after'),
    limit: limit === null ? null : Number(limit),
  };
  const answer = run.nextHistory();
  run.sawHistory(clientOf('plain', req), asked, answer);
  if (typeof answer === 'string') leaveUnanswered(run, res, answer);
  else if (answer === undefined) sendError(run, req, res, { code: 'BAD_REQUEST', message: 'the script has no such read' });
  else if ('error' in answer) sendError(run, req, res, answer.error);
  else {
    const { events, gap = null, ...page } = answer.page;
    sendJson(res, 200, JSON.stringify({ events: events.map(eventOf), ...page, gap }));
  }
  if (answer !== undefined) run.played();
}

function leaveUnanswered(run: Run, res: ServerResponse, how: NoAnswer): void {
  if (how === 'away') run.leave();
  if (how !== 'silence') res.destroy();
}

/** A problem document, as the gateway writes it; one with a code that the gateway does not have yet, as a later one would. */
function sendError(
  run: Run,
  req: IncomingMessage,
  res: ServerResponse,
  { code, message = code, issues, retry_after_ms: retryAfterMs, channel, status }: ScriptedError,
): void {
  run.toldToWait(retryAfterMs);
  if (status !== undefined) {
    res.writeHead(status, { 'content-type': 'application/problem+json; charset=utf-8' });
    res.end(JSON.stringify({ type: 'about:blank', title: code, status, code, detail: message, request_id: 'vector' }));
    return;
  }
  const details = { ...(issues && { issues }), ...(retryAfterMs !== undefined && { retryAfterMs }), ...(channel && { channel }) };
  sendProblem(req, res, new CourierError(code as ErrorCode, message, details), 'vector');
}

/** The first half of an answer, whose length says that there is more. */
function sendHalf(res: ServerResponse, body: string): void {
  res.writeHead(201, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) });
  res.write(body.slice(0, body.length / 2), () => res.destroy());
}
