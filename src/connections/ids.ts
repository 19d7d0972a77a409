/** Names for connections, and for requests that come without one. */
import { randomUUID } from 'node:crypto';

/** A new name. It is copied into one piece: the string that `randomUUID` makes has thirty parts, which take a kilobyte. */
export function newId(): string {
  return Buffer.from(randomUUID(), 'latin1').toString('latin1');
}
