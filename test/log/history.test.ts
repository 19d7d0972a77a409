/** Pages of history over a log whose oldest events are gone, and with filters that leave most of it out. */
import { describe, expect, test } from 'vitest';
import { principalOf } from '../../src/auth/principal.ts';
import { presentDeliveries } from '../../src/delivery/present.ts';
import { type HistoryOrder, type HistoryRequest, history } from '../../src/history.ts';
import type { EventLog } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { noUsage } from '../../src/usage/usage.ts';
import { newEvent, newEvents } from '../helpers/events.ts';
import { contract } from '../helpers/lumiere.ts';

const reader = principalOf(contract, 'reader', 'service', { subscribe: [], publish: [] }, Number.MAX_SAFE_INTEGER);
const connection = { principal: reader, identity: undefined };

/** As much of a pipeline as reading a page takes. */
function pipelineOf(log: EventLog) {
  return { contract, log, deliveryOf: presentDeliveries(contract, log.positions), usage: noUsage };
}

async function read(log: EventLog, request: Omit<HistoryRequest, 'channels'>) {
  const { events, ...rest } = await history(pipelineOf(log), connection, { channels: ['**'], ...request }, new AbortController().signal);
  return { ids: events.map(({ json }) => JSON.parse(json).id as string), ...rest };
}

/** Ten events, of which the first four are gone. */
async function trimmedLog(): Promise<EventLog> {
  const log = openMemoryLog({ now: () => 0 });
  for (let n = 0; n < 10; n += 1) await log.append([newEvent('global')]);
  await log.trim(-1, 4);
  return log;
}

describe('newest first', () => {
  test('the history ends with the oldest event that is retained, which is no gap', async () => {
    await using log = await trimmedLog();
    const all = await read(log, { order: 'newest' });
    expect(all).toEqual({
      ids: [10, 9, 8, 7, 6, 5].map((seq) => log.positions.at(seq)),
      next: log.positions.at(5),
      has_more: false,
      gap: null,
    });
    for (const seq of [5, 3, 0]) {
      const before = log.positions.at(seq);
      expect(await read(log, { order: 'newest', before })).toEqual({ ids: [], next: before, has_more: false, gap: null });
    }
  });

  test('a log of which nothing is retained has a position to go on from', async () => {
    await using log = await trimmedLog();
    await log.trim(-1, 100);
    const page = { ids: [], next: log.positions.at(10), has_more: false, gap: null };
    expect(await read(log, { order: 'newest' })).toEqual(page);
    expect(await read(log, { order: 'newest', before: page.next })).toEqual(page);
  });
});

test.each<[HistoryOrder, number, number]>([
  ['oldest', 10_000, 20_002],
  ['newest', 10_003, 1],
])('%s first, a page whose filter matches nothing ends after 10,000 rows, and the next ones go on there', async (order, stop, match) => {
  await using log = openMemoryLog();
  const rest = newEvents(20_001, 'global');
  const rare = newEvent('global', { type: 'backtest.started' });
  await log.append(order === 'oldest' ? [...rest, rare] : [rare, ...rest]);
  const types = ['backtest.started'];
  const first = await read(log, { order, types });
  expect(first).toEqual({ ids: [], next: log.positions.at(stop), has_more: true, gap: null });
  const pages = [first];
  for (let page = first; page.has_more; pages.push(page))
    page = await read(log, { order, types, [order === 'oldest' ? 'after' : 'before']: page.next });
  expect(pages.flatMap(({ ids }) => ids)).toEqual([log.positions.at(match)]);
  expect(pages).toHaveLength(3);
});
