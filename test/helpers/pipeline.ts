/** A pipeline on a memory log, and a sink whose capacity a test decides. */
import type { Batch, Delivery, Sink } from '../../src/delivery/batch.ts';
import { Hub } from '../../src/delivery/hub.ts';
import type { Pipeline } from '../../src/delivery/pipeline.ts';
import { presentDeliveries } from '../../src/delivery/present.ts';
import { eventReader, SharedReads } from '../../src/delivery/shared-reads.ts';
import { Tail, type TailOptions } from '../../src/delivery/tail.ts';
import type { EventLog, StoredEvent } from '../../src/log/log.ts';
import { openMemoryLog } from '../../src/log/memory.ts';
import { noMeter } from '../../src/observe/meter.ts';
import { noPublications } from '../../src/observe/publications.ts';
import { noTracing } from '../../src/observe/tracing.ts';
import { noUsage } from '../../src/usage/usage.ts';
import { newEvents } from './events.ts';
import { contract } from './trade.ts';

export interface TestPipeline extends Pipeline, AsyncDisposable {
  append(channel: string, count?: number, type?: string): Promise<void>;
}

/** `deliver` stands between the log's commits and the tail, where a broker would lose and reorder. */
export async function startPipeline(
  options: TailOptions & {
    log?: EventLog;
    /** As in Hub; 1 puts each event into a batch of its own. */
    batchUnits?: number;
    deliver?: (events: readonly StoredEvent[], offer: (events: readonly StoredEvent[]) => void) => void;
  } = {},
): Promise<TestPipeline> {
  const { log = openMemoryLog(), batchUnits = 1, deliver = (events, offer) => offer(events), ...tailOptions } = options;
  const hub = new Hub({ batchUnits });
  const deliveryOf = presentDeliveries(contract, log.positions);
  const tail = await Tail.start(log, hub, deliveryOf, tailOptions);
  log.onCommit((events) => deliver(events, (batch) => tail.offer(batch)));
  const reads = new SharedReads(eventReader(log, deliveryOf), { batchUnits });
  return {
    contract,
    log,
    deliveryOf,
    reads,
    hub,
    own: new Hub(),
    tail,
    draining: new AbortController().signal,
    meter: noMeter,
    publications: noPublications,
    tracing: noTracing,
    usage: noUsage,
    append: async (channel, count = 1, type = 'a') => {
      await log.append(newEvents(count, channel, { type }));
    },
    [Symbol.asyncDispose]: async () => {
      tail[Symbol.dispose]();
      reads[Symbol.dispose]();
      await log[Symbol.asyncDispose]();
    },
  };
}

/** Takes deliveries until it is full; room is made by hand. */
export class TestSink implements Sink {
  readonly received: Delivery[] = [];
  #room: number;
  #changed: (() => void)[] = [];
  #awaited = 0;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.#room = room;
  }

  get writable(): boolean {
    return this.#room > 0;
  }

  deliver({ deliveries }: Batch): void {
    this.received.push(...deliveries);
    this.#room -= deliveries.length;
    this.#notify();
  }

  async drained(signal: AbortSignal): Promise<void> {
    this.#awaited += 1;
    this.#notify();
    while (!this.writable) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  makeRoom(room: number): void {
    this.#room = room;
    this.#notify();
  }

  /** Numbers of the events received; notices left out. */
  get seqs(): number[] {
    return this.received.filter(({ family }) => family !== undefined).map(({ seq }) => seq);
  }

  get notices(): string[] {
    return this.received.filter(({ family }) => family === undefined).map(({ type }) => type);
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  /** Resolves once the subscriber has waited for room this many times. */
  untilFull(times = 1): Promise<void> {
    return this.until(() => this.#awaited >= times);
  }

  #notify(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }
}
