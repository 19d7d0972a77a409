/** The numbers that a read goes over: what is the same for both of its orders, and for every log. */
import type { LogBounds, LogStart } from './log.ts';

export interface Span {
  /** The first number that is looked at; beyond `end` when there is none. */
  readonly begin: number;
  /** From one number to the next. */
  readonly step: 1 | -1;
  /** What `endSeq` is when the page reaches everything that there is. */
  readonly end: number;
}

export function spanOf({ afterSeq, beforeSeq }: LogStart, { first, head }: LogBounds): Span {
  if (beforeSeq === undefined) return { begin: Math.max(afterSeq + 1, first), step: 1, end: Math.max(afterSeq, head) };
  return { begin: Math.min(beforeSeq - 1, head), step: -1, end: Math.min(beforeSeq, first) };
}

/** How many numbers there are from its beginning to its end, as far as they are retained. */
export function lengthOf({ begin, step, end }: Span, { first, head }: LogBounds): number {
  return step === 1 ? Math.max(0, Math.min(end, head) - begin + 1) : Math.max(0, begin - Math.max(end, first) + 1);
}
