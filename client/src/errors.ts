/** The error that the client throws on purpose: its code decides what to do, and its hint says it. */
import { TRPCClientError } from '@trpc/client';
import { CLOSE_CODES, type CloseCode, type CloseMeaning, ERROR_CODES, type ErrorCode } from '../../src/contract/codes.ts';
import type { Gap } from './events.ts';
import type { AttemptFailure } from './upgrade-refusal.ts';

const ONE_VERSION = 'check that client and gateway are of one version';

/** Codes of failures that only a client can notice. */
const CLIENT_CODES = {
  INVALID_ARGUMENT: { retry: false, hint: 'mend the call' },
  UNREACHABLE: {
    retry: true,
    hint: 'check the address (without /trpc, and with the path that a proxy serves it below), that the gateway runs (GET /livez), and for a page that COURIER_ALLOWED_ORIGINS names its origin',
  },
  TOKEN_UNAVAILABLE: { retry: true, hint: 'look at what the token function threw: it is the cause' },
  TIMEOUT: { retry: true, hint: 'the outcome is unknown: repeat a publish with the same idempotency key, and it is stored once' },
  CURSOR_UNAVAILABLE: { retry: true, hint: 'look at the cause: the position could not be read or saved' },
  QUEUE_FULL: { retry: false, hint: 'wait for earlier publishes, or publish less' },
  GAP: { retry: false, hint: 'read what is missing from where it is kept, then subscribe again' },
  CLOSED: { retry: false, hint: 'the client was closed: make another' },
} as const satisfies Record<string, { readonly retry: boolean; readonly hint: string }>;

const SERVER_HINTS: Readonly<Record<ErrorCode, string>> = {
  PARSE_ERROR: 'what was sent is no message of Courier',
  BAD_REQUEST: 'mend what `issues` names',
  UNAUTHORIZED: 'get another token and call setToken() or connect()',
  FORBIDDEN: 'get a token that grants this',
  NOT_FOUND: 'check the name, and that client and gateway are of one version',
  METHOD_NOT_SUPPORTED: ONE_VERSION,
  PAYLOAD_TOO_LARGE: 'send less data, or a reference to it',
  UNSUPPORTED_MEDIA_TYPE: ONE_VERSION,
  TOO_MANY_REQUESTS: 'wait for `retryAfterMs`, and keep to the limits',
  INTERNAL_SERVER_ERROR: 'try again, with the same idempotency key; the log of the gateway says more, by `requestId`',
  SERVICE_UNAVAILABLE: 'try again after `retryAfterMs`, with the same idempotency key',
};

/** The gateway's codes (`ErrorCode`), and those of failures that only a client can notice. */
export type CourierErrorCode = ErrorCode | keyof typeof CLIENT_CODES;

/** A fault in an input: its path from the root (`data.progress`), and what is wrong. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

export interface CourierErrorDetails {
  readonly issues?: readonly Issue[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly channel?: string | undefined;
  readonly requestId?: string | undefined;
  readonly closeCode?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly mayBeStored?: boolean | undefined;
  readonly gap?: Gap | undefined;
  readonly hint?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
}

export class CourierError extends Error {
  override readonly name = 'CourierError';
  readonly code: CourierErrorCode;
  /** What to do next, for a person. */
  readonly hint: string;
  /** May the same call succeed later, unchanged? */
  readonly retryable: boolean;
  /** The faults of an input whose form the gateway refused. */
  readonly issues: readonly Issue[] | undefined;
  /** After how many ms the same call may succeed, as the gateway said. The client itself waits for 60 s at most. */
  readonly retryAfterMs: number | undefined;
  /** The channel whose limit is reached; undefined where it is the client's own. */
  readonly channel: string | undefined;
  /** Names the call in the gateway's log. */
  readonly requestId: string | undefined;
  /** The WebSocket close code of a closed connection. */
  readonly closeCode: number | undefined;
  /** The key of a publish that failed: repeat the publish with it, and the event is stored once. */
  readonly idempotencyKey: string | undefined;
  /** Whether the event of a publish that failed may have been stored: an attempt had no answer that says. */
  readonly mayBeStored: boolean;
  /** The events that are missing. */
  readonly gap: Gap | undefined;

  constructor(code: CourierErrorCode, message: string, details: CourierErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.hint = details.hint ?? (isErrorCode(code) ? SERVER_HINTS[code] : CLIENT_CODES[code].hint);
    this.retryable = details.retryable ?? (isErrorCode(code) ? ERROR_CODES[code] : CLIENT_CODES[code]).retry;
    this.issues = details.issues;
    this.retryAfterMs = details.retryAfterMs;
    this.channel = details.channel;
    this.requestId = details.requestId;
    this.closeCode = details.closeCode;
    this.idempotencyKey = details.idempotencyKey;
    this.mayBeStored = details.mayBeStored ?? false;
    this.gap = details.gap;
  }

  /** The same error with more details. */
  with({ message = this.message, ...details }: CourierErrorDetails & { readonly message?: string | undefined }): CourierError {
    return new CourierError(this.code, message, { ...this, cause: this.cause, ...details });
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** The failure of a tRPC call, as a CourierError. */
export function courierErrorFrom(thrown: unknown): CourierError {
  if (thrown instanceof CourierError) return thrown;
  if (!(thrown instanceof TRPCClientError)) return new CourierError('UNREACHABLE', messageOf(thrown), { cause: thrown });
  if (thrown.cause instanceof CourierError) return thrown.cause;
  const data = thrown.data as Partial<Refusal> | undefined | null;
  if (typeof data?.code !== 'string') return new CourierError('UNREACHABLE', 'the connection was lost', { cause: thrown });
  return refusalError({ ...data, code: data.code, message: thrown.message }, thrown);
}

/** What the gateway tells of a refusal. */
interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly issues?: readonly Issue[];
  readonly retryAfterMs?: number;
  readonly channel?: string;
  readonly requestId?: string;
}

/** A refusal as an error. An unknown code counts as INTERNAL_SERVER_ERROR. */
export function refusalError({ code, message, issues, retryAfterMs, channel, requestId }: Refusal, cause?: unknown): CourierError {
  return new CourierError(isErrorCode(code) ? code : 'INTERNAL_SERVER_ERROR', message, {
    issues,
    retryAfterMs: isDelay(retryAfterMs) ? retryAfterMs : undefined,
    channel,
    requestId,
    cause,
  });
}

function isDelay(value: unknown): boolean {
  return typeof value === 'number' && value >= 0;
}

/** Whether the failure of a call that was sent leaves open what the gateway did. */
export function leavesOpen({ code, cause }: CourierError): boolean {
  // A connection is also lost after its calls were answered with UNAUTHORIZED.
  if (code === 'UNREACHABLE') return !(cause instanceof TRPCClientError && typeof cause.data?.code === 'string');
  return code === 'INTERNAL_SERVER_ERROR' || code === 'CLOSED';
}

/** The close code and the reason of a connection; 1006 for one that was lost. @param event a CloseEvent, an Event, or what was thrown. */
export function closeOf(event: unknown): { readonly code: number; readonly reason: string } {
  const { code, reason } = (event ?? {}) as { code?: unknown; reason?: unknown };
  return { code: typeof code === 'number' ? code : 1006, reason: typeof reason === 'string' ? reason : '' };
}

/** The meaning of the gateway's close code; undefined for any other code, which counts as a lost connection. */
export function closeMeaning(code: number | undefined): CloseMeaning | undefined {
  return code !== undefined && Object.hasOwn(CLOSE_CODES, code) ? CLOSE_CODES[code as CloseCode] : undefined;
}

const CODE_OF_CLOSE: Readonly<Partial<Record<CloseCode, ErrorCode>>> = {
  1008: 'UNAUTHORIZED',
  1009: 'PAYLOAD_TOO_LARGE',
  1011: 'INTERNAL_SERVER_ERROR',
  4400: 'BAD_REQUEST',
  4408: 'UNAUTHORIZED',
  4429: 'TOO_MANY_REQUESTS',
};

/** The error of a closed connection. */
export function closeError(closeCode: number, reason: string, url: string): CourierError {
  const meaning = closeMeaning(closeCode);
  if (meaning === undefined) {
    const message = `no connection to ${url}${closeCode === 1005 || closeCode === 1006 ? '' : ` (closed with ${closeCode})`}`;
    return new CourierError('UNREACHABLE', message, { closeCode });
  }
  const code = CODE_OF_CLOSE[closeCode as CloseCode] ?? 'SERVICE_UNAVAILABLE';
  return new CourierError(code, reason === '' ? meaning.reason : reason, { closeCode, hint: meaning.advice });
}

/** The error of an attempt to connect of which it is known why it failed. */
export function attemptError(failure: AttemptFailure, url: string): CourierError {
  if ('cause' in failure) {
    const { cause } = failure;
    return new CourierError('UNREACHABLE', `no connection to ${url} (${reasonsOf(cause)})`, { cause });
  }
  const { status, retryAfterMs } = failure;
  const code = status === ERROR_CODES.TOO_MANY_REQUESTS.status ? 'TOO_MANY_REQUESTS' : 'SERVICE_UNAVAILABLE';
  const isNotNow = status === ERROR_CODES[code].status;
  return new CourierError(isNotNow ? code : 'UNREACHABLE', `no connection to ${url} (HTTP ${status})`, { retryAfterMs });
}

/** The message of an error; those of its parts where it has none, as when each address of a host was tried. */
function reasonsOf(cause: unknown): string {
  const { errors = [] } = cause as { readonly errors?: readonly unknown[] };
  return messageOf(cause).trim() || errors.map(messageOf).join(', ');
}

/** A mistake in a call. @param argument the name of the argument that is wrong. */
export function invalidArgument(argument: string, problem: string, cause?: unknown): CourierError {
  return new CourierError('INVALID_ARGUMENT', `${argument}: ${problem}`, { cause });
}

/** The error of an event that will not be stored now, and that an earlier attempt may have stored. */
export function possiblyStored(error: CourierError): CourierError {
  return error.with({
    mayBeStored: true,
    message: `${error.message} (the event may have been stored: an attempt had no answer)`,
    hint: `${error.hint}; publish the event again with the same idempotency key only`,
  });
}

export function clientClosed(): CourierError {
  return new CourierError('CLOSED', 'the client was closed');
}

/** Throws a failure as it is to be told; for `catch`. What is no error of the client's own stays as it is. */
export function throwAs(told: (error: CourierError) => CourierError): (thrown: unknown) => never {
  return (thrown) => {
    throw thrown instanceof CourierError ? told(thrown) : thrown;
  };
}

/** Throws the failure of a tRPC call as a CourierError; for `catch`. */
export function throwCourierError(thrown: unknown): never {
  throw courierErrorFrom(thrown);
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
