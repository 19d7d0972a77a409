/** The events that led to others, as publishers name them. */
import { type Position, parsePosition } from './contract/position.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { invalidField } from './errors.ts';

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

/** Another instance may have stored what this one has not heard of. @throws {CourierError} BAD_REQUEST where nobody has stored it yet. */
export async function requireStored({ log }: Pick<Pipeline, 'log'>, causes: readonly AheadCause[]): Promise<void> {
  const { head } = await log.bounds();
  const future = causes.find(({ seq }) => seq > head);
  if (future !== undefined) throw invalidField(future.path, 'is of no event that was published: an event is caused by one before it');
}
