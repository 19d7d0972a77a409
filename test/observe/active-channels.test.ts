/** What is remembered of channels: how much comes, what came last, and no more channels than there is room for. */
import { expect, test } from 'vitest';
import { Delivery } from '../../src/delivery/batch.ts';
import { ActiveChannels } from '../../src/observe/active-channels.ts';

let now = 0;

function note(activity: ActiveChannels, channel: string, seq: number): void {
  activity.note(new Delivery(`e-${seq}`, { seq, channel, family: 'backtest', type: 'backtest.progress', body: '{}' }));
}

test('a steady channel has its rate, which fades when nothing comes', () => {
  const activity = new ActiveChannels(() => now);
  for (let seq = 1; seq <= 3000; seq += 1) {
    now += 100;
    note(activity, 'backtest.b1', seq);
  }
  expect(activity.of('backtest.b1').rate).toBeCloseTo(10, 0);
  expect(activity.of('backtest.b1').last_event).toEqual({ id: 'e-3000', type: 'backtest.progress', at: expect.any(Date) });
  now += 60_000;
  expect(activity.of('backtest.b1').rate).toBeCloseTo(10 / Math.E, 0);
  now += 3_600_000;
  expect(activity.of('backtest.b1').rate).toBe(0);
});

test('the channels on which nothing came for the longest are forgotten', () => {
  const activity = new ActiveChannels(() => now);
  for (let seq = 1; seq <= 1000; seq += 1) note(activity, `backtest.b${seq}`, seq);
  note(activity, 'backtest.b1', 1001);
  note(activity, 'backtest.new', 1002);
  expect(activity.channels).toHaveLength(1000);
  expect(activity.channels.slice(0, 2)).toEqual(['backtest.new', 'backtest.b1']);
  expect(activity.of('backtest.b2')).toEqual({ rate: 0, last_event: null });
  expect(activity.of('backtest.b1').last_event?.id).toBe('e-1001');
});
