/** Messages that wait for their turn, and the memory that they reserve meanwhile. */
import { describe, expect, test } from 'vitest';
import { MessageQueue } from '../../src/transport/message-queue.ts';
import { readMessages } from '../../src/transport/trpc-messages.ts';

/** Counts what is reserved, up to a bound. */
function quota(most = Number.POSITIVE_INFINITY) {
  let reserved = 0;
  return {
    get reserved() {
      return reserved;
    },
    reserve: (bytes: number) => {
      if (reserved + bytes > most) throw new Error('too much');
      reserved += bytes;
    },
    release: (bytes: number) => {
      reserved -= bytes;
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
  const queue = new MessageQueue(quota());
  for (let round = 0; round < 100; round += 1) queue.add(MESSAGES);
  for (let round = 0; round < 99; round += 1) for (const message of MESSAGES) expect(queue.take()).toEqual(message);
  expect([...queue.takeAll()]).toEqual(MESSAGES);
  expect(queue.take()).toBeUndefined();
  expect(queue.isEmpty).toBe(true);
});

test('what cannot be used waits too', () => {
  const queue = new MessageQueue(quota());
  const unusable = readMessages('{', false);
  queue.add(unusable);
  expect(queue.take()).toBe(unusable[0]);
});

describe('the memory that they take', () => {
  test('is given back as they are taken', () => {
    const memory = quota();
    const queue = new MessageQueue(memory);
    queue.add(MESSAGES);
    queue.add(MESSAGES);
    expect(memory.reserved).toBe(queue.bytes);
    queue.take();
    expect(memory.reserved).toBe(queue.bytes);
    for (const _ of queue.takeAll());
    expect([memory.reserved, queue.bytes]).toEqual([0, 0]);
  });

  test('may be too much: then none of them waits', () => {
    const memory = quota(1000);
    const queue = new MessageQueue(memory);
    queue.add(MESSAGES);
    const before = memory.reserved;
    expect(() => queue.add(MESSAGES)).toThrow('too much');
    expect([memory.reserved, queue.bytes]).toEqual([before, before]);
    expect([...queue.takeAll()]).toEqual(MESSAGES);
  });
});

describe('what cannot be used', () => {
  const MIB = 1024 * 1024;

  test('keeps nothing of a text that is no JSON, however long it was', () => {
    const [message] = readMessages(`{"text":"${'x'.repeat(MIB)}",!`, false);
    expect(message).toMatchObject({ envelope: { id: null }, error: { code: 'PARSE_ERROR', cause: undefined } });
    expect((message as { error: Error }).error.message.length).toBeLessThan(200);
  });

  test.each(['subscription.stop', 'query'])('is a %s with an id that is too long', (method) => {
    const call = { id: 'x'.repeat(200), method, params: { path: 'a.b' } };
    expect(readMessages(JSON.stringify(call), false)).toMatchObject([{ error: { code: 'PARSE_ERROR' } }]);
  });
});
