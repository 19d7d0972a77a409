/**
 * A group with a pace: nobody is told more often, each thing once as it is then, only who may have a thing that it is gone, and nobody
 * misses what came while it was removed.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Batch, Delivery } from '../../src/delivery/batch.ts';
import type { LiveSubscriber } from '../../src/delivery/groups.ts';
import { PacedGroup } from '../../src/delivery/paced-group.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { StateDelivery, StateRemoval, type StateView } from '../../src/state/state-delivery.ts';
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

  /** Names of things as they came, with a minus where they are gone. */
  get told(): string[] {
    return this.sink.received.map(({ channel, isRemoval }) => (isRemoval ? `-${channel}` : channel));
  }
}

const none: StateView = { isOpen: false, state: undefined };
const fields = (name: string, seq: number) => ({ seq, channel: name, family: 'f', type: 't', body: '{}' });
const noticeAt = (seq: number) => new Batch([new Delivery(`e-${seq}`, { ...fields('courier', seq), family: undefined })]);

/** A group of those who are told of open things. */
function startGroup({ maxPerSecond = 10, batchUnits = 1000, bodyUnits = 2 } = {}) {
  const log = { seq: 0 };
  const body = `{${' '.repeat(bodyUnits - 2)}}`;
  const views = new Map<string, StateView>();
  const told = { left: 0, empty: 0 };
  const filter = { channels: channelSetOf(['**']), states: { open: true } };
  const group = new PacedGroup(filter, {
    maxPerSecond,
    batchUnits,
    meter: noMeter,
    onLeft: () => {
      told.left += 1;
    },
    onEmpty: () => {
      told.empty += 1;
    },
  });
  const take = (delivery: Delivery) => {
    const selected = delivery.under(filter);
    if (selected !== undefined) group.take(selected);
  };
  const positions = () => ({ id: `e-${log.seq}`, position: `e-${log.seq}` });
  const name = (thing: string) => ({ seq: log.seq, channel: thing, family: 'f', entity: 't', key: 'k' });
  /** All that one event changes. */
  const become = (view: StateView, ...things: string[]) => {
    log.seq += 1;
    for (const thing of things) {
      take(new StateDelivery(positions(), name(thing), body, view, views.get(thing) ?? none));
      views.set(thing, view);
    }
  };
  const each =
    (view: StateView) =>
    (...things: string[]) => {
      for (const thing of things) become(view, thing);
    };
  return {
    group,
    log,
    told,
    become,
    change: each({ isOpen: true, state: {} }),
    close: each({ isOpen: false, state: {} }),
    remove: each(none),
    forget: (thing: string) => {
      views.delete(thing);
      take(new StateRemoval(positions(), name(thing), true));
    },
    join: (room?: number) => {
      const listener = new Listener(room);
      group.join(listener, log.seq);
      return listener;
    },
    leave: (listener: Listener) => group.leave(listener, log.seq),
  };
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
  const { group, change, join, leave, told } = startGroup();
  const first = join();
  change('a');
  const second = join();
  change('b');
  expect([leave(first), leave(first)]).toEqual([0, undefined]);
  vi.advanceTimersByTime(100);
  expect(first.seqs).toEqual([]);
  expect(second.seqs).toEqual([2]);
  expect([group.size, told]).toEqual([1, { left: 1, empty: 0 }]);
  expect(leave(join())).toBe(2);
  change('c');
  expect(leave(second)).toBe(2);
  expect([group.size, told]).toEqual([0, { left: 3, empty: 1 }]);
  vi.advanceTimersByTime(1000);
  expect(second.seqs).toEqual([2]);
  expect(vi.getTimerCount()).toBe(0);
});

test('who is full is sent back to just before the first that it was not handed', () => {
  const { log, change, close, join, told } = startGroup({ batchUnits: 1 });
  const [full, well] = [join(0), join()];
  change('a');
  const later = join(0);
  // Nobody is told of these.
  log.seq = 7;
  close('b', 'c');
  change('d');
  vi.advanceTimersByTime(100);
  expect([full.behind, later.behind, well.behind]).toEqual([[0], [1], []]);
  expect([full.seqs, later.seqs, well.seqs]).toEqual([[], [], [1, 10]]);
  expect(told).toEqual({ left: 2, empty: 0 });
  const short = join(1);
  log.seq = 1000;
  change('d', 'e');
  well.sink.makeRoom(0);
  vi.advanceTimersByTime(100);
  expect([well.behind, short.behind, short.seqs]).toEqual([[1000], [1001], [1001]]);
  expect(told).toEqual({ left: 4, empty: 1 });
});

test('who has everything is where the group is, however long ago it was told something', () => {
  const { log, change, join, leave } = startGroup();
  const listener = join();
  change('a');
  vi.advanceTimersByTime(100);
  log.seq = 1000;
  const second = join();
  expect(leave(listener)).toBe(1000);
  log.seq = 2000;
  change('a');
  expect(leave(second)).toBe(2000);
});

test('who is full and is owed nothing stays', () => {
  const { change, join } = startGroup();
  join();
  change('a');
  const full = join(0);
  vi.advanceTimersByTime(100);
  full.sink.makeRoom(1);
  change('b');
  vi.advanceTimersByTime(100);
  expect([full.behind, full.told]).toEqual([[], ['b']]);
});

test('that a thing is gone is told to who had it, once', () => {
  const { change, close, remove, join } = startGroup();
  const listener = join();
  close('never');
  change('closed', 'removed', 'back', 'kept');
  vi.advanceTimersByTime(100);
  close('closed', 'back', 'never');
  remove('removed');
  change('passing', 'back');
  close('passing', 'closed');
  change('removed', 'passing');
  remove('removed', 'passing');
  vi.advanceTimersByTime(100);
  expect(listener.told).toEqual(['closed', 'removed', 'back', 'kept', '-closed', 'back', '-removed']);
  change('closed');
  close('closed');
  vi.advanceTimersByTime(100);
  expect(listener.told).toHaveLength(7);
});

test('who joins in between is told that a thing is gone where it was there then', () => {
  const { group, change, close, join } = startGroup();
  const first = join();
  const listeners = [first];
  // After each of these somebody joins.
  for (const step of [change, close, change, change, close, change, close]) {
    step('a');
    listeners.push(join());
  }
  change('b');
  vi.advanceTimersByTime(100);
  const [atFirst, ...others] = listeners.map(({ told }) => told.join(' '));
  expect(atFirst).toBe('b');
  expect(others).toEqual(['-a b', 'b', '-a b', '-a b', 'b', '-a b', 'b']);
  // They are together from now on.
  change('a');
  vi.advanceTimersByTime(100);
  expect(new Set(listeners.map(({ sink }) => sink.received.at(-1))).size).toBe(1);
  expect([group.size, first.told.at(-1)]).toEqual([8, 'a']);
});

test('what was forgotten is told before the same thing comes again, to those who were there', () => {
  const { change, forget, join } = startGroup();
  const first = join();
  change('a', 'b');
  vi.advanceTimersByTime(100);
  change('a');
  forget('a');
  const second = join();
  change('a', 'b');
  forget('b');
  vi.advanceTimersByTime(100);
  expect(first.told).toEqual(['a', 'b', '-a', 'a', '-b']);
  expect(second.told).toEqual(['a', '-b']);
});

test('events are told one by one', () => {
  const { group, join } = startGroup();
  const listener = join();
  for (const seq of [1, 2, 3]) group.take(new Delivery(`e-${seq}`, fields('a', seq)));
  vi.advanceTimersByTime(100);
  expect(listener.seqs).toEqual([1, 2, 3]);
});

test('with too many things it is told before its time, and what one event changes stays together', () => {
  const { become, change, join } = startGroup();
  const listener = join();
  for (let n = 0; n < 9998; n += 1) change('same', `t${n}`);
  expect(listener.told).toEqual([]);
  become({ isOpen: true, state: {} }, 'x', 'y', 'z');
  change('last');
  expect(listener.told.slice(-3)).toEqual(['x', 'y', 'z']);
  expect(listener.told).toHaveLength(10_002);
  vi.advanceTimersByTime(99);
  expect(listener.told).toHaveLength(10_002);
  vi.advanceTimersByTime(1);
  expect(listener.told.at(-1)).toBe('last');
});

test('with things that take too much memory it is told before its time, too', () => {
  const { change, join } = startGroup({ bodyUnits: 1024 * 1024 });
  const listener = join();
  for (let n = 0; n < 3; n += 1) change('same', `t${n}`);
  expect(listener.told).toEqual([]);
  change('last');
  expect(listener.told).toHaveLength(4);
});

test('where everybody is full before its time, nothing is left', () => {
  const { change, join, told } = startGroup();
  const [one, other] = [join(0), join(0)];
  for (let n = 0; n < 10_001; n += 1) change(`t${n}`);
  expect([one.behind, other.behind, told]).toEqual([[0], [0], { left: 2, empty: 1 }]);
  expect(vi.getTimerCount()).toBe(0);
});

test('those who are told the same share its bytes', () => {
  const { change, close, join } = startGroup();
  const told = new Map<Listener, Batch[]>();
  const listen = () => {
    const listener = join();
    told.set(listener, []);
    vi.spyOn(listener.sink, 'deliver').mockImplementation((batch) => told.get(listener)?.push(batch));
  };
  listen();
  listen();
  change('a');
  // Only who joins now has it.
  listen();
  listen();
  close('a');
  change('b');
  vi.advanceTimersByTime(100);
  const [one, same, other, otherSame] = [...told.values()].map(([batch]) => batch);
  expect([one?.deliveries.length, other?.deliveries.length]).toEqual([1, 2]);
  expect([one === same, other === otherSame]).toEqual([true, true]);
});

test('what comes and goes takes no place', () => {
  const { change, close, join } = startGroup();
  const listener = join();
  for (let n = 0; n < 20_000; n += 1) {
    change(`t${n}`);
    close(`t${n}`);
  }
  change('a');
  expect(listener.told).toEqual([]);
  vi.advanceTimersByTime(100);
  expect(listener.told).toEqual(['a']);
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

test('its position is told to who is quiet, not while something is to be told, and not to who cannot take it', () => {
  const { group, log, change, join } = startGroup();
  const [quiet, full] = [join(), join(0)];
  log.seq = 7;
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
