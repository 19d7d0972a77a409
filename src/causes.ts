/** The events that led to others, as publishers name them. */
import { type Position, parsePosition } from './contract/position.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { type CourierError, invalidField } from './errors.ts';

export interface Cause {
  /** The event's number; undefined where it is not of this log, or of what this log has lost. */
  readonly seq: number | undefined;
  /** Whether this instance has yet to hear of it. */
  readonly isAhead: boolean;
}

/** @param id a position. */
export function causeOf({ log, tail }: Pick<Pipeline, 'log' | 'tail'>, id: string): Cause {
  const position = parsePosition(id) as Position;
  const { gap } = log.positions.resume(position, tail.seq);
  return { seq: gap === 'epoch' ? undefined : position.seq, isAhead: gap === 'ahead' };
}

/** What an event names as its cause, of which this instance has yet to hear. */
export interface AheadCause {
  /** The field that names it. */
  readonly path: string;
  readonly seq: number;
}

/**
 * Asks the log, once, as other instances may have stored what this one has not heard of.
 *
 * @param causes lists of them, each of what is stored together.
 * @returns in their order: BAD_REQUEST where one of them is of an event that nobody has stored yet.
 * @throws what the log throws.
 */
export async function refusalsOf(
  { log }: Pick<Pipeline, 'log'>,
  causes: readonly (readonly AheadCause[])[],
): Promise<(CourierError | undefined)[]> {
  const { head } = await log.bounds();
  return causes.map((ahead) => {
    const future = ahead.find(({ seq }) => seq > head);
    return future && invalidField(future.path, 'is of no event that was published: an event is caused by one before it');
  });
}
