/** What every broker guarantees, as tests. Each implementation runs them all through a factory of its own. */
import { describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker/broker.ts';
import type { StoredEvent } from '../../src/log/log.ts';

/** Makes brokers that tell each other. */
export interface BrokerFactory extends AsyncDisposable {
  open(): Promise<Broker>;
}

export interface BrokerSuite {
  /** Whether instances hear of each other at all. */
  readonly shared: boolean;
  readonly kind: Broker['kind'];
  /** Whether it passes commits of any size on. */
  readonly takesAll?: boolean;
  readonly factory: () => Promise<BrokerFactory> | BrokerFactory;
}

export const eventOf = (seq: number, size = 10): StoredEvent => ({
  seq,
  channel: 'forge.job.j',
  family: 'forge.job',
  type: 'forge.job.started',
  version: 1,
  body: JSON.stringify({ channel: 'forge.job.j', text: '"é\n'.padEnd(size, 'x') }),
});

/** What a broker has told. */
export function hear(broker: Broker) {
  const heard = { events: [] as StoredEvent[], hints: 0, stop: () => undefined as unknown };
  heard.stop = broker.listen({
    onEvents: (events) => heard.events.push(...events),
    onHint: () => {
      heard.hints += 1;
    },
  });
  return heard;
}

export function describeBroker(name: string, { shared, kind, takesAll = false, factory }: BrokerSuite): void {
  describe(name, () => {
    test('says what it is, and that it is there', async () => {
      await using brokers = await factory();
      await using broker = await brokers.open();
      expect(broker.kind).toBe(kind);
      expect(broker.problem).toBeUndefined();
    });

    test('nobody hears of what it published itself', async () => {
      await using brokers = await factory();
      await using one = await brokers.open();
      await using other = await brokers.open();
      const own = hear(one);
      const others = hear(other);
      one.publish([eventOf(1)]);
      other.publish([eventOf(2)]);
      if (shared) {
        await expect.poll(() => own.events).toEqual([eventOf(2)]);
        await expect.poll(() => others.events).toEqual([eventOf(1)]);
      } else expect([own.events, others.events]).toEqual([[], []]);
    });

    test('after it is closed it neither throws nor tells', async () => {
      await using brokers = await factory();
      const broker = await brokers.open();
      const heard = hear(broker);
      await broker[Symbol.asyncDispose]();
      broker.publish([eventOf(1)]);
      expect(heard.events).toEqual([]);
    });

    if (!shared) return;

    test('the events of a commit arrive as they were, in their order, at every listener until it stops', async () => {
      await using brokers = await factory();
      await using publisher = await brokers.open();
      await using receiver = await brokers.open();
      const first = hear(receiver);
      const second = hear(receiver);
      const commit = [eventOf(1), eventOf(2), eventOf(3, 5000)];
      publisher.publish(commit);
      await expect.poll(() => [first.events, second.events]).toEqual([commit, commit]);
      second.stop();
      publisher.publish([eventOf(4)]);
      await expect.poll(() => first.events.length).toBe(4);
      expect(second.events).toHaveLength(3);
    });

    test(`a commit of more than 1 MiB is ${takesAll ? 'passed on too' : 'only hinted at'}`, async () => {
      await using brokers = await factory();
      await using publisher = await brokers.open();
      await using receiver = await brokers.open();
      const heard = hear(receiver);
      const commit = Array.from({ length: 11 }, (_, index) => eventOf(index + 1, 100_000));
      publisher.publish(commit);
      await expect.poll(() => [heard.hints, heard.events.length]).toEqual(takesAll ? [0, 11] : [1, 0]);
    });
  });
}
