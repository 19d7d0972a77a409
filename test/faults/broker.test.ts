/** A broker that loses, repeats and reorders: every event still reaches a subscriber once, in order. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventSource } from '../../src/delivery/event-source.ts';
import { Subscriber } from '../../src/delivery/subscriber.ts';
import type { StoredEvent } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { newEvent } from '../helpers/events.ts';
import { EVERYTHING } from '../helpers/lumiere.ts';
import { startPipeline, TestSink } from '../helpers/pipeline.ts';
import { EXACT, Ledger, LONG, report, seqOf } from './ledger.ts';

const EVENTS = LONG ? 200_000 : 20_000;
const SHARE = 0.1;

test('messages dropped, repeated and reordered', { timeout: 120_000 }, async ({ task }) => {
  const [seed] = fc.sample(fc.integer({ min: 1, max: 2 ** 31 - 1 }), 1) as [number];
  const chance = random(seed);
  const late: StoredEvent[][] = [];
  const faults = { dropped: 0, repeated: 0, delayed: 0 };
  const log = openMemoryLog();
  await using pipeline = await startPipeline({
    log,
    reorderWaitMs: 1,
    headCheckMs: 20,
    deliver: (events, offer) => {
      for (const event of events) {
        const fate = chance();
        if (fate < SHARE) faults.dropped += 1;
        else if (fate < 2 * SHARE) {
          faults.delayed += 1;
          late.push([event]);
        } else offer([event]);
        if (fate > 1 - SHARE) {
          faults.repeated += 1;
          offer([event]);
        }
      }
      if (chance() < 0.5) for (const batch of late.splice(0)) offer(batch);
    },
  });
  const sink = new TestSink();
  const stop = new AbortController();
  const ended = new Subscriber(eventSource(pipeline), { channels: EVERYTHING, types: undefined }, 0, sink).run(stop.signal);
  const ledger = new Ledger();
  while (ledger.size < EVENTS) {
    const events = Array.from({ length: 100 }, (_, index) => newEvent('global', { type: `t${ledger.size + index}` }));
    for (const { event } of await log.append(events)) ledger.acknowledge(log.positions.at(event.seq), event.type);
    // Brokers deliver in turns of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await sink.until(() => sink.received.at(-1)?.seq === EVENTS);
  stop.abort();
  await ended;
  const received = sink.received.filter(({ family }) => family !== undefined).map(({ id, type }) => ({ id, text: type }));
  const stored = await everything(log);
  const figures = ledger.compare(stored, received);
  report(task, 8, 'broker messages dropped, repeated and reordered, 10 % each', { ...figures, ...faults, seed });
  expect(figures, `seed ${seed}`).toMatchObject({ ...EXACT, unknown: 0, received: EVENTS });
  expect(received.map(seqOf)).toEqual(Array.from({ length: EVENTS }, (_, index) => index + 1));
});

async function everything(log: ReturnType<typeof openMemoryLog>) {
  const items: { id: string; text: string }[] = [];
  for (let afterSeq = 0; ; ) {
    const page = await log.read({ afterSeq, channels: EVERYTHING, limit: 1000 }, new AbortController().signal);
    for (const { seq, type } of page.events) items.push({ id: log.positions.at(seq), text: type });
    if (page.endSeq >= page.head) return items;
    afterSeq = page.endSeq;
  }
}

/** Numbers from 0 to 1 that a seed decides (Park and Miller's generator). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
