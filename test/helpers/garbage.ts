/** Whether something is still referred to: what nothing refers to is collected. */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collections after which what is still there counts as referred to. */
const MAX_COLLECTIONS = 50;

/** Resolves to whether the object is collected: false when something refers to it. */
export async function isCollected(ref: WeakRef<object>): Promise<boolean> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let count = 0; count < MAX_COLLECTIONS && ref.deref() !== undefined; count += 1) {
    // A WeakRef that was looked at lasts until the turn is over.
    await turn();
    collect();
  }
  return ref.deref() === undefined;
}
