/** A group with a pace: nobody is told more often, each thing once as it is then, and nobody misses what came while it was removed. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Batch, Delivery } from '../../src/delivery/batch.ts';
import type { LiveSubscriber, Recent } from '../../src/delivery/groups.ts';
import { PacedGroup } from '../../src/delivery/paced-group.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { TestSink } from '../helpers/pipeline.ts';
import { channelSetOf } from '../helpers/trade.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A subscriber, with the numbers behind which it was sent back. */
class Listener implements LiveSubscriber {
  readonly sink: TestSink;
  readonly behind: number[] = [];

  constructor(room?: number) {
    this.sink = new TestSink(room);
  }

  onBehind(seq: number): void {
    this.behind.push(seq);
  }

  /** Numbers as they came. */
  get seqs(): number[] {
    return this.sink.received.map(({ seq }) => seq);
  }
}

/** Things with the number of their last change, as what is in memory has them. */
class Things implements Recent {
  seq = 0;
  floor = 0;
  readonly #seqs = new Map<string, number>();

  covers(seq: number): boolean {
    return seq >= this.floor;
  }

  *recent(_filter: unknown, afterSeq: number): Generator<Delivery, void> {
    const later = [...this.#seqs].filter(([, seq]) => seq > afterSeq).sort(([, a], [, b]) => a - b);
    for (const [name, seq] of later) yield deliveryOf(name, seq);
  }

  change(name: string): Delivery {
    this.seq += 1;
    this.#seqs.set(name, this.seq);
    return deliveryOf(name, this.seq);
  }
}

class Removal extends Delivery {
  override get isRecent(): boolean {
    return false;
  }
}

const fields = (name: string, seq: number) => ({ seq, channel: name, family: 'f', type: 't', body: '{}' });
const deliveryOf = (name: string, seq: number) => new Delivery(`e-${seq}`, fields(name, seq));
const noticeAt = (seq: number) => new Batch([new Delivery(`e-${seq}`, { ...fields('courier', seq), family: undefined })]);

function startGroup(maxPerSecond = 10) {
  const things = new Things();
  const told = { left: 0, empty: 0 };
  const group = new PacedGroup(
    { channels: channelSetOf(['**']) },
    {
      recent: things,
      maxPerSecond,
      batchUnits: 1000,
      meter: noMeter,
      onLeft: () => {
        told.left += 1;
      },
      onEmpty: () => {
        told.empty += 1;
      },
    },
  );
  const change = (...names: string[]) => {
    for (const name of names) group.take(things.change(name));
  };
  const join = (room?: number) => {
    const listener = new Listener(room);
    group.join(listener, things.seq);
    return listener;
  };
  return { group, things, told, change, join };
}

test('each thing is told once as it is then, when it is time, and those with the same have the same bytes', () => {
  const { change, join } = startGroup();
  const [one, other] = [join(), join()];
  change('a', 'b', 'a', 'a');
  expect(one.seqs).toEqual([]);
  vi.advanceTimersByTime(100);
  change('b');
  vi.advanceTimersByTime(99);
  expect(one.seqs).toEqual([2, 4]);
  vi.advanceTimersByTime(1);
  expect(one.seqs).toEqual([2, 4, 5]);
  expect(other.sink.received).toEqual(one.sink.received);
  expect(other.sink.received.every((delivery, index) => delivery === one.sink.received[index])).toBe(true);
});

test('who has just been given everything waits for as long as the others', () => {
  const { change, join } = startGroup();
  const listener = join();
  change('a');
  vi.advanceTimersByTime(99);
  expect(listener.seqs).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(listener.seqs).toEqual([1]);
});

test('after a quiet time a change is told at once', () => {
  const { change, join } = startGroup();
  const listener = join();
  vi.advanceTimersByTime(1000);
  change('a');
  vi.advanceTimersByTime(0);
  expect(listener.seqs).toEqual([1]);
});

test('who joins later gets only what came after, and who leaves nothing more', () => {
  const { group, change, join, told } = startGroup();
  const first = join();
  change('a');
  const second = join();
  change('b');
  group.leave(first);
  group.leave(first);
  vi.advanceTimersByTime(100);
  expect(first.seqs).toEqual([]);
  expect(second.seqs).toEqual([2]);
  expect([group.size, told]).toEqual([1, { left: 1, empty: 0 }]);
  change('c');
  group.leave(second);
  expect([group.size, told]).toEqual([0, { left: 2, empty: 1 }]);
  vi.advanceTimersByTime(1000);
  expect(second.seqs).toEqual([2]);
  expect(vi.getTimerCount()).toBe(0);
});

test('who is full, or behind what is in memory, is sent back to where it was handed everything', () => {
  const { things, change, join, told } = startGroup();
  const [full, late] = [join(0), join()];
  change('a', 'b');
  const well = join();
  things.floor = 1;
  change('c');
  vi.advanceTimersByTime(100);
  expect([full.behind, late.behind, well.behind]).toEqual([[0], [0], []]);
  expect([full.seqs, late.seqs, well.seqs]).toEqual([[], [], [3]]);
  expect(told).toEqual({ left: 2, empty: 0 });
});

test('an interruption sends everybody back, to what was passed on', () => {
  const { group, change, join, told } = startGroup();
  const first = join();
  change('a', 'b');
  const second = join();
  group.interrupt(1);
  expect([first.behind, second.behind]).toEqual([[0], [1]]);
  expect(told).toEqual({ left: 2, empty: 1 });
  vi.advanceTimersByTime(1000);
  expect([first.seqs, second.seqs]).toEqual([[], []]);
});

test('what is in no memory is told with the rest', () => {
  const { group, change, join } = startGroup();
  const listener = join();
  change('a');
  group.take(new Removal('e-1', fields('gone', 1)));
  vi.advanceTimersByTime(100);
  expect(listener.sink.received.map(({ channel }) => channel)).toEqual(['a', 'gone']);
});

test('its position is told to who is quiet, not while something is to be told, and not to who cannot take it', () => {
  const { group, things, change, join } = startGroup();
  const [quiet, full] = [join(), join(0)];
  things.seq = 7;
  group.tellQuiet(noticeAt(7), 5);
  expect([quiet.seqs, full.seqs]).toEqual([[7], []]);
  // It was told something since.
  group.tellQuiet(noticeAt(7), 6);
  expect(quiet.seqs).toEqual([7]);
  change('a');
  group.tell(quiet, noticeAt(8));
  expect(quiet.seqs).toEqual([7]);
  vi.advanceTimersByTime(100);
  expect(quiet.seqs).toEqual([7, 8]);
});
