/** Whether something is still held: what nobody holds is collected. */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collections after which what is still there counts as held. */
const MAX_COLLECTIONS = 50;

/** Resolves to whether the object is collected: false when it is held. */
export async function isCollected(held: WeakRef<object>): Promise<boolean> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let count = 0; count < MAX_COLLECTIONS && held.deref() !== undefined; count += 1) {
    // A WeakRef that was looked at lasts until the turn is over.
    await turn();
    collect();
  }
  return held.deref() === undefined;
}
