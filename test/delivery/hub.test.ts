/** Subscriber groups: what is dispatched in one turn is handed over at once, the same batch to every subscriber, and nobody misses or repeats an event for it. */
import { expect, test } from 'vitest';
import type { Batch } from '../../src/delivery/batch.ts';
import { Delivery } from '../../src/delivery/batch.ts';
import type { LiveSubscriber } from '../../src/delivery/groups.ts';
import { Hub } from '../../src/delivery/hub.ts';
import { channelSetOf } from '../helpers/lumiere.ts';

const filterOf = (patterns: string[], types?: string[]) => ({ channels: channelSetOf(patterns), types: types && new Set(types) });
const event = (seq: number, { channel = 'user.a', type = 'a', size = 10, family = 'user' } = {}) =>
  new Delivery(`e-${seq}`, { seq, channel, family, type, body: 'x'.repeat(size) });

class TestSubscriber implements LiveSubscriber {
  readonly batches: Batch[] = [];
  readonly behind: number[] = [];
  readonly sink: LiveSubscriber['sink'];

  constructor(writable = () => true) {
    this.sink = {
      get writable() {
        return writable();
      },
      deliver: (batch) => this.batches.push(batch),
      drained: () => Promise.resolve(),
    };
  }

  onBehind(seq: number): void {
    this.behind.push(seq);
  }

  get seqs(): number[][] {
    return this.batches.map(({ deliveries }) => deliveries.map(({ seq }) => seq));
  }
}

test('the events of one turn are handed over at once, the same batch to all subscribers with equal filters', async () => {
  const hub = new Hub();
  const [first, second, filtered] = [new TestSubscriber(), new TestSubscriber(), new TestSubscriber()];
  hub.join(filterOf(['user.a', 'user.b']), first, 0);
  hub.join(filterOf(['user.b', 'user.a']), second, 0);
  hub.join(filterOf(['user.*'], ['b']), filtered, 0);
  for (const [seq, channel] of ['user.a', 'user.b', 'user.c'].entries()) hub.dispatch(event(seq + 1, { channel }));
  hub.dispatch(event(4, { channel: 'user.c', type: 'b' }));
  expect(first.batches).toEqual([]);
  await Promise.resolve();
  expect(first.seqs).toEqual([[1, 2]]);
  expect(second.batches[0]).toBe(first.batches[0]);
  expect(filtered.seqs).toEqual([[4]]);
  let made = 0;
  const make = () => Buffer.from(String(++made));
  expect(first.batches[0]?.render({ name: 'form', make })).toBe(second.batches[0]?.render({ name: 'form', make }));
});

test('of a family that the contract does not have, whoever selects everything gets the events, once', async () => {
  const hub = new Hub();
  const [everything, typed, known] = [new TestSubscriber(), new TestSubscriber(), new TestSubscriber()];
  const groups = [hub.join(filterOf(['**']), everything, 0), hub.join(filterOf(['**'], ['b']), typed, 0)];
  hub.join(filterOf(['*.*', 'forge.**', 'global']), known, 0);
  for (const [seq, channel] of ['global', 'user.a', 'ship.s', 'ship.t'].entries())
    hub.dispatch(event(seq + 1, { channel, family: channel.split('.')[0] as string, type: seq === 3 ? 'b' : 'a' }));
  await Promise.resolve();
  expect([everything, typed, known].map(({ seqs }) => seqs)).toEqual([[[1, 2, 3, 4]], [[4]], [[1, 2]]]);
  for (const [index, group] of groups.entries()) group.leave([everything, typed][index] as TestSubscriber, 0);
  hub.dispatch(event(5, { channel: 'ship.s', family: 'ship' }));
  await Promise.resolve();
  expect(everything.seqs).toHaveLength(1);
});

test('many events of one turn are handed over in batches of a bounded size', async () => {
  const hub = new Hub({ batchUnits: 100 });
  const subscriber = new TestSubscriber();
  hub.join(filterOf(['user.*']), subscriber, 0);
  for (let seq = 1; seq <= 7; seq += 1) hub.dispatch(event(seq, { size: 40 }));
  hub.dispatch(event(8, { size: 1000 }));
  await Promise.resolve();
  expect(subscriber.seqs).toEqual([
    [1, 2, 3],
    [4, 5, 6],
    [7, 8],
  ]);
});

test('a subscriber that joins in the middle of a turn gets what comes after, one that leaves gets what came before', async () => {
  const hub = new Hub();
  const [early, late] = [new TestSubscriber(), new TestSubscriber()];
  const group = hub.join(filterOf(['user.a']), early, 0);
  hub.dispatch(event(1));
  hub.join(filterOf(['user.a']), late, 0);
  hub.dispatch(event(2));
  group.leave(early, 0);
  hub.dispatch(event(3));
  await Promise.resolve();
  expect(early.seqs).toEqual([[1], [2]]);
  expect(late.seqs).toEqual([[2], [3]]);
  expect(hub.subscribers).toBe(1);
  group.leave(late, 0);
  group.leave(late, 0);
  expect([hub.subscribers, hub.topics]).toEqual([0, 0]);
});

test('a full subscriber is removed, and told the number up to which everything was handed to it', async () => {
  const hub = new Hub();
  let full = false;
  const [slow, fast] = [new TestSubscriber(() => !full), new TestSubscriber()];
  hub.join(filterOf(['user.a']), slow, 0);
  hub.join(filterOf(['user.a']), fast, 0);
  hub.dispatch(event(1));
  hub.dispatch(event(2));
  await Promise.resolve();
  full = true;
  hub.dispatch(event(5));
  await Promise.resolve();
  hub.dispatch(event(6));
  await Promise.resolve();
  expect(slow.seqs).toEqual([[1, 2]]);
  expect(slow.behind).toEqual([2]);
  expect(fast.seqs).toEqual([[1, 2], [5], [6]]);
  expect(hub.subscribers).toBe(1);
});

test('an interruption removes every subscriber, after what came before it', () => {
  const hub = new Hub();
  const subscriber = new TestSubscriber();
  hub.join(filterOf(['user.a']), subscriber, 0);
  hub.dispatch(event(1));
  hub.interrupt(3);
  expect(subscriber.seqs).toEqual([[1]]);
  expect(subscriber.behind).toEqual([3]);
  expect([hub.subscribers, hub.topics]).toEqual([0, 0]);
});

test('a subscriber that joins while all others of its group are removed hears what follows', async () => {
  const hub = new Hub();
  let full = false;
  const [slow, joining] = [new TestSubscriber(() => !full), new TestSubscriber()];
  hub.join(filterOf(['user.a']), slow, 0);
  full = true;
  hub.dispatch(event(1));
  hub.join(filterOf(['user.a']), joining, 1);
  expect(slow.behind).toEqual([0]);
  hub.dispatch(event(2));
  await Promise.resolve();
  expect(joining.seqs).toEqual([[2]]);
  expect([hub.subscribers, hub.topics]).toEqual([1, 1]);
});

test('a removed subscriber may join again at once, and a group that was closed takes nobody with it', async () => {
  const hub = new Hub();
  let full = true;
  const rejoining = new TestSubscriber(() => !full);
  const closed = hub.join(filterOf(['user.a']), rejoining, 0);
  rejoining.onBehind = (seq) => void hub.join(filterOf(['user.a']), rejoining, seq);
  hub.dispatch(event(1));
  await Promise.resolve();
  full = false;
  closed.leave(rejoining, 0);
  hub.dispatch(event(2));
  await Promise.resolve();
  expect(rejoining.seqs).toEqual([[2]]);
  expect([hub.subscribers, hub.topics]).toEqual([1, 1]);
});
