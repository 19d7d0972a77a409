/** `traceparent`: which trace an event belongs to (W3C Trace Context, https://www.w3.org/TR/trace-context/). */
import { z } from 'zod';

/** The parts of a `traceparent`. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** 1 when the trace is recorded. */
  readonly traceFlags: number;
}

// Version ff is forbidden, and so are ids of zeros only; version 00 ends with its flags, later versions may add fields. In Python
// `$` also matches before a last line break, so the pattern refuses one.
const PATTERN = /^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x20-\x7e]*)?(?!\n)$/;
const MAX_LENGTH = 128;

export const traceparent = z
  .string()
  .max(MAX_LENGTH)
  .regex(PATTERN, { error: 'must be a W3C traceparent, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' })
  .describe('W3C trace context of the work that the event is part of.');

/** Reads a `traceparent`; undefined when `text` is not one. */
export function parseTraceparent(text: string): TraceParent | undefined {
  const [, traceId, spanId, flags] = (text.length <= MAX_LENGTH && PATTERN.exec(text)) || [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1 };
}

export function formatTraceparent({ traceId, spanId, traceFlags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
