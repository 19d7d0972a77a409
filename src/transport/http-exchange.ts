/** One plain HTTP exchange: reading what came, answering JSON or a problem document (RFC 9457). */
import { isUtf8 } from 'node:buffer';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../connections/ids.ts';
import { meaningOf } from '../contract/codes.ts';
import { parseTraceparent } from '../contract/traceparent.ts';
import { CourierError, cut } from '../errors.ts';
import { UPGRADE_TO } from './handshake.ts';

/** Bytes of a request's body, at most: the data's bound and room for the envelope. */
const MAX_BODY_BYTES = 128 * 1024;
/** Bytes of a body that may be passed over, at most: a body of tRPC. */
const MAX_PASSED_OVER_BYTES = 1024 * 1024;

/** The caller's request id when it is short and plain, else a new one. It ends up in logs and answers. */
export function requestIdOf(req: IncomingMessage): string {
  const given = req.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : newId();
}

/** Refuses a request of HTTP/1.1 that does not say to which one host it goes. @throws {CourierError} BAD_REQUEST */
export function requireHost({ headers, rawHeaders, httpVersion }: IncomingMessage): void {
  if (headers.host === undefined && httpVersion === '1.1') throw new CourierError('BAD_REQUEST', 'the header Host is missing');
  // Node.js takes the first of several; a proxy in front may have taken another.
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.length === 4 && name.toLowerCase() === 'host');
  if (hosts.length > 1) throw new CourierError('BAD_REQUEST', 'the header Host is there twice');
}

/** The trace that the request is part of. A header that is malformed counts as none, as the standard has it. */
export function traceparentFrom(req: IncomingMessage): string | undefined {
  const given = headerOf(req, 'traceparent');
  return given !== undefined && parseTraceparent(given) !== undefined ? given : undefined;
}

/** A header that may be given once. */
export function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** What reading a body needs of its connection. */
export interface BodyReader {
  /** Calls `onEnd` at once when nothing more is to be read, with the reason, until the function that this returns is called. */
  onceEnded(onEnd: (error: CourierError) => void): () => void;
  /** Counts what has come. @throws when that is too much. */
  reserve(bytes: number): void;
  /** Resolves when so many bytes are to be looked at; undefined when that is now. */
  turn(bytes: number): Promise<void> | undefined;
  /** @throws when nothing of it is to be looked at any more. */
  assertOpen(): void;
}

/** Reads a JSON body. @throws {CourierError} PARSE_ERROR, UNSUPPORTED_MEDIA_TYPE; what `readText` throws. */
export async function readJson(req: IncomingMessage, reader: BodyReader): Promise<unknown> {
  requireJsonInUtf8(req);
  const text = await readText(req, reader, MAX_BODY_BYTES);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CourierError('PARSE_ERROR', `the body is not JSON: ${cause instanceof Error ? cut(cause.message) : 'unreadable'}`, { cause });
  }
}

/** Refuses a body by what it says that it is. One that says nothing counts as JSON. @throws {CourierError} UNSUPPORTED_MEDIA_TYPE. */
export function requireJsonInUtf8(req: IncomingMessage): void {
  const header = headerOf(req, 'content-type');
  if (header === undefined) return;
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const isJson = /^application\/([\w.+-]+\+)?json$/.test(type);
  const isUtf8 = parameters.every((parameter) => !parameter.startsWith('charset=') || /^charset="?utf-?8"?$/.test(parameter));
  if (!isJson || !isUtf8) {
    throw new CourierError('UNSUPPORTED_MEDIA_TYPE', `the body must be application/json in UTF-8, not ${cut(header)}`);
  }
}

/**
 * The text of a body.
 *
 * @throws {CourierError} PAYLOAD_TOO_LARGE; PARSE_ERROR when it is not UTF-8; the reason when nothing is to be read any more before the
 * body is there; what `reserve` throws.
 */
export async function readText(req: IncomingMessage, reader: BodyReader, maxBytes: number): Promise<string> {
  const bytes = await readBytes(req, reader, maxBytes);
  const turn = reader.turn(bytes.length);
  if (turn !== undefined) {
    await turn;
    reader.assertOpen();
  }
  if (!isUtf8(bytes)) throw new CourierError('PARSE_ERROR', 'the body is not valid UTF-8');
  return bytes.toString('utf8', startsWithMark(bytes) ? BYTE_ORDER_MARK.length : 0);
}

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

function startsWithMark(bytes: Buffer): boolean {
  return bytes[0] === BYTE_ORDER_MARK[0] && bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
}

function readBytes(req: IncomingMessage, reader: BodyReader, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isOver = false;
    const settle = () => {
      isOver = true;
      req.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut);
      forget?.();
    };
    const fail = (error: unknown) => {
      settle();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      try {
        if (bytes > maxBytes) throw new CourierError('PAYLOAD_TOO_LARGE', `the body must be at most ${maxBytes} bytes`);
        reader.reserve(chunk.length);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = () => {
      settle();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    };
    const onCut = () => fail(new CourierError('BAD_REQUEST', 'the request was cut off'));
    let forget: (() => void) | undefined;
    forget = reader.onceEnded(fail);
    if (!isOver) req.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut);
  });
}

export function sendJson(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    // Without it the body is cut into chunks.
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  res.end(body);
}

/** Refuses a request by its method. @throws {CourierError} METHOD_NOT_SUPPORTED; the answer then names those that are. */
export function requireMethod({ method = '' }: IncomingMessage, res: ServerResponse, methods: readonly string[]): void {
  if (methods.includes(method)) return;
  res.setHeader('allow', methods.join(', '));
  throw new CourierError('METHOD_NOT_SUPPORTED', `use ${methods.join(' or ')} here`);
}

/** The header that says when to come back. */
export function retryAfter(ms: number | undefined): { readonly 'retry-after'?: string } {
  return ms === undefined ? {} : { 'retry-after': String(Math.ceil(ms / 1000)) };
}

/** What an error means: a problem document. */
function problemOf({ code, message, issues, retryAfterMs, channel, status = meaningOf(code).status }: CourierError, requestId: string) {
  const { title } = meaningOf(code);
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail: message, request_id: requestId, issues, channel });
  const headers = {
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 426 && UPGRADE_TO),
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    ...retryAfter(retryAfterMs),
  };
  return { status, headers, body };
}

interface SocketRefusal {
  readonly requestId: string;
  /** The hash of the gateway's contract. */
  readonly contract: string;
  /** Beside those that each refusal has. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers with what an error means where there is no response to send it with, and waits for nothing that comes after it. */
export function refuseSocket(socket: Socket, error: CourierError, refusal: SocketRefusal): void {
  const { status, headers, body } = problemOf(error, refusal.requestId);
  const lines = Object.entries({
    connection: 'close',
    ...headers,
    ...refusal.headers,
    'x-courier-contract': refusal.contract,
    'x-request-id': refusal.requestId,
  }).map(([name, value]) => `${name}: ${value}`);
  socket.write([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', body].join('\r\n'));
  socket.destroySoon();
}

/** Answers with what an error means. */
export function sendProblem(req: IncomingMessage, res: ServerResponse, error: CourierError, requestId: string): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { status, headers, body } = problemOf(error, requestId);
  endUnread(req, res, error);
  res.writeHead(status, headers).end(body);
}

/**
 * Does not read what is left of a body that was refused unread: the answer is the last on its connection. A client that is to
 * come back must hear that, and would not while it still sends: the gateway passes over its body, if that is short.
 */
export function endUnread(req: IncomingMessage, res: ServerResponse, refusal?: CourierError): void {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = req.headers;
  if (req.complete || (length === '0' && coding === undefined)) return;
  const isPassedOver = refusal?.retryAfterMs !== undefined && coding === undefined && Number(length) <= MAX_PASSED_OVER_BYTES;
  if (isPassedOver) req.resume();
  else res.setHeader('connection', 'close');
}
