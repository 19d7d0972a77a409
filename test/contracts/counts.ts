/** What everything guarantees that counts connections, as tests. Each implementation runs them all through a factory of its own. */
import { describe, expect, test } from 'vitest';
import type { ConnectionCounts } from '../../src/limits/limiter.ts';

/** Makes counts of what is counted together; one, where nobody else is. */
export interface CountsFactory extends AsyncDisposable {
  open(): Promise<ConnectionCounts>;
}

export interface CountsSuite {
  /** Whether several count together. */
  readonly shared: boolean;
  readonly factory: () => Promise<CountsFactory> | CountsFactory;
}

export function describeCounts(name: string, { shared, factory }: CountsSuite): void {
  describe(`${name} as counts of connections`, () => {
    test('counts as many as may be, and tells whoever comes then how many there are', async () => {
      await using place = await factory();
      const counts = await place.open();
      expect([await counts.claim('ada', 'a', 2), await counts.claim('ada', 'b', 2), await counts.claim('ada', 'c', 2)]).toEqual([
        undefined,
        undefined,
        2,
      ]);
      expect(await counts.claim('eve', 'c', 1)).toBeUndefined();
    });

    test('gives a place back once, and none for what was never counted', async () => {
      await using place = await factory();
      const counts = await place.open();
      for (const id of ['a', 'b']) await counts.claim('ada', id, 2);
      counts.release('ada', 'never counted');
      counts.release('eve', 'a');
      expect(await counts.claim('ada', 'c', 2)).toBe(2);
      counts.release('ada', 'a');
      counts.release('ada', 'a');
      await expect.poll(() => counts.claim('ada', 'c', 2)).toBeUndefined();
      expect(await counts.claim('ada', 'd', 2)).toBe(2);
    });

    test('admits no more of those who come at once', async () => {
      await using place = await factory();
      const all = shared ? [await place.open(), await place.open()] : [await place.open()];
      const claims = Array.from({ length: 40 }, (_, index) => all[index % all.length]?.claim('ada', `c${index}`, 7));
      expect((await Promise.all(claims)).filter((open) => open === undefined)).toHaveLength(7);
    });

    if (!shared) return;
    test('one cannot give back what another has claimed', async () => {
      await using place = await factory();
      const [one, other] = [await place.open(), await place.open()];
      expect([await one.claim('ada', 'a', 1), await other.claim('ada', 'b', 1)]).toEqual([undefined, 1]);
      other.release('ada', 'a');
      expect(await other.claim('ada', 'b', 1)).toBe(1);
      one.release('ada', 'a');
      await expect.poll(() => other.claim('ada', 'b', 1)).toBeUndefined();
    });
  });
}
