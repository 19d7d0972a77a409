/** Reads the history of channels event by event, page after page, up to the present. */
import { withoutCause } from './cause.ts';
import { gapError, type OnGap } from './consumer.ts';
import type { HistoryPage } from './events.ts';

/**
 * @param read reads the page after a position.
 * @throws {CourierError} GAP when events are missing and `onGap` is 'fail'.
 */
export async function* iterateHistory<TEvent>(
  read: (after: string | undefined) => Promise<HistoryPage<TEvent>>,
  first: string | undefined,
  onGap: OnGap,
): AsyncGenerator<TEvent, void, undefined> {
  let after = first;
  for (let hasMore = true; hasMore; ) {
    const page = await read(after);
    const { gap } = page;
    if (gap !== null) {
      if (onGap === 'fail') throw gapError(gap);
      if (onGap !== 'continue') await withoutCause(() => onGap(gap));
    }
    yield* page.events;
    ({ next: after, has_more: hasMore } = page);
  }
}
