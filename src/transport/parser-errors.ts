/**
 * Answers what Node's HTTP parser refuses: with a problem document, and the end of the connection. Where it refuses the body of a
 * request, it is that request which is refused; else the refusal comes behind the answers to the requests before it.
 */
import type { Socket } from 'node:net';
import { newId } from '../connections/ids.ts';
import { type ErrorCode, meaningOf } from '../contract/codes.ts';
import { CourierError } from '../errors.ts';
import type { Failures } from '../observe/failures.ts';
import { refuseSocket } from './http-exchange.ts';
import type { HttpRequests } from './http-requests.ts';

interface Refusal {
  readonly code: ErrorCode;
  /** Where HTTP has one that says more than that of the code. */
  readonly status?: number;
  readonly detail: string;
}

const TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

/** By the code of the parser's error. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'PAYLOAD_TOO_LARGE',
    detail: 'the headers of the request, with its address, are too large: send fewer and shorter ones (cookies are not needed here)',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    code: 'PAYLOAD_TOO_LARGE',
    detail: 'the extensions of the chunks of the body are too large: send it without them',
  },
  HPE_INVALID_EOF_STATE: {
    code: 'BAD_REQUEST',
    detail: 'the request was cut off: does the length that was announced fit its body?',
  },
  [TIMEOUT]: {
    status: 408,
    // Clients may send it again.
    code: 'SERVICE_UNAVAILABLE',
    detail: 'the request did not come in time: is the network slow, or the length that was announced too large?',
  },
};
const MALFORMED = 'this is no request of HTTP/1.1 (the gateway is reached over http and ws: TLS and HTTP/2 end before it)';
const CUT_OFF = 'HPE_INVALID_EOF_STATE';
/** The other end has gone, and there is nobody to answer. */
const GONE: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** `reason` is one of few texts of the parser's. */
type ParserError = Error & { readonly code?: string; readonly reason?: string };

export interface ParserErrorsDeps {
  readonly failures: Failures;
  /** The hash of the gateway's contract. */
  readonly contract: string;
  readonly requests: HttpRequests;
}

export function answerParserError({ failures, contract, requests }: ParserErrorsDeps, error: ParserError, socket: Socket): void {
  // The parser goes on refusing whatever else comes.
  if (requests.isLast(socket)) return;
  // Browsers open connections ahead of requests, and load balancers try whether one can be opened.
  const isUnused = error.code === TIMEOUT && socket.bytesRead === 0;
  if (isUnused || !socket.writable || GONE.has(error.code)) {
    socket.destroy();
    return;
  }
  const { code, detail, status = meaningOf(code).status } = REFUSALS[error.code ?? ''] ?? malformed(error);
  const refusal = new CourierError(code, detail, { status });
  if (requests.interrupt(socket, refusal)) {
    requests.afterAnswers(socket, () => socket.destroySoon());
    return;
  }
  const requestId = newId();
  // There are no headers to tell a proxy from its clients.
  const refused = { address: socket.remoteAddress ?? 'unknown' };
  // A client that leaves in the middle of a request ends it like this.
  if (error.code !== CUT_OFF) failures.answer('http', refusal, { request_id: requestId }, refused);
  requests.afterAnswers(socket, () => refuseSocket(socket, refusal, { requestId, contract }));
}

function malformed({ reason }: ParserError): Refusal {
  return { code: 'PARSE_ERROR', detail: reason === undefined ? MALFORMED : `${MALFORMED}: ${reason}` };
}
