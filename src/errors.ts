/**
 * The one error that Courier raises on purpose. Anything else that is thrown is a defect or an outage, and is answered
 * as INTERNAL_SERVER_ERROR without a detail.
 */
import { TRPCError } from '@trpc/server';
import type { ErrorCode } from './contract/codes.ts';

/** One thing that is wrong with an input. */
export interface Issue {
  /** Where, from the input's root: `data.progress`; empty for the input as a whole. */
  readonly path: string;
  readonly message: string;
}

/** An error whose message may be shown to the caller. It is a TRPCError, so that tRPC keeps its code on every path. */
export class CourierError extends TRPCError {
  override readonly name = 'CourierError';
  readonly issues: readonly Issue[] | undefined;
  /** After how many ms the same call may succeed; set for errors of the moment. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: { issues?: readonly Issue[]; retryAfterMs?: number; cause?: unknown } = {}) {
    super({ code, message, cause: options.cause });
    this.issues = options.issues;
    this.retryAfterMs = options.retryAfterMs;
  }
}
