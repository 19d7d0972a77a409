/** Audiences: what is dispatched in one turn is given at once, the same to everyone, and nobody misses or repeats for it. */
import { expect, test } from 'vitest';
import { selectorOf } from '../../src/contract/channels.ts';
import type { Member } from '../../src/delivery/audience.ts';
import type { Batch } from '../../src/delivery/batch.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { Hub } from '../../src/delivery/hub.ts';

const interestIn = (patterns: string[], types?: string[]) => ({ selector: selectorOf(patterns), types: types && new Set(types) });
const event = (seq: number, { channel = 'user.a', type = 'a', size = 10 } = {}) =>
  new Delivery(`e-${seq}`, { seq, channel, family: 'user', type, body: 'x'.repeat(size) });

class TestMember implements Member {
  readonly batches: Batch[] = [];
  readonly behind: number[] = [];
  readonly sink: Member['sink'];

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

test('the events of one turn are given at once, the same batch to all who want the same', async () => {
  const hub = new Hub();
  const [first, second, filtered] = [new TestMember(), new TestMember(), new TestMember()];
  hub.join(interestIn(['user.a', 'user.b']), first, 0);
  hub.join(interestIn(['user.b', 'user.a']), second, 0);
  hub.join(interestIn(['user.*'], ['b']), filtered, 0);
  for (const [seq, channel] of ['user.a', 'user.b', 'user.c'].entries()) hub.dispatch(event(seq + 1, { channel }));
  hub.dispatch(event(4, { channel: 'user.c', type: 'b' }));
  expect(first.batches).toEqual([]);
  await Promise.resolve();
  expect(first.seqs).toEqual([[1, 2]]);
  expect(second.batches[0]).toBe(first.batches[0]);
  expect(filtered.seqs).toEqual([[4]]);
  let made = 0;
  const make = () => Buffer.from(String(++made));
  expect(first.batches[0]?.render('form', make)).toBe(second.batches[0]?.render('form', make));
});

test('much in one turn is given in batches of a bounded size', async () => {
  const hub = new Hub({ batchLength: 100 });
  const member = new TestMember();
  hub.join(interestIn(['user.*']), member, 0);
  for (let seq = 1; seq <= 7; seq += 1) hub.dispatch(event(seq, { size: 40 }));
  hub.dispatch(event(8, { size: 1000 }));
  await Promise.resolve();
  expect(member.seqs).toEqual([
    [1, 2, 3],
    [4, 5, 6],
    [7, 8],
  ]);
});

test('who joins in the middle of a turn gets what comes after, who leaves gets what came before', async () => {
  const hub = new Hub();
  const [early, late] = [new TestMember(), new TestMember()];
  const audience = hub.join(interestIn(['user.a']), early, 0);
  hub.dispatch(event(1));
  hub.join(interestIn(['user.a']), late, 0);
  hub.dispatch(event(2));
  audience.leave(early);
  hub.dispatch(event(3));
  await Promise.resolve();
  expect(early.seqs).toEqual([[1], [2]]);
  expect(late.seqs).toEqual([[2], [3]]);
  expect(hub.listeners).toBe(1);
  audience.leave(late);
  audience.leave(late);
  expect([hub.listeners, hub.topics]).toEqual([0, 0]);
});

test('who is full is out, and told up to where it was given everything', async () => {
  const hub = new Hub();
  let full = false;
  const [slow, fast] = [new TestMember(() => !full), new TestMember()];
  hub.join(interestIn(['user.a']), slow, 0);
  hub.join(interestIn(['user.a']), fast, 0);
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
  expect(hub.listeners).toBe(1);
});

test('an interruption puts everyone out, after what came before it', () => {
  const hub = new Hub();
  const member = new TestMember();
  hub.join(interestIn(['user.a']), member, 0);
  hub.dispatch(event(1));
  hub.interrupt(3);
  expect(member.seqs).toEqual([[1]]);
  expect(member.behind).toEqual([3]);
  expect([hub.listeners, hub.topics]).toEqual([0, 0]);
});
