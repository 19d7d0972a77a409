/**
 * Input as it came, which is read only when its call has been counted and allowed. What is wrong with it is then the error
 * of that call, and of no other call of its message, whatever carries it.
 */
import { inputOf } from './annotations.ts';

/** A key that no JSON has. tRPC's adapters spread an input to add `lastEventId` to it, and take the key along. */
const RAW = Symbol('raw input');

interface Unread {
  readonly [RAW]: unknown;
  readonly lastEventId?: string;
}

/** Keeps what came for later. None stays none. */
export function unread(raw: unknown): Unread | undefined {
  return raw === undefined ? undefined : { [RAW]: raw };
}

/**
 * Reads what was kept; anything else, such as the input of a caller in this process, is as it is.
 *
 * @throws {CourierError} BAD_REQUEST as `inputOf`.
 */
export function read(given: unknown): unknown {
  if (!isUnread(given)) return given;
  return withLastEventId(inputOf(given[RAW]), given.lastEventId);
}

/** Puts the position that a client resumes from into the input of its subscription. */
export function withLastEventId(input: unknown, lastEventId: string | undefined): unknown {
  if (lastEventId === undefined) return input;
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return { ...input, lastEventId };
  return input ?? { lastEventId };
}

function isUnread(given: unknown): given is Unread {
  return typeof given === 'object' && given !== null && RAW in given;
}
