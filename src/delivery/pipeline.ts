/**
 * What publishing and subscribing need of one instance: its log, the tail that puts what is appended anywhere in order, the
 * hub that finds the subscribers, and the reads that subscribers share while they catch up.
 */
import type { Broker } from '../broker/broker.ts';
import type { Contract } from '../contract/contract.ts';
import type { EventLog } from '../log/log.ts';
import type { Meter } from '../observe/meter.ts';
import type { Publications } from '../observe/publications.ts';
import type { Tracing } from '../observe/tracing.ts';
import type { Usage } from '../usage/usage.ts';
import { Hub } from './hub.ts';
import { type DeliveryOf, type PresentOptions, presentDeliveries } from './present.ts';
import { eventReader, SharedReads } from './shared-reads.ts';
import { Tail, type TailHub } from './tail.ts';

export interface Pipeline {
  readonly contract: Contract;
  readonly log: EventLog;
  readonly deliveryOf: DeliveryOf;
  readonly reads: SharedReads;
  readonly tail: Tail;
  readonly hub: Hub;
  /** For what the gateway itself makes of events: nobody's subscriptions, and not counted. */
  readonly own: Hub;
  /** Aborted when the gateway begins to drain: nothing more is published here. */
  readonly draining: AbortSignal;
  readonly meter: Meter;
  readonly publications: Publications;
  readonly tracing: Tracing;
  readonly usage: Usage;
}

export interface PipelineOptions extends Pick<Pipeline, 'contract' | 'log' | 'draining' | 'meter' | 'publications' | 'tracing' | 'usage'> {
  readonly broker: Broker;
  readonly retentionMs: number;
  /** Told when the log cannot be read; the tail tries again. */
  readonly onError: (error: unknown) => void;
  readonly present: PresentOptions;
}

/** A tenth of retention: a quiet subscriber's position is never older when it comes back. */
const QUIET_PART = 1 / 10;

/**
 * Connects the parts: what this instance appends goes to its tail and to the broker, what others append comes from the
 * broker to the tail.
 *
 * @throws what the log throws.
 */
export async function openPipeline(options: PipelineOptions): Promise<Pipeline & Disposable> {
  const { contract, log, broker, draining, meter, publications, tracing, usage, retentionMs, onError, present } = options;
  using stack = new DisposableStack();
  const hub = new Hub({ meter, tracing });
  const deliveryOf = presentDeliveries(contract, log.positions, {
    ...present,
    onUnreadable: (event, problem) => {
      meter.gap('unreadable');
      present.onUnreadable?.(event, problem);
    },
  });
  const own = new Hub();
  const hubs = contract.entities.size === 0 ? hub : hubsTogether([own, hub]);
  const tail = stack.use(await Tail.start(log, hubs, deliveryOf, { quietMs: retentionMs * QUIET_PART, onError }));
  const reads = stack.use(new SharedReads(eventReader(log, deliveryOf)));
  // Until the log is closed: what is stored late is told to the other instances all the same.
  log.onCommit((events) => {
    tail.offer(events);
    broker.publish(events);
  });
  stack.defer(broker.listen({ onEvents: (events) => tail.offer(events), onHint: () => tail.checkHead() }));
  const resources = stack.move();
  const watchers = { meter, publications, tracing, usage };
  return { contract, log, deliveryOf, reads, tail, hub, own, draining, ...watchers, [Symbol.dispose]: () => resources.dispose() };
}

/** What the tail passes on goes to each of them, in this order. */
function hubsTogether(hubs: readonly Hub[]): TailHub {
  return {
    dispatch: (delivery) => {
      for (const hub of hubs) hub.dispatch(delivery);
    },
    tellQuiet: (makeNotice, seq) => {
      for (const hub of hubs) hub.tellQuiet(makeNotice, seq);
    },
    interrupt: (seq) => {
      for (const hub of hubs) hub.interrupt(seq);
    },
  };
}
