/**
 * The one error that Courier raises on purpose, and what may be told of any other: whatever else is thrown is a defect or
 * an outage, and is answered as INTERNAL_SERVER_ERROR without a detail.
 */
import { TRPCError } from '@trpc/server';
import type { z } from 'zod';
import { type CloseCode, ERROR_CODES, type ErrorCode } from './contract/codes.ts';
import type { Issue, Refusal } from './contract/types.ts';
import { issueMessage } from './issue-messages.ts';

/** An error whose message may be shown to the caller. It is a TRPCError, so that tRPC keeps its code on every path. */
export class CourierError extends TRPCError {
  override readonly name = 'CourierError';
  override readonly code: ErrorCode;
  readonly issues: readonly Issue[] | undefined;
  /** After how many ms the same call may succeed; set for errors of the moment. */
  readonly retryAfterMs: number | undefined;
  /** The channel whose limit is reached; absent where it is the caller's own. */
  readonly channel: string | undefined;
  /** The close code of a connection that ends with it, where that is not the one of its code. */
  readonly close: CloseCode | undefined;
  /** The HTTP status, where there is one that says more than that of its code. */
  readonly status: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      issues?: readonly Issue[];
      retryAfterMs?: number;
      channel?: string;
      close?: CloseCode;
      status?: number;
      cause?: unknown;
    } = {},
  ) {
    super({ code, message, cause: options.cause });
    this.code = code;
    this.issues = options.issues;
    this.retryAfterMs = options.retryAfterMs;
    this.channel = options.channel;
    this.close = options.close;
    this.status = options.status;
  }
}

/** Things that are wrong with one input, told at most; the message says how many more there are. */
const MAX_ISSUES = 20;
/** Characters of a text that a caller chose, as far as it is echoed. */
const MAX_ECHO_LENGTH = 200;
/** Characters of a message that is not of Courier's own making: room for the list of all event types. */
const MAX_MESSAGE_LENGTH = 1000;

/**
 * `text` as it may stand in an answer or a log, when it is the caller's choice. It has no half of a surrogate pair, be it the
 * caller's or left by the cut: clients in other languages cannot print one.
 */
export function cut(text: string, most = MAX_ECHO_LENGTH): string {
  return (text.length <= most ? text : `${text.slice(0, most)}…`).toWellFormed();
}

/** Controls (C0, DEL, C1), those of bidirectional text, and the separators of lines and paragraphs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The same text with each control as `\u202e`: text of others must not move the cursor, change colours, turn the direction
 * of writing or begin a line. JSON stays equal, as it has controls within strings only. What is printable already stays as
 * it is: text that is to be aligned is made printable before it is measured.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What may be told of anything that was thrown; its cause is the thing itself. */
export function tellable(thrown: unknown): CourierError {
  if (thrown instanceof CourierError) return thrown;
  // tRPC wraps what a check of an input throws.
  if (thrown instanceof TRPCError && thrown.cause instanceof CourierError) return thrown.cause;
  if (thrown instanceof TRPCError && thrown.code !== 'INTERNAL_SERVER_ERROR' && isErrorCode(thrown.code)) {
    return new CourierError(thrown.code, cut(thrown.message, MAX_MESSAGE_LENGTH), { cause: thrown });
  }
  return new CourierError('INTERNAL_SERVER_ERROR', 'internal error', { cause: thrown });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** What an error tells beside its code and message. */
export function detailsOf({ issues, retryAfterMs, channel }: CourierError): Omit<Refusal, 'code' | 'message'> {
  return {
    ...(issues && { issues }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(channel !== undefined && { channel }),
  };
}

/**
 * `value` as `schema` reads it.
 *
 * @throws {CourierError} BAD_REQUEST with the path of each field that is wrong; PAYLOAD_TOO_LARGE; INTERNAL_SERVER_ERROR where the
 * schema itself fails, such as a condition of a contract.
 */
export function validated<T>(schema: z.ZodType<T>, value: unknown): T {
  let result: z.ZodSafeParseResult<T>;
  try {
    result = schema.safeParse(value, { error: issueMessage });
  } catch (cause) {
    throw new CourierError('INTERNAL_SERVER_ERROR', 'internal error', { cause });
  }
  if (result.success) return result.data;
  const { issues } = result.error;
  throw invalid(issues.some(isTooLarge) ? 'PAYLOAD_TOO_LARGE' : 'BAD_REQUEST', issues);
}

/** One field of an input is wrong. */
export function invalidField(path: string, message: string): CourierError {
  return new CourierError('BAD_REQUEST', `${path}: ${message}`, { issues: [{ path, message }] });
}

function isTooLarge(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'custom' && issue.params?.['tooLarge'] === true;
}

function invalid(code: ErrorCode, found: readonly z.core.$ZodIssue[]): CourierError {
  let count = 0;
  const issues: Issue[] = [];
  for (const issue of found) {
    // Unknown keys are told one by one.
    const isUnknownKeys = issue.code === 'unrecognized_keys';
    count += isUnknownKeys ? issue.keys.length : 1;
    const room = MAX_ISSUES - issues.length;
    if (isUnknownKeys) issues.push(...issue.keys.slice(0, room).map((key) => told([...issue.path, key], issue.message)));
    else if (room > 0) issues.push(told(issue.path, issue.message));
  }
  const texts = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  if (count > issues.length) texts.push(`and ${count - issues.length} more`);
  return new CourierError(code, texts.join('; '), { issues });
}

/** The keys on the path are the caller's. */
function told(path: readonly PropertyKey[], message: string): Issue {
  return { path: cut(path.map((part) => cut(String(part))).join('.')), message: cut(message, MAX_MESSAGE_LENGTH) };
}
