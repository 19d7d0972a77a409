/** What waits for its turn, and what it holds meanwhile. */
import { describe, expect, test } from 'vitest';
import { MessageQueue } from '../../src/transport/message-queue.ts';
import { readMessages } from '../../src/transport/trpc-messages.ts';

/** Counts what is held, up to a bound. */
function holder(most = Number.POSITIVE_INFINITY) {
  let held = 0;
  return {
    get held() {
      return held;
    },
    hold: (bytes: number) => {
      if (held + bytes > most) throw new Error('too much');
      held += bytes;
    },
    letGo: (bytes: number) => {
      held -= bytes;
    },
  };
}

const call = (id: number, input: unknown) => ({
  id,
  jsonrpc: '2.0',
  method: 'mutation',
  params: { path: 'a.b', input, lastEventId: undefined },
});
const MESSAGES = readMessages(
  JSON.stringify([call(1, { json: [{}, { '\\"': null }] }), { id: 2, method: 'subscription.stop' }, call(3, undefined)]),
  false,
);

test('messages come out as they went in, in their order', () => {
  const queue = new MessageQueue(holder());
  for (let round = 0; round < 100; round += 1) queue.add(MESSAGES);
  for (let round = 0; round < 99; round += 1) for (const message of MESSAGES) expect(queue.take()).toEqual(message);
  expect([...queue.takeAll()]).toEqual(MESSAGES);
  expect(queue.take()).toBeUndefined();
  expect(queue.isEmpty).toBe(true);
});

test('what cannot be used waits too', () => {
  const queue = new MessageQueue(holder());
  const unusable = readMessages('{', false);
  queue.add(unusable);
  expect(queue.take()).toBe(unusable[0]);
});

describe('what they hold', () => {
  test('is given back as they are taken', () => {
    const held = holder();
    const queue = new MessageQueue(held);
    queue.add(MESSAGES);
    queue.add(MESSAGES);
    expect(held.held).toBe(queue.bytes);
    queue.take();
    expect(held.held).toBe(queue.bytes);
    for (const _ of queue.takeAll());
    expect([held.held, queue.bytes]).toEqual([0, 0]);
  });

  test('may be too much: then none of them waits', () => {
    const held = holder(1000);
    const queue = new MessageQueue(held);
    queue.add(MESSAGES);
    const before = held.held;
    expect(() => queue.add(MESSAGES)).toThrow('too much');
    expect([held.held, queue.bytes]).toEqual([before, before]);
    expect([...queue.takeAll()]).toEqual(MESSAGES);
  });
});
