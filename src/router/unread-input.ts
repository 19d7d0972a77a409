/**
 * Keeps input unread until its call has been counted and allowed. A fault in the input is then an error of this call, and of no
 * other call in the same message, on any transport.
 */
import { inputOf } from './annotations.ts';

/** A key that no JSON has. tRPC's adapters spread an input to add `lastEventId` to it, which copies this key. */
const RAW = Symbol('raw input');

interface Unread {
  readonly [RAW]: unknown;
  readonly lastEventId?: string;
}

/** Wraps raw input. Undefined stays undefined. */
export function unread(raw: unknown): Unread | undefined {
  return raw === undefined ? undefined : { [RAW]: raw };
}

/**
 * Reads wrapped input. Returns any other input, such as that of a caller in this process, unchanged.
 *
 * @throws {CourierError} BAD_REQUEST, as `inputOf`.
 */
export function read(given: unknown): unknown {
  if (!isUnread(given)) return given;
  return withLastEventId(inputOf(given[RAW]), given.lastEventId);
}

/** Adds the position that a client resumes after to the input of its subscription. */
export function withLastEventId(input: unknown, lastEventId: string | undefined): unknown {
  if (lastEventId === undefined) return input;
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return { ...input, lastEventId };
  return input ?? { lastEventId };
}

function isUnread(given: unknown): given is Unread {
  return typeof given === 'object' && given !== null && RAW in given;
}
