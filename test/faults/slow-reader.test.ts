/** A subscriber that does not read costs its own backlog and nothing else: no memory, no delay for others, no event. */
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { EXACT, type Item, Ledger, LONG, report } from './ledger.ts';
import { startLoad, storedEvents, TIDY_HEAP, watch } from './load.ts';
import { connectPacedReader } from './paced-reader.ts';

const EVENT_CHARACTERS = 1000;

test('a reader that stops, reads 10 KB/s, and then everything', { timeout: 300_000 }, async ({ task }) => {
  const megabytes = LONG ? 400 : 80;
  using folder = temporaryFolder();
  await using gateway = await startProcess({ COURIER_LOG: `sqlite:${folder.file('courier.db')}`, NODE_OPTIONS: TIDY_HEAP });
  const token = await processToken('forge', 'service');
  const ledger = new Ledger();
  await using fast = watch(gateway.url, token);
  const publish = async (bytes: number) => {
    await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 4, batch: 50, padding: EVENT_CHARACTERS });
    await load.more(bytes / EVENT_CHARACTERS);
    await load.stop();
    await fast.count(ledger.size);
  };

  using slow = await connectPacedReader(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}&from=earliest`);
  // First it keeps up, so that what the gateway needs for the load itself is known.
  await Promise.all([slow.readUntil((megabytes * 5e5) / EVENT_CHARACTERS), publish(megabytes * 5e5)]);
  await slow.readUntil(ledger.size + 1);
  const before = gateway.peakRssBytes();
  await publish(10e6);
  expect(slow.messages.length).toBeLessThan(ledger.size);
  await Promise.all([slow.readAt(10_000, LONG ? 60 : 2), publish(megabytes * 5e5)]);
  expect(slow.closeCode).toBeUndefined();
  // The fast one has everything by now.
  expect(fast.items).toHaveLength(ledger.size);
  const unread = ledger.size - slow.messages.length;
  const after = gateway.peakRssBytes();

  const items = (): Item[] =>
    slow.messages
      .map((message) => JSON.parse(message))
      .filter(({ channel }) => channel !== 'courier')
      .map(({ id, data }) => ({ id, text: data.step }));
  await slow.readUntil(ledger.size + 1);
  const figures = ledger.compare(await storedEvents(gateway.url, token), items());
  const unreadBytes = unread * EVENT_CHARACTERS;
  const grown = Math.max(0, after - before);
  report(task, 12, 'a reader that stops, then reads 10 KB/s', {
    ...figures,
    'peak memory': `${Math.round(after / 1e6)} MB`,
    unread: `${Math.round(unreadBytes / 1e6)} MB`,
    'memory for it': `${Math.round(grown / 1e6)} MB`,
  });
  expect(figures).toMatchObject(EXACT);
  expect(grown).toBeLessThan(unreadBytes / 2);
});

if (LONG) {
  test('a reader that never reads again is told to come back, and gets the rest then', { timeout: 120_000 }, async ({ task }) => {
    await using gateway = await startProcess({ COURIER_LOG: 'memory:' });
    const token = await processToken('forge', 'service');
    const ledger = new Ledger();
    using slow = await connectPacedReader(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}`);
    await using load = startLoad({ url: gateway.url, token, ledger, inFlight: 4, batch: 50, padding: EVENT_CHARACTERS });
    await load.more(20_000);
    await load.stop();
    const connections = async () => {
      const health = (await (await fetch(`${gateway.url}/health`)).json()) as { components: { websocket_server: { connections: number } } };
      return health.components.websocket_server.connections;
    };
    // The publisher's and the slow one's; then the publisher's alone.
    await expect.poll(connections, { timeout: 90_000, interval: 500 }).toBe(1);
    await slow.readUntil(Number.POSITIVE_INFINITY);
    const last = JSON.parse(slow.messages.at(-1) ?? '{}');
    await using again = watch(gateway.url, token, { lastEventId: last.id });
    const stored = await storedEvents(gateway.url, token);
    await again.reaches(stored.at(-1)?.id ?? '');
    const first = slow.messages.map((message) => JSON.parse(message)).filter(({ channel }) => channel !== 'courier');
    const figures = ledger.compare(stored, [...first.map(({ id, data }) => ({ id, text: data.step })), ...again.items]);
    report(task, 12, 'a reader that never reads, closed after 30 s, resumed', { ...figures, 'read before': first.length });
    expect(figures).toMatchObject(EXACT);
  });
}
