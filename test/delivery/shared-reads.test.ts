/** Reads of the log are shared by those who want the same, and nobody misses anything for it. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ChannelSet } from '../../src/contract/channels.ts';
import { eventSource } from '../../src/delivery/event-source.ts';
import { presentDeliveries } from '../../src/delivery/present.ts';
import { eventReader, SharedReads } from '../../src/delivery/shared-reads.ts';
import { Subscriber } from '../../src/delivery/subscriber.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { newEvent, newEvents } from '../helpers/events.ts';
import { startPipeline, TestSink } from '../helpers/pipeline.ts';
import { channelSetOf, contract, EVERYTHING, stranger } from '../helpers/trade.ts';

const never = new AbortController().signal;
const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

/** Reads everything from `after` on, page by page, as a subscriber does. */
async function readAll(reads: SharedReads, channels: ChannelSet, after: number, head: number): Promise<number[]> {
  const seqs: number[] = [];
  for (let cursor = after; ; ) {
    const page = await reads.read({ channels, types: undefined }, cursor, never);
    for (const { deliveries } of page.batches) for (const { seq } of deliveries) if (seq > cursor) seqs.push(seq);
    cursor = Math.max(cursor, page.endSeq);
    if (page.endSeq >= head) return seqs;
  }
}

test('a crowd at any positions costs about as many reads as there are pages, and everyone gets everything', async () => {
  await using log = openMemoryLog();
  await log.append(newEvents(5000, 'global'));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5000), { minLength: 500, maxLength: 1000 }), async (positions) => {
      using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
      const received = await Promise.all(positions.map((after) => readAll(reads, EVERYTHING, after, 5000)));
      for (const [index, seqs] of received.entries()) expect(seqs).toEqual(range((positions[index] as number) + 1, 5000));
      // Ten pages from wherever the first one stood to the end, then ten from the lowest, and one that finds the end.
      expect(reads.count).toBeLessThanOrEqual(22);
    }),
    { numRuns: 4 },
  );
});

test('who comes a little later to where others were reads what they read, and what was appended since', async () => {
  await using log = openMemoryLog();
  await log.append(newEvents(3000, 'global'));
  using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  await readAll(reads, EVERYTHING, 100, 3000);
  const { count } = reads;
  await log.append(newEvents(10, 'global'));
  for (const after of [100, 101, 777, 2999]) expect(await readAll(reads, EVERYTHING, after, 3010)).toEqual(range(after + 1, 3010));
  expect(reads.count).toBe(count + 1);
  // Nobody has been there yet.
  expect(await readAll(reads, EVERYTHING, 99, 3010)).toEqual(range(100, 3010));
  expect(reads.count).toBe(count + 2);
});

test('the pages that are kept are the latest, up to a bound', async () => {
  await using log = openMemoryLog();
  await log.append(newEvents(1000, 'global', { size: 20_000 }));
  using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  await readAll(reads, EVERYTHING, 0, 1000);
  const { count } = reads;
  await readAll(reads, EVERYTHING, 900, 1000);
  expect(reads.count).toBe(count);
  await readAll(reads, EVERYTHING, 0, 1000);
  expect(reads.count).toBeGreaterThan(count + 10);
});

test('those who want different channels get their own, a bounded number at a time', async () => {
  await using log = openMemoryLog();
  await log.append(range(1, 1000).map((n) => newEvent(`user.u${n % 100}`)));
  let inFlight = 0;
  let most = 0;
  const watched = new Proxy(log, {
    get: (target, name) => {
      if (name !== 'read') return target[name as keyof typeof target];
      return async (...args: Parameters<typeof target.read>) => {
        most = Math.max(most, ++inFlight);
        return target.read(...args).finally(() => {
          inFlight -= 1;
        });
      };
    },
  });
  using reads = new SharedReads(eventReader(watched, presentDeliveries(contract, log.positions)));
  const received = await Promise.all(range(0, 99).map((n) => readAll(reads, channelSetOf([`user.u${n}`]), 500, 1000)));
  for (const [n, seqs] of received.entries()) expect(seqs).toEqual(range(501, 1000).filter((seq) => seq % 100 === n));
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(8);
});

test('one who leaves is rejected with the reason, and the others are served', async () => {
  await using log = openMemoryLog();
  await log.append([newEvent('global')]);
  using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  const leaving = new AbortController();
  const gone = reads.read({ channels: EVERYTHING, types: undefined }, 0, leaving.signal);
  const staying = reads.read({ channels: EVERYTHING, types: undefined }, 0, never);
  leaving.abort(new Error('left'));
  await expect(gone).rejects.toThrow('left');
  expect((await staying).batches.flatMap(({ deliveries }) => deliveries).map(({ seq }) => seq)).toEqual([1]);
});

test('a log that cannot be read is told to everyone who waits, and is tried again for the next', async () => {
  const log = openMemoryLog();
  await log.append([newEvent('global')]);
  using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  await log[Symbol.asyncDispose]();
  const filter = { channels: EVERYTHING, types: undefined };
  const results = await Promise.allSettled([reads.read(filter, 0, never), reads.read(filter, 0, never)]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(reads.read(filter, 0, never)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(reads.count).toBe(2);
});

test('who is only a little behind after a restart needs no read at all', async () => {
  const log = openMemoryLog();
  await log.append(newEvents(6000, 'global'));
  await using pipeline = await startPipeline({ log });
  const sink = new TestSink();
  const stop = new AbortController();
  const ended = new Subscriber(eventSource(pipeline), { channels: EVERYTHING, types: undefined }, 2500, sink).run(stop.signal);
  expect(sink.seqs).toEqual(range(2501, 6000));
  expect(pipeline.reads.count).toBe(0);
  stop.abort();
  await ended;
});

test('pages without events take their part of the memory for pages, with the filters that they are of', async () => {
  await using pipeline = await startPipeline();
  await pipeline.append('global');
  const filterOf = (name: number) => ({
    channels: channelSetOf(Array.from({ length: 100 }, (_, index) => stranger.channel(String(name * 100 + index).padStart(64, '0')))),
  });
  await pipeline.reads.read(filterOf(0), 0, never);
  for (let name = 1; name < 1200; name += 1) await pipeline.reads.read(filterOf(name), 0, never);
  const before = pipeline.reads.count;
  await pipeline.reads.read(filterOf(1199), 0, never);
  expect(pipeline.reads.count).toBe(before);
  await pipeline.reads.read(filterOf(0), 0, never);
  expect(pipeline.reads.count).toBe(before + 1);
});

test('while something is published each page is followed by a rest, and otherwise by none', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  await using log = openMemoryLog();
  await log.append(newEvents(3000, 'global'));
  using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  const filter = { channels: EVERYTHING, types: undefined };
  await log.append([newEvent('global')]);
  const first = await reads.read(filter, 0, never);
  const read = reads.read(filter, first.endSeq, never);
  const turns = async () => {
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    return 'resting';
  };
  expect(await Promise.race([read, turns()])).toBe('resting');
  expect(vi.getTimerCount()).toBe(1);
  vi.runOnlyPendingTimers();
  const second = await read;
  expect(second.endSeq).toBeGreaterThan(first.endSeq);
  // Nothing was published meanwhile.
  await reads.read(filter, second.endSeq, never);
  expect(vi.getTimerCount()).toBe(0);
});

test('who waits while reading rests hears it when there is nothing more', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  await using log = openMemoryLog();
  await log.append(newEvents(3000, 'global'));
  const reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  const filter = { channels: EVERYTHING, types: undefined };
  await log.append([newEvent('global')]);
  const { endSeq } = await reads.read(filter, 0, never);
  const read = reads.read(filter, endSeq, never);
  expect(vi.getTimerCount()).toBe(1);
  reads[Symbol.dispose]();
  await expect(read).rejects.toThrow();
  expect(vi.getTimerCount()).toBe(0);
});

test('while a page is used the next is read', async () => {
  await using log = openMemoryLog();
  await log.append(newEvents(3000, 'global'));
  using reads = new SharedReads(eventReader(log, presentDeliveries(contract, log.positions)));
  const { endSeq } = await reads.read({ channels: EVERYTHING, types: undefined }, 0, never);
  await expect.poll(() => reads.count).toBe(2);
  await reads.read({ channels: EVERYTHING, types: undefined }, endSeq, never);
  // It was there; and the one behind it comes.
  await expect.poll(() => reads.count).toBe(3);
});
