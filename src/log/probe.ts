/** What a log writes to find out whether it can store events, and takes back. */
import { randomBytes } from 'node:crypto';
import type { NewEvent } from './log.ts';

/** What an event takes in storage, at most, about. */
const LARGEST_BYTES = 128 * 1024;

/** An event as large as any. Its body is random: storage may compress what repeats itself. */
export function largestEvent(): NewEvent {
  const body = randomBytes(LARGEST_BYTES / 2).toString('hex');
  return { channel: '', family: '', type: '', version: 1, body, idempotency: { principal: '', key: '' } };
}
