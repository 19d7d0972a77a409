/** Positions: the place of an event in a log, as text. Clients keep positions and send them back; only Courier reads their parts. */
import { z } from 'zod';

const FORM = /^([a-z0-9]{1,32})-(0|[1-9][0-9]{0,15})$/;

export interface Position {
  /** Names the log. */
  readonly epoch: string;
  /** The event's number in that log; 0 is before the first event. */
  readonly seq: number;
}

/** Writes a position. */
export function positionOf(epoch: string, seq: number): string {
  return `${epoch}-${seq}`;
}

/** Reads a position; undefined when `text` is not one. */
export function parsePosition(text: string): Position | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const seq = Number(match[2]);
  return Number.isSafeInteger(seq) ? { epoch: match[1] as string, seq } : undefined;
}

/** What follows the position of an item that was given before the state was complete. */
const UNFINISHED = '-u';

/** Where the state is given from its beginning: whoever comes back with it has a part of the state. */
export function unfinishedAt(position: string): string {
  return `${position}${UNFINISHED}`;
}

/** The position, where `text` says that what was given up to there was not complete. */
export function unfinishedFrom(text: string): Position | undefined {
  return text.endsWith(UNFINISHED) ? parsePosition(text.slice(0, -UNFINISHED.length)) : undefined;
}

/** The schema of what a client sends back of a watch. */
export const watchPosition = z
  .string()
  .refine((text) => (unfinishedFrom(text) ?? parsePosition(text)) !== undefined, {
    error: 'is not a position of Courier (the id of an item that was received)',
  })
  .describe('The id of an item: the position that it is known up to. Opaque to clients.');

/** The schema of a position that a client sends back. */
export const position = z
  .string()
  .refine((text) => parsePosition(text) !== undefined, { error: 'is not a position of Courier (the id of an event that was received)' })
  .describe('The id of an event: its position in the log. Opaque to clients.');
