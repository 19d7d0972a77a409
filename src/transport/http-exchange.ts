/** One plain HTTP exchange: reading what came, answering JSON or a problem document (RFC 9457). */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { meaningOf } from '../contract/codes.ts';
import { parseTraceparent } from '../contract/traceparent.ts';
import { CourierError } from '../errors.ts';

/** Bytes of a request's body, at most: the data's bound and room for the envelope. */
export const MAX_BODY_BYTES = 128 * 1024;

/** The caller's request id when it is short and plain, else a new one. It ends up in logs and answers. */
export function requestIdOf(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}

/** The trace that the request is part of. A header that is malformed counts as none, as the standard has it. */
export function traceparentOf(req: IncomingMessage): string | undefined {
  const given = headerOf(req, 'traceparent');
  return given !== undefined && parseTraceparent(given) !== undefined ? given : undefined;
}

/** A header that may be given once. */
export function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Reads a JSON body. @throws {CourierError} PAYLOAD_TOO_LARGE, PARSE_ERROR, UNSUPPORTED_MEDIA_TYPE. */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const type = headerOf(req, 'content-type');
  if (type !== undefined && !/^application\/([\w.+-]+\+)?json\b/i.test(type)) {
    throw new CourierError('UNSUPPORTED_MEDIA_TYPE', `the body must be application/json, not ${type.slice(0, 100)}`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) throw new CourierError('PAYLOAD_TOO_LARGE', `the body must be at most ${MAX_BODY_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof CourierError) throw cause;
    throw new CourierError('BAD_REQUEST', 'the request was cut off', { cause });
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new CourierError('PARSE_ERROR', `the body is not JSON: ${cause instanceof Error ? cause.message : 'unreadable'}`, { cause });
  }
}

export function sendJson(res: ServerResponse, status: number, body: string, requestId: string): void {
  res.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': requestId,
  });
  res.end(body);
}

/** Answers with what an error means. */
export function sendProblem(res: ServerResponse, error: CourierError, requestId: string): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { code, message, issues, retryAfterMs } = error;
  const { status, title } = meaningOf(code);
  res.writeHead(status, {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': requestId,
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) }),
    // What is left of a body that was refused unread is not worth reading.
    ...(status === 413 && { connection: 'close' }),
  });
  res.end(
    JSON.stringify({
      type: 'about:blank',
      title,
      status,
      code,
      detail: message,
      request_id: requestId,
      issues,
    }),
  );
}
