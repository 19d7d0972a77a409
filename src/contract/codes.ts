/**
 * Every error code and every WebSocket close code, and what a client should do about each. The transports answer
 * calls, and refuse upgrades, from these tables. An ending whose close code is not that of its error names the code itself
 * (`connections/wire.ts`).
 */

/** What an error means to the caller. */
export interface ErrorMeaning {
  /** The HTTP status. */
  readonly status: number;
  /** The WebSocket close code when the error ends the connection. */
  readonly close: CloseCode;
  /** May the same call succeed later, unchanged? A client then repeats a publish with the same idempotency key. */
  readonly retry: boolean;
  /** The title of the problem document. */
  readonly title: string;
}

/** Why the gateway closed a connection. */
export interface CloseMeaning {
  readonly reason: string;
  /** May the client reconnect: soon, only after a delay, never, or only with a new token? */
  readonly reconnect: 'yes' | 'after-delay' | 'no' | 'with-new-token';
  /** What a client should do. */
  readonly advice: string;
}

/** WebSocket close codes. RFC 6455 defines those of the form 1xxx. */
export const CLOSE_CODES = {
  1001: { reason: 'shutting down', reconnect: 'yes', advice: 'reconnect at a random moment within the window that was told, and resume' },
  1008: {
    reason: 'not allowed',
    reconnect: 'with-new-token',
    advice: 'the token is missing, invalid, expired or revoked, or does not grant this: get another',
  },
  1009: { reason: 'message too large', reconnect: 'no', advice: 'send smaller messages' },
  1011: { reason: 'internal error', reconnect: 'after-delay', advice: 'reconnect after a delay, and resume' },
  1013: { reason: 'too many connections', reconnect: 'after-delay', advice: 'reconnect after a delay' },
  4400: { reason: 'bad request', reconnect: 'no', advice: 'the address names no channel, or the position is not one of Courier: mend it' },
  4408: { reason: 'no authentication in time', reconnect: 'no', advice: 'send connectionParams as the first message' },
  4429: { reason: 'limits exceeded for too long', reconnect: 'after-delay', advice: 'reconnect after a delay, and keep to the limits' },
  4509: { reason: 'no progress', reconnect: 'yes', advice: 'reconnect, resume, and read faster' },
} as const satisfies Record<number, CloseMeaning>;
export type CloseCode = keyof typeof CLOSE_CODES;

/** Error codes. The names are tRPC's; plain HTTP uses the same names. */
export const ERROR_CODES = {
  PARSE_ERROR: { status: 400, close: 4400, retry: false, title: 'Not parseable' },
  BAD_REQUEST: { status: 400, close: 4400, retry: false, title: 'Invalid input' },
  UNAUTHORIZED: { status: 401, close: 1008, retry: false, title: 'No valid token' },
  FORBIDDEN: { status: 403, close: 1008, retry: false, title: 'Not granted' },
  NOT_FOUND: { status: 404, close: 4400, retry: false, title: 'Not found' },
  METHOD_NOT_SUPPORTED: { status: 405, close: 4400, retry: false, title: 'Method not supported' },
  PAYLOAD_TOO_LARGE: { status: 413, close: 1009, retry: false, title: 'Too large' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, close: 4400, retry: false, title: 'Unsupported media type' },
  TOO_MANY_REQUESTS: { status: 429, close: 4429, retry: true, title: 'Limit reached' },
  INTERNAL_SERVER_ERROR: { status: 500, close: 1011, retry: true, title: 'Internal error' },
  SERVICE_UNAVAILABLE: { status: 503, close: 1013, retry: true, title: 'Unavailable' },
} as const satisfies Record<string, ErrorMeaning>;
export type ErrorCode = keyof typeof ERROR_CODES;

/** The meaning of an error code. An unknown code counts as an internal error. */
export function meaningOf(code: string): ErrorMeaning {
  return code in ERROR_CODES ? ERROR_CODES[code as ErrorCode] : ERROR_CODES.INTERNAL_SERVER_ERROR;
}

/** Does the code say that the form of an input was wrong? */
export function isInvalid(code: string): boolean {
  return code === 'BAD_REQUEST' || code === 'PARSE_ERROR' || code === 'PAYLOAD_TOO_LARGE';
}
