/** Traffic that is compared in the end: what was acknowledged, what is stored, and what each subscriber was given. */
import { expect } from 'vitest';
import { processToken } from '../helpers/process.ts';
import type { Instances } from './instances.ts';
import { type Figures, Ledger, seqOf } from './ledger.ts';
import { type Load, startLoad, storedEvents, type Watching, watch } from './load.ts';

/** Publishers and a subscriber at every address, and what they made of it in the end. */
export async function startTraffic(instances: Pick<Instances, 'urls'>, options: { inFlight?: number } = {}) {
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  await using stack = new AsyncDisposableStack();
  const subscribers: Watching[] = instances.urls.map((url) => stack.use(watch(url, token)));
  const loads: Load[] = instances.urls.map((url) => stack.use(startLoad({ url, token, ledger, inFlight: options.inFlight ?? 8 })));
  const resources = stack.move();
  return {
    token,
    loads,
    more: (count: number) => Promise.all(loads.map((load) => load.more(count))),
    /** Ends the traffic and compares each subscriber's events; the worst of all counts. */
    finish: async (): Promise<Figures> => {
      await Promise.all(loads.map((load) => load.stop()));
      const stored = await storedEvents(instances.urls[0] as string, token);
      await Promise.all(subscribers.map((subscriber) => subscriber.reaches(stored.at(-1)?.id ?? '')));
      expect(stored.map(seqOf)).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1));
      expect(subscribers.flatMap(({ notices }) => notices)).not.toContain('courier.gap');
      const all = subscribers.map(({ items }) => ledger.compare(stored, items));
      const worst = (name: keyof Figures) => Math.max(...all.map((one) => one[name]));
      return { ...(all[0] as Figures), lost: worst('lost'), duplicated: worst('duplicated'), reordered: worst('reordered') };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
