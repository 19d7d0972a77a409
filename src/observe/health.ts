/** Health: whether the gateway can do its work, component by component, with figures and what to do where it cannot. */
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { EventLog } from '../log/log.ts';
import type { Transport } from './meter.ts';

export type Status = 'healthy' | 'degraded' | 'unhealthy' | 'shutting_down';

export interface Component {
  readonly status: Status;
  /** What to do; set when the component is not healthy. */
  readonly action?: string;
  readonly [figure: string]: unknown;
}

export interface Health {
  readonly status: Status;
  readonly timestamp: string;
  /** Seconds since the start. */
  readonly uptime: number;
  readonly version: string;
  readonly components: Readonly<Record<string, Component>>;
}

export interface HealthSources {
  readonly version: string;
  readonly startedAt: number;
  readonly log: EventLog;
  readonly connections: () => Readonly<Record<Transport, number>>;
  /** Failures in the last minute that were no caller's fault. */
  readonly failures: () => number;
  readonly shuttingDown: () => boolean;
}

/** How long the log may take to answer, in ms: a check must not wait for what it checks. */
const LOG_ANSWER_MS = 40;
/** From this share of a memory limit on, the gateway is degraded. */
const MEMORY_SHARE = 0.8;
/** From so many failures in a minute on, the gateway is degraded. */
const FAILURES_PER_MINUTE = 10;
const SEVERITY: readonly Status[] = ['healthy', 'degraded', 'unhealthy', 'shutting_down'];

export async function checkHealth(sources: HealthSources): Promise<Health> {
  const components = {
    websocket_server: checkServer(sources),
    event_log: await checkLog(sources.log),
    broker: { status: 'healthy', kind: 'local' },
    memory: checkMemory(),
    errors: checkErrors(sources.failures()),
  } satisfies Record<string, Component>;
  const worst = Math.max(...Object.values(components).map(({ status }) => SEVERITY.indexOf(status)));
  return {
    status: SEVERITY[worst] as Status,
    timestamp: new Date().toISOString(),
    uptime: (Date.now() - sources.startedAt) / 1000,
    version: sources.version,
    components,
  };
}

function checkServer({ shuttingDown, connections }: HealthSources): Component {
  const { trpc, plain } = connections();
  const figures = { connections: trpc + plain };
  if (!shuttingDown()) return { status: 'healthy', ...figures };
  return { status: 'shutting_down', ...figures, action: 'nothing: it drains and ends; send work elsewhere' };
}

/** The heap against its limit, and the process against that of its container, where it has one. */
function checkMemory(): Component {
  const { heap_size_limit: heapLimit, used_heap_size: heapUsed } = getHeapStatistics();
  const rss = process.memoryUsage.rss();
  const containerLimit = process.constrainedMemory();
  const figures = { heap_used_bytes: heapUsed, heap_limit_bytes: heapLimit, rss_bytes: rss };
  const isContained = containerLimit > 0 && containerLimit < totalmem();
  const share = Math.max(heapUsed / heapLimit, isContained ? rss / containerLimit : 0);
  if (share < MEMORY_SHARE) return { status: 'healthy', ...figures };
  return {
    status: 'degraded',
    ...figures,
    action: `${Math.round(share * 100)} % of the memory limit is used: give it more (--max-old-space-size, or the container's limit), or fewer subscribers; the memory log keeps every event there`,
  };
}

function checkErrors(lastMinute: number): Component {
  if (lastMinute < FAILURES_PER_MINUTE) return { status: 'healthy', last_minute: lastMinute };
  return {
    status: 'degraded',
    last_minute: lastMinute,
    action: 'something fails again and again: the log has each failure with its stack',
  };
}

/** Whether a load balancer should go on sending work: degraded still works. */
export function isServing(status: Status): boolean {
  return status === 'healthy' || status === 'degraded';
}

async function checkLog(log: EventLog): Promise<Component> {
  const late = Symbol('late');
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<typeof late>((resolve) => {
    timer = setTimeout(resolve, LOG_ANSWER_MS, late);
  });
  try {
    const bounds = await Promise.race([log.bounds(), deadline]);
    if (bounds === late)
      return { status: 'degraded', action: `the event log takes longer than ${LOG_ANSWER_MS} ms to answer: check the disk` };
    const figures = { head: bounds.head, first_retained: bounds.first };
    if (log.problem === undefined) return { status: 'healthy', ...figures };
    return { status: 'degraded', ...figures, action: `publishes are refused, as the last one could not be stored: ${log.problem}` };
  } catch (error) {
    return {
      status: 'unhealthy',
      action: `the event log does not answer (${error instanceof Error ? error.message : 'unknown'}): check the disk and restart`,
    };
  } finally {
    clearTimeout(timer);
  }
}
