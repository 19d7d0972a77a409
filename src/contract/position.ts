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

/** Where a client stands that has states. */
export interface StatePosition {
  readonly position: Position;
  /** Names the builds that the states are of, where states of others have this position, too. */
  readonly builds?: string | undefined;
  /** It was given a part of the state. */
  readonly isUnfinished: boolean;
}

const STATE_FORM = /^(.*?-\d+)(?:-b([0-9a-z]{1,13}))?(-u)?$/;

/** Writes where a client stands. @param position of an event. */
export function statePositionOf(position: string, { builds, isUnfinished = false }: Partial<Omit<StatePosition, 'position'>>): string {
  return `${position}${builds === undefined ? '' : `-b${builds}`}${isUnfinished ? '-u' : ''}`;
}

/** Reads where a client stands; undefined when `text` is no such position. */
export function parseStatePosition(text: string): StatePosition | undefined {
  const [, before = '', builds, unfinished] = STATE_FORM.exec(text) ?? [];
  const position = parsePosition(before);
  return position && { position, builds, isUnfinished: unfinished !== undefined };
}

/** The schema of what a client sends back of a watch. */
export const watchPosition = z
  .string()
  .refine((text) => parseStatePosition(text) !== undefined, {
    error: 'is not a position of Courier (the id of an item that was received)',
  })
  .describe('The id of an item: the position that it is known up to. Opaque to clients.');

/** The schema of a position that a client sends back. */
export const position = z
  .string()
  .refine((text) => parsePosition(text) !== undefined, { error: 'is not a position of Courier (the id of an event that was received)' })
  .describe('The id of an event: its position in the log. Opaque to clients.');
