/** Subscribing again and again while events pour in: nothing is missed or repeated where replay meets live. */
import { expect, test } from 'vitest';
import { collect } from '../helpers/collect.ts';
import type { Received } from '../helpers/lumiere.ts';
import { processToken } from '../helpers/process.ts';
import { FOUNDATIONS } from './instances.ts';
import { EXACT, type Item, Ledger, LONG, report } from './ledger.ts';
import { type Connected, connect, startLoad, storedEvents } from './load.ts';

const EVENTS = LONG ? 500_000 : 40_000;
const WALKERS = 4;

type Delivered = { readonly id: string; readonly data: Received<'**'> };

/** Subscribes, receives for a while, leaves, and goes on from there. */
class Walker {
  readonly items: Item[] = [];
  legs = 0;
  #lastEventId: string | undefined;

  async leg({ trpc }: Connected, enough: (received: readonly Delivered[]) => boolean): Promise<void> {
    this.legs += 1;
    const start = this.#lastEventId === undefined ? { from: 'earliest' as const } : { lastEventId: this.#lastEventId };
    using received = collect<Delivered>((observer) => trpc.events.subscribe.subscribe({ channels: ['**'], ...start }, observer));
    await received.until(enough);
    received.unsubscribe();
    for (const { id, data } of received.items) if (data.type === 'forge.job.progress') this.items.push({ id, text: data.data.step ?? '' });
    this.#lastEventId = received.items.at(-1)?.id;
  }
}

const isLive = ({ data }: Delivered) => data.type === 'courier.live';
const isLiveAndMore = (received: readonly Delivered[]) => received.slice(0, -1).some(isLive);

test.for(FOUNDATIONS)('subscribe again and again while events pour in: $name', { timeout: 300_000 }, async (foundation, { task }) => {
  await using instances = await foundation.start();
  const { urls } = instances;
  const [url] = urls as [string];
  const events = EVENTS / (urls.length > 1 ? 4 : 1);
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  let pouring = true;

  await using load = startLoad({ url, token, ledger, inFlight: 8, batch: 50 });
  const walkers = Array.from({ length: WALKERS }, () => new Walker());
  const walks = walkers.map(async (walker) => {
    await using stack = new AsyncDisposableStack();
    const clients = urls.map((one) => stack.use(connect(one, token)));
    // Each leg is walked at another instance than the last.
    while (pouring) await walker.leg(clients[walker.legs % clients.length] as Connected, isLiveAndMore);
  });
  const startedAt = performance.now();
  await load.more(events);
  const perSecond = Math.round((events / (performance.now() - startedAt)) * 1000);
  pouring = false;
  // A leg ends with an event that comes after it is live.
  let walking = true;
  const walked = Promise.all(walks).finally(() => {
    walking = false;
  });
  while (walking) await Promise.race([load.more(50), walked]);
  await walked;
  await load.stop();
  const stored = await storedEvents(url, token);
  await using client = connect(url, token);
  const last = stored.at(-1)?.id;
  // Also of one that has it already: `courier.live` then stands there.
  for (const walker of walkers) await walker.leg(client, (received) => received.some(({ id }) => id === last));

  const figures = walkers.map(({ items }) => ledger.compare(stored, items));
  const subscriptions = walkers.reduce((sum, { legs }) => sum + legs, 0);
  report(task, 16, `${foundation.name}: subscribe again and again while events pour in`, {
    ...figures[0],
    subscriptions,
    'publishes/s': perSecond,
  });
  for (const one of figures) expect(one).toMatchObject(EXACT);
  expect(subscriptions).toBeGreaterThan(WALKERS * 10);
});
