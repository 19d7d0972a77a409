/** Answers what Node's HTTP parser refuses before there is a request: with a problem document, and the end of the connection. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../connections/ids.ts';
import type { ErrorCode } from '../contract/codes.ts';
import { CourierError } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';

interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly hint: string;
}

/** By the code of the parser's error. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'PAYLOAD_TOO_LARGE',
    detail: 'the headers of the request, with its address, are too large',
    hint: 'send fewer and shorter headers: cookies are not needed here',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: 'PAYLOAD_TOO_LARGE',
    detail: 'the extensions of the chunks of the body are too large',
    hint: 'send the body without chunk extensions',
  },
  HPE_INVALID_EOF_STATE: {
    status: 400,
    code: 'BAD_REQUEST',
    detail: 'the request was cut off',
    hint: 'send it again, whole: does the length that was announced fit its body?',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'BAD_REQUEST',
    detail: 'the request did not come in time',
    hint: 'send it again, headers and body without a pause; is the network slow, or the length that was announced too large?',
  },
};
const MALFORMED: Refusal = {
  status: 400,
  code: 'PARSE_ERROR',
  detail: 'this is no request of HTTP/1.1',
  hint: 'mend the request; does the client speak TLS or HTTP/2, where the gateway is reached over http and ws?',
};
const CUT_OFF = 'HPE_INVALID_EOF_STATE';
/** The other end has gone, and there is nobody to answer. */
const GONE: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** `reason` is one of few texts of the parser's. */
type ParserError = Error & { readonly code?: string; readonly reason?: string };

/** @param isAnswering an answer has begun on the socket, and this one would be taken for its rest. */
export function answerParserError(failures: Failures, error: ParserError, socket: Socket, isAnswering: boolean): void {
  if (!socket.writable || GONE.has(error.code)) {
    socket.destroy();
    return;
  }
  const { status, code, detail: what, hint } = REFUSALS[error.code ?? ''] ?? MALFORMED;
  const detail = error.reason === undefined ? what : `${what}: ${error.reason}`;
  const requestId = newId();
  // There are no headers to tell a proxy from its clients.
  const refused = { address: socket.remoteAddress ?? 'unknown' };
  // A client that leaves in the middle of a request ends it like this.
  if (error.code !== CUT_OFF) failures.answer('http', new CourierError(code, detail), { request_id: requestId, status }, refused);
  if (isAnswering) {
    socket.destroy();
    return;
  }
  const title = STATUS_CODES[status];
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail, hint, request_id: requestId });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'Connection: close',
    'Content-Type: application/problem+json; charset=utf-8',
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    `X-Request-Id: ${requestId}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}
