/** Subscriptions as async iterators: they end with their consumer, and hold nothing longer than they must. */
import { tracked } from '@trpc/server';
import { describe, expect, test } from 'vitest';
import type { Sink } from '../../src/delivery/batch.ts';
import { Batch, Delivery } from '../../src/delivery/batch.ts';
import { eventStream } from '../../src/delivery/event-stream.ts';
import { isCollected } from '../helpers/garbage.ts';

const DONE = { done: true, value: undefined };
const EVENT = { channel: 'global', type: 'forge.job.started', metadata: { timestamp: '2026-01-02T03:04:05.678Z' }, data: {} };
const BODY = JSON.stringify(EVENT);

function deliver(sink: Sink, seq: number): Delivery {
  const delivery = new Delivery(`epoch-${seq}`, { seq, channel: 'global', family: 'global', type: EVENT.type, body: BODY });
  sink.deliver(new Batch([delivery]));
  return delivery;
}

const received = (seq: number) => ({
  done: false,
  value: tracked(`epoch-${seq}`, { id: `epoch-${seq}`, ...EVENT, metadata: { timestamp: new Date(EVENT.metadata.timestamp) } }),
});

/** A subscription that does nothing by itself, until it is stopped. */
function subscription(signal?: AbortSignal) {
  const attached = Promise.withResolvers<Sink>();
  const ended = Promise.withResolvers<void>();
  const stream = eventStream(async (sink, stopped) => {
    attached.resolve(sink);
    stopped.addEventListener('abort', () => ended.resolve(), { once: true });
    await ended.promise;
  }, signal);
  return { events: stream[Symbol.asyncIterator](), attached: attached.promise, ended };
}

describe('an iterator of events', () => {
  test('gives what is delivered, in order', async () => {
    const { events, attached } = subscription();
    const first = events.next();
    const sink = await attached;
    for (const seq of [1, 2, 3]) deliver(sink, seq);
    expect([await first, await events.next(), await events.next()]).toEqual([1, 2, 3].map(received));
    expect(await events.return?.()).toEqual(DONE);
  });

  test.each(['returns', 'aborts'] as const)('ends, with its subscription and the next that waits, when its consumer %s', async (how) => {
    const consumer = new AbortController();
    const { events, attached, ended } = subscription(consumer.signal);
    const next = events.next();
    await attached;
    if (how === 'aborts') consumer.abort();
    else expect(await events.return?.()).toEqual(DONE);
    await ended.promise;
    expect([await next, await events.next()]).toEqual([DONE, DONE]);
  });

  test('throws what its subscription fails with, after what was delivered before', async () => {
    const { events, attached, ended } = subscription();
    const first = events.next();
    deliver(await attached, 1);
    ended.reject(new Error('lost the right'));
    expect(await first).toEqual(received(1));
    await expect(events.next()).rejects.toThrow('lost the right');
  });

  test('that is returned unread never subscribes', async () => {
    let isAttached = false;
    const stream = eventStream(async () => {
      isAttached = true;
    }, undefined);
    const events = stream[Symbol.asyncIterator]();
    expect([await events.return?.(), await events.next()]).toEqual([DONE, DONE]);
    expect(isAttached).toBe(false);
  });

  test('does not hold its last event while there is no next one', async () => {
    const { events, attached } = subscription();
    const first = events.next().then(({ value }) => new WeakRef((value as unknown as [string, object])[1]));
    const delivery = new WeakRef(deliver(await attached, 1));
    const event = await first;
    const next = events.next();
    expect(await Promise.all([event, delivery].map(isCollected))).toEqual([true, true]);
    await events.return?.();
    expect(await next).toEqual(DONE);
  });
});
