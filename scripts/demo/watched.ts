/** What a subscriber of everything sees, and what is stored. */
import type { CourierClient, CourierEvent } from '@lumiere/courier-client';
import { eventLine } from '../cli/format.ts';
import { rendered } from '../cli/line.ts';

const PAGE = 1000;

export interface Watched {
  readonly events: readonly CourierEvent[];
  until(done: (events: readonly CourierEvent[]) => boolean): Promise<void>;
  /** Watches no longer. */
  end(): void;
}

/** Subscribes to everything and prints it. Resolves once the subscription is live. */
export async function watch(client: CourierClient): Promise<Watched> {
  const events: CourierEvent[] = [];
  const waiting = new Set<() => void>();
  const subscription = client.subscribe('**', (event) => {
    events.push(event);
    console.log(rendered(eventLine(event)));
    for (const check of waiting) check();
  });
  await subscription.live;
  const until = (done: (events: readonly CourierEvent[]) => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (done(events)) resolve();
      };
      waiting.add(check);
      check();
    });
  return { events, until, end: () => subscription.unsubscribe() };
}

/** Every event of the log, page by page. */
export async function readLog(client: CourierClient): Promise<CourierEvent[]> {
  const events: CourierEvent[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await client.history('**', { after, limit: PAGE });
    events.push(...page.events);
    if (!page.has_more) return events;
    after = page.next;
  }
}
