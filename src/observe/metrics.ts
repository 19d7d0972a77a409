/** The meter behind `GET /metrics`, in Prometheus' text format. What is counted often is a plain number until it is asked for. */

import { getHeapStatistics } from 'node:v8';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ClientIdentity, Health, Transport } from '../contract/admin.ts';
import type { Contract } from '../contract/contract.ts';
import { GAP_REASONS } from '../contract/envelope.ts';
import type { LogBounds } from '../log/log.ts';
import type { StateFigures } from '../state/figures.ts';
import { contractHash } from '../version.ts';
import { countByClass } from './clients.ts';
import { SEVERITY } from './health.ts';
import { LatencyCounter } from './latencies.ts';
import type { Meter } from './meter.ts';
import { MinuteCount } from './minute-count.ts';
import type { Counted } from './rates.ts';

/** What is asked for when the metrics are. */
export interface MetricSources {
  readonly contract: Contract;
  readonly connections: () => Readonly<Record<Transport, number>>;
  /** What connected clients say that they are, one for each connection. */
  readonly clients: () => readonly ClientIdentity[];
  readonly channels: () => number;
  readonly subscriptions: () => number;
  readonly bounds: () => Promise<LogBounds>;
  readonly bytes: () => Promise<number>;
  readonly freeBytes: () => number | undefined;
  readonly health: () => Promise<Health>;
  readonly logReads: () => number;
  readonly tailRepairs: () => number;
  readonly brokerIsUp: () => boolean;
  readonly instances: () => number;
  readonly states: () => StateFigures;
}

/** Close codes that have a label of their own: the gateway's, and the common ones of clients. */
const CLOSE_CODES = new Set([1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1011, 1013, 4400, 4408, 4429, 4509]);
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const BYTES = [64, 256, 1024, 4096, 16_384, 65_536, 262_144];

export type MetricFigures = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

export interface Metrics extends Meter {
  /** Everything, as it is now. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** The same, to be put together with that of others. */
  figures(): Promise<MetricFigures>;
  /** What was counted since the start, and is connected now. */
  counted(): Counted;
  /** Failures that were no caller's fault, and calls, within the last minute. */
  lastMinute(): { readonly failures: number; readonly calls: number };
}

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
    new Counter<T>({ name, help, labelNames, registers });
  /** A counter whose value is kept elsewhere. */
  const collected = (name: string, help: string, total: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(total());
      },
    });
  /** @param aggregator what workers have together: the sum, unless they all tell of the same. */
  const gauge = (name: string, help: string, value: () => number, aggregator: 'sum' | 'min' | 'max' = 'sum') =>
    new Gauge({
      name,
      help,
      aggregator,
      registers,
      collect() {
        this.set(value());
      },
    });
  const histogram = <T extends string>(name: string, help: string, buckets: number[], labelNames: readonly T[] = []) =>
    new Histogram<T>({ name, help, buckets, labelNames, registers });

  const opened = counter('courier_connections_total', 'Connections that were accepted: WebSockets, and streams of server-sent events.', [
    'transport',
  ]);
  const closed = counter('courier_disconnections_total', 'Connections that have closed, by close code.', ['transport', 'code']);
  const authFailures = counter('courier_auth_failures_total', 'Tokens that were refused, or could not be checked.', ['reason']);
  const limitHits = counter('courier_rate_limit_hits_total', 'Calls and connections that were refused because of a limit.', ['limit']);
  const invalid = counter('courier_validation_failures_total', 'Inputs that were refused because of their form.', ['surface']);
  const errors = counter('courier_errors_total', "Failures that are no caller's fault.", ['kind']);
  const published = new Map([...sources.contract.services.keys()].map((service) => [service, 0]));
  new Counter({
    name: 'courier_messages_published_total',
    help: 'Events whose publishing was acknowledged, by the service whose they are.',
    labelNames: ['service'],
    registers,
    collect() {
      this.reset();
      for (const [service, count] of published) this.inc({ service }, count);
    },
  });
  const gaps = counter(
    'courier_gaps_total',
    'Gap notices that were given to subscribers, and readings of events that have no present form (unreadable).',
    ['reason'],
  );
  // A series that begins with its first count shows no increase.
  for (const reason of GAP_REASONS) gaps.inc({ reason }, 0);
  const publishSeconds = histogram(
    'courier_publish_request_duration_seconds',
    'Time from a publish call, once it was authenticated, to its answer, in seconds.',
    SECONDS,
    ['outcome'],
  );
  const deliverySeconds = histogram(
    'courier_message_delivery_duration_seconds',
    'Time from the commit of events to their hand-over to all live subscribers, in seconds; one observation a batch.',
    SECONDS,
  );
  const messageBytes = histogram(
    'courier_websocket_message_size_bytes',
    'Size of WebSocket messages in bytes; an outgoing one counts once however many clients share it.',
    BYTES,
    ['direction'],
  );
  // Labels are looked up once: that takes longer than the counting.
  const stored = publishSeconds.labels({ outcome: 'stored' });
  const notStored = publishSeconds.labels({ outcome: 'refused' });
  const bytesOf = { in: messageBytes.labels({ direction: 'in' }), out: messageBytes.labels({ direction: 'out' }) };
  const publishes = new LatencyCounter();
  const deliveries = new LatencyCounter();
  let delivered = 0;
  let failures = 0;
  let replayed = 0;
  let refused = 0;
  let catchingUp = 0;
  const failuresOfMinute = new MinuteCount();
  const callsOfMinute = new MinuteCount();
  collected('courier_messages_delivered_total', 'Copies of events that were handed to subscribers.', () => delivered);
  collected('courier_replayed_events_total', 'Copies of events that were handed to subscribers while they caught up.', () => replayed);
  collected('courier_log_reads_total', 'Pages that were read from the log for subscribers.', sources.logReads);
  collected('courier_tail_repairs_total', 'Times that the tail read from the log what it had not been told.', sources.tailRepairs);
  gauge('courier_broker_up', 'Whether the broker can be used for everything: 1, or 0.', () => (sources.brokerIsUp() ? 1 : 0), 'min');
  gauge('courier_instances', 'Instances that share the log and were last seen, this one among them.', sources.instances, 'max');
  gauge('courier_active_channels', 'Single channels and families that somebody subscribes to.', sources.channels);
  gauge('courier_active_subscriptions', 'Subscriptions that are live.', sources.subscriptions);
  gauge('courier_subscribers_catching_up', 'Subscriptions that read the log.', () => catchingUp);
  if (sources.contract.entities.size > 0) stateMetrics(sources, { collected, gauge, registers });
  new Gauge({
    name: 'courier_active_connections',
    help: 'Connections that are open.',
    labelNames: ['transport'],
    registers,
    collect() {
      for (const [transport, count] of Object.entries(sources.connections())) this.set({ transport }, count);
    },
  });
  new Gauge({
    name: 'courier_client_connections',
    help: 'Connections that are authenticated, by client and by its contract beside that of the gateway.',
    labelNames: ['client', 'contract'],
    registers,
    collect() {
      for (const [client, contracts] of Object.entries(countByClass(sources.clients(), contractHash(sources.contract)))) {
        for (const [contract, count] of Object.entries(contracts)) this.set({ client, contract }, count);
      }
    },
  });
  new Gauge({
    name: 'courier_log_position',
    aggregator: 'max',
    help: 'Numbers in the log: of the last event, and of the first that is retained.',
    labelNames: ['which'],
    registers,
    async collect() {
      const bounds = await sources.bounds().catch(() => undefined);
      if (bounds === undefined) return;
      this.set({ which: 'head' }, bounds.head);
      this.set({ which: 'first_retained' }, bounds.first);
    },
  });
  new Gauge({
    name: 'courier_log_size_bytes',
    aggregator: 'max',
    help: 'What the log takes in its storage, in bytes.',
    registers,
    async collect() {
      const bytes = await sources.bytes().catch(() => undefined);
      if (bytes !== undefined) this.set(bytes);
    },
  });
  new Gauge({
    name: 'courier_log_free_bytes',
    aggregator: 'min',
    help: 'What is left for the log on its disk, in bytes; absent where that is not known.',
    registers,
    collect() {
      const bytes = sources.freeBytes();
      if (bytes === undefined) this.remove();
      else this.set(bytes);
    },
  });
  gauge('courier_heap_limit_bytes', 'What the heap may grow to, in bytes.', () => getHeapStatistics().heap_size_limit);
  new Gauge({
    name: 'courier_health_status',
    aggregator: 'max',
    help: 'How each component of the health is: 0 healthy, 1 degraded, 2 unhealthy, 3 shutting down.',
    labelNames: ['component'],
    registers,
    async collect() {
      for (const [component, { status }] of Object.entries((await sources.health()).components))
        this.set({ component }, SEVERITY.indexOf(status));
    },
  });

  let made: Promise<string> | undefined;
  return {
    // Callers who come while it is made share it: they need no token, and it asks the log.
    metrics: async () => {
      made ??= registry.metrics().finally(() => {
        made = undefined;
      });
      return { contentType: registry.contentType, text: await made };
    },
    figures: () => registry.getMetricsAsJSON(),
    connectionOpened: (transport) => opened.inc({ transport }),
    connectionClosed: (transport, code) => closed.inc({ transport, code: CLOSE_CODES.has(code) ? String(code) : 'other' }),
    authFailed: (reason) => {
      authFailures.inc({ reason });
      refused += 1;
    },
    called: () => callsOfMinute.add(),
    limited: (limit) => {
      limitHits.inc({ limit });
      refused += 1;
    },
    invalid: (surface) => {
      invalid.inc({ surface });
      refused += 1;
    },
    published: (types, seconds) => {
      for (const type of types) {
        const service = sources.contract.serviceOf(type) ?? '';
        published.set(service, (published.get(service) ?? 0) + 1);
      }
      stored.observe(seconds);
      publishes.observe(seconds);
    },
    publishFailed: (seconds) => notStored.observe(seconds),
    delivered: (copies) => {
      delivered += copies;
    },
    deliveryTook: (seconds) => {
      deliverySeconds.observe(seconds);
      deliveries.observe(seconds);
    },
    replayed: (events) => {
      replayed += events;
      delivered += events;
    },
    gap: (reason) => gaps.inc({ reason }),
    catchingUp: (change) => {
      catchingUp += change;
    },
    message: (direction, bytes) => bytesOf[direction].observe(bytes),
    failed: (kind) => {
      errors.inc({ kind });
      failures += 1;
      failuresOfMinute.add();
    },
    counted: () => {
      const { trpc, plain, sse } = sources.connections();
      return {
        totals: { published: [...published.values()].reduce((sum, count) => sum + count, 0), delivered, replayed, failures, refused },
        publishes: publishes.counts,
        deliveries: deliveries.counts,
        connections: trpc + plain + sse,
        subscriptions: sources.subscriptions(),
      };
    },
    lastMinute: () => ({ failures: failuresOfMinute.total, calls: callsOfMinute.total }),
  };
}

interface StateMetricsOptions {
  readonly collected: (name: string, help: string, total: () => number) => unknown;
  readonly gauge: (name: string, help: string, value: () => number, aggregator?: 'sum' | 'max') => unknown;
  readonly registers: Registry[];
}

/** Of the states of entities. */
function stateMetrics({ states }: MetricSources, { collected, gauge, registers }: StateMetricsOptions): void {
  collected('courier_state_changes_total', 'Changes of states that were folded here.', () => states().changed);
  collected('courier_state_items_total', 'Copies of items that were handed to watches.', () => states().delivered);
  collected('courier_state_snapshots_total', 'Snapshots of the state that watches were given whole.', () => states().snapshots);
  collected('courier_state_failures_total', 'Events on which a reducer failed, and which changed nothing.', () => states().failed);
  gauge('courier_state_watches', 'Watches of the state that are live.', () => states().watches);
  gauge('courier_state_behind_events', 'Events that were not folded yet, where this process folds.', () => states().behind ?? 0, 'max');
  gauge('courier_state_unstored_events', 'Events since the last checkpoint of the states.', () => states().unstored, 'max');
  gauge('courier_state_in_memory', 'States in memory.', () => states().inMemory);
  new Gauge({
    name: 'courier_state_building_ratio',
    aggregator: 'max',
    help: 'How much of the log has been made into states, by entity, where that is being done.',
    labelNames: ['entity'],
    registers,
    collect() {
      this.reset();
      for (const [entity, share] of Object.entries(states().building)) this.set({ entity }, share);
    },
  });
  new Gauge({
    name: 'courier_state_entities',
    aggregator: 'max',
    help: 'Things whose state is kept, by entity, and whether they go on; counted once a minute by who writes them.',
    labelNames: ['entity', 'open'],
    registers,
    collect() {
      for (const [entity, { open, closed }] of Object.entries(states().things)) {
        this.set({ entity, open: 'true' }, open);
        this.set({ entity, open: 'false' }, closed);
      }
    },
  });
}
