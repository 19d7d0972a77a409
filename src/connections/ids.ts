/** Names for what comes: connections, and requests that have none. */
import { randomUUID } from 'node:crypto';

/** A new one. In one piece: `randomUUID` gives a string of thirty, which takes a kilobyte as long as it is kept. */
export function newId(): string {
  return Buffer.from(randomUUID(), 'latin1').toString('latin1');
}
