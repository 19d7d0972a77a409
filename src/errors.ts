/**
 * The one error that Courier raises on purpose, and what may be told of any other: whatever else is thrown is a defect or
 * an outage, and is answered as INTERNAL_SERVER_ERROR without a detail.
 */
import { TRPCError } from '@trpc/server';
import { ZodError } from 'zod';
import { ERROR_CODES, type ErrorCode } from './contract/codes.ts';

/** One thing that is wrong with an input. */
export interface Issue {
  /** Where, from the input's root: `data.progress`; empty for the input as a whole. */
  readonly path: string;
  readonly message: string;
}

/** An error whose message may be shown to the caller. It is a TRPCError, so that tRPC keeps its code on every path. */
export class CourierError extends TRPCError {
  override readonly name = 'CourierError';
  override readonly code: ErrorCode;
  readonly issues: readonly Issue[] | undefined;
  /** After how many ms the same call may succeed; set for errors of the moment. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: { issues?: readonly Issue[]; retryAfterMs?: number; cause?: unknown } = {}) {
    super({ code, message, cause: options.cause });
    this.code = code;
    this.issues = options.issues;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What may be told of anything that was thrown; its cause is the thing itself. */
export function tellable(thrown: unknown): CourierError {
  if (thrown instanceof CourierError) return thrown;
  if (thrown instanceof ZodError) return invalid(thrown);
  if (thrown instanceof TRPCError && thrown.code !== 'INTERNAL_SERVER_ERROR' && isErrorCode(thrown.code)) {
    return thrown.cause instanceof ZodError ? invalid(thrown.cause) : new CourierError(thrown.code, thrown.message, { cause: thrown });
  }
  return new CourierError('INTERNAL_SERVER_ERROR', 'internal error', { cause: thrown });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** What a schema found wrong, as an error for the caller. */
export function invalid(error: ZodError): CourierError {
  const issues = error.issues.flatMap((issue): Issue[] => {
    const base = issue.path.join('.');
    if (issue.code !== 'unrecognized_keys') return [{ path: base, message: issue.message }];
    return issue.keys.map((key) => ({ path: base === '' ? key : `${base}.${key}`, message: 'is not a known key' }));
  });
  const message = issues.map((issue) => (issue.path === '' ? issue.message : `${issue.path}: ${issue.message}`)).join('; ');
  return new CourierError('BAD_REQUEST', message, { issues, cause: error });
}
