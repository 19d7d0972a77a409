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

/** The schema of a position that a client sends back. */
export const position = z
  .string()
  .refine((text) => parsePosition(text) !== undefined, { error: 'is not a position of Courier (the id of an event that was received)' })
  .describe('The id of an event: its position in the log. Opaque to clients.');
