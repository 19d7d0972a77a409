/**
 * The metrics of all workers as those of one gateway. What a worker has counted goes on counting when it is gone: a sum that fell would
 * be taken for a restart. What only tells of one process stands by its worker.
 */
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Health } from '../contract/admin.ts';
import { SEVERITY } from '../observe/health.ts';
import type { FailureKind } from '../observe/meter.ts';
import type { MetricFigures } from '../observe/metrics.ts';

/** How long a worker may take to tell its figures, in ms; then its last ones stand for them. */
const ANSWER_MS = 1000;
/** What has no sum: figures of Node.js and the operating system, and of channels, which several workers may have subscribers of. */
const BY_WORKER = /^(process_|nodejs_|courier_heap_limit_bytes$|courier_active_channels$)/;

const HEALTH = 'courier_health_status';
/** The label of its own figures. */
const SUPERVISOR = 'supervisor';

interface Source {
  readonly worker: number;
  readonly ask: () => Promise<MetricFigures>;
  last: MetricFigures;
}

export interface MetricsMember {
  /** It was told without being asked. */
  note(figures: MetricFigures): void;
  /** It is gone: what it was told last goes on counting. */
  leave(): void;
}

export interface MachineMetricsSources {
  /** How many workers serve. */
  readonly running: () => number;
  readonly health: () => Promise<Health>;
}

export class MachineMetrics {
  readonly #registry = new Registry();
  readonly #restarts: Counter;
  readonly #errors: Counter<'kind'>;
  readonly #sources = new Set<Source>();
  /** What those have counted that are gone, as far as it was told. */
  #gone: Promise<MetricFigures> = Promise.resolve([]);
  #made: Promise<string> | undefined;

  constructor({ running, health }: MachineMetricsSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: 'courier_workers',
      help: 'Workers of this instance that serve.',
      registers,
      collect() {
        this.set(running());
      },
    });
    // Of all together, which is not the worst of them.
    new Gauge({
      name: HEALTH,
      help: 'How each component of the health is: 0 healthy, 1 degraded, 2 unhealthy, 3 shutting down.',
      labelNames: ['component'],
      registers,
      async collect() {
        // Where no worker answers it is as it was.
        const told = await health().catch(() => undefined);
        for (const [component, { status }] of Object.entries(told?.components ?? {})) this.set({ component }, SEVERITY.indexOf(status));
      },
    });
    this.#restarts = new Counter({
      name: 'courier_worker_restarts_total',
      help: 'Workers that were started in the place of one that had ended.',
      registers,
    });
    this.#errors = new Counter({
      name: 'courier_errors_total',
      help: "Failures that are no caller's fault.",
      labelNames: ['kind'],
      registers,
    });
  }

  restarted(): void {
    this.#restarts.inc();
  }

  /** Something failed in the supervisor. */
  failed(kind: FailureKind): void {
    this.#errors.inc({ kind });
  }

  join(worker: number, ask: () => Promise<MetricFigures>): MetricsMember {
    const source: Source = { worker, ask, last: [] };
    this.#sources.add(source);
    return {
      note: (figures) => {
        source.last = figures;
      },
      leave: () => this.#leave(source),
    };
  }

  #leave(source: Source): void {
    this.#sources.delete(source);
    const counted = source.last.filter(({ name, type }) => !BY_WORKER.test(name) && (`${type}` === 'counter' || `${type}` === 'histogram'));
    this.#gone = this.#gone.then((gone) => AggregatorRegistry.aggregate([gone, counted]).getMetricsAsJSON());
  }

  /** Everything, as it is now. */
  async text(): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#made ??= this.#make().finally(() => {
      this.#made = undefined;
    });
    return { contentType: this.#registry.contentType, text: await this.#made };
  }

  async #make(): Promise<string> {
    await Promise.all([...this.#sources].map(refresh));
    // At one moment: one that ends after it is counted with those that are there, and with those that are gone from the next time on.
    const gone = this.#gone;
    const told = [...this.#sources].map(({ worker, last }) => ofWorker(last, worker));
    const own = ofWorker(await this.#registry.getMetricsAsJSON(), SUPERVISOR);
    return AggregatorRegistry.aggregate([own, await gone, ...told]).metrics();
  }
}

async function refresh(source: Source): Promise<void> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, ANSWER_MS, undefined);
  source.last = (await Promise.race([source.ask(), late.promise]).catch(() => undefined)) ?? source.last;
  clearTimeout(timer);
}

/** With what is of one process marked as its worker's. */
function ofWorker(all: MetricFigures, worker: number | typeof SUPERVISOR): MetricFigures {
  const told = worker === SUPERVISOR ? all : all.filter(({ name }) => name !== HEALTH);
  return told.map((figures) => {
    if (!BY_WORKER.test(figures.name)) return figures;
    const values = figures.values.map((value) => ({ ...value, labels: { ...value.labels, worker } }));
    return { ...figures, aggregator: 'first', values } as MetricFigures[number];
  });
}
