/** Health: whether the gateway can do its work, component by component, with figures and what to do where it cannot. */

import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Broker } from '../broker/broker.ts';
import type { Component, Health, HealthComponents, HealthStatus, Transport } from '../contract/admin.ts';
import type { Concern, EventLog } from '../log/log.ts';
import type { StateFigures } from '../state/figures.ts';
import type { Logger } from './logger.ts';

export interface HealthSources {
  readonly version: string;
  readonly startedAt: number;
  readonly log: EventLog;
  readonly broker: Pick<Broker, 'kind' | 'problem' | 'ping'>;
  readonly connections: () => Readonly<Record<Transport, number>>;
  readonly channels: () => number;
  /** Failures that were no caller's fault, and calls. */
  readonly lastMinute: () => { readonly failures: number; readonly calls: number };
  readonly draining: () => boolean;
  /** Why not all who come can be let in; undefined while they can. */
  readonly serverProblem: () => string | undefined;
  /** How late the event loop is, in ms. */
  readonly lateMs: () => number;
  readonly states: () => StateFigures;
}

/** How long the log and Redis may take to answer, in ms: a check must not wait for what it checks. */
const ANSWER_MS = 40;
/** From then on it counts as gone, in ms. */
const LOG_GONE_MS = 3000;
/** From this share of a memory limit on, the gateway is degraded. */
const MEMORY_SHARE = 0.8;
/** From so much waiting on average on the gateway is too busy to answer anybody in time, in ms. */
const MAX_LATE_MS = 100;
/** From so many failures in a minute on, the gateway is degraded. */
const FAILURES_PER_MINUTE = 10;
/** How long a log that did not answer is not asked again, in ms: whoever asks for the health makes it fail no more often. */
const ASK_AGAIN_MS = 1000;
/** From so many events that were not folded, or not stored as states, the gateway is degraded. */
const [MAX_BEHIND, MAX_UNSTORED] = [20_000, 500_000];
/** How often the concerns of the log are looked at, in ms. */
const CONCERNS_LOOK_MS = 5000;
export const SEVERITY: readonly HealthStatus[] = ['healthy', 'degraded', 'unhealthy', 'shutting_down'];

/** Returns what checks the health now. */
export function createHealth(sources: HealthSources): () => Promise<Health> {
  const log = new LogProbe(sources.log);
  const { broker } = sources;
  const redis = broker.ping === undefined ? undefined : new RedisLatency(broker as RedisBroker);
  return () => checkHealth(sources, log, redis);
}

async function checkHealth(sources: HealthSources, logProbe: LogProbe, redisLatency: RedisLatency | undefined): Promise<Health> {
  const [log, redis] = await Promise.all([logProbe.check(), redisLatency?.check()]);
  const { pool } = sources.log;
  const components: HealthComponents = {
    websocket_server: checkServer(sources),
    event_log: { ...log, ...(pool !== undefined && { pool }) },
    broker: checkBroker(sources.broker),
    ...(redis !== undefined && { redis }),
    ...(sources.states().entities > 0 && { state: checkStates(sources.states()) }),
    memory: checkMemory(),
    errors: checkErrors(sources.lastMinute()),
  };
  const worst = Math.max(...Object.values(components).map(({ status }) => SEVERITY.indexOf(status)));
  return {
    status: SEVERITY[worst] as HealthStatus,
    timestamp: new Date().toISOString(),
    uptime: (Date.now() - sources.startedAt) / 1000,
    version: sources.version,
    components,
  };
}

function checkServer({ draining, connections, channels, serverProblem, lateMs }: HealthSources): HealthComponents['websocket_server'] {
  const { trpc, plain, sse } = connections();
  const late = lateMs();
  const active = trpc + plain + sse;
  const figures = { connections: active, active_connections: active, active_channels: channels(), event_loop_late_ms: late };
  if (draining()) return { status: 'shutting_down', ...figures, action: 'nothing: it drains and ends; send work elsewhere' };
  const problem = serverProblem();
  if (problem !== undefined) return { status: 'degraded', ...figures, action: problem };
  if (late < MAX_LATE_MS) return { status: 'healthy', ...figures };
  return {
    status: 'degraded',
    ...figures,
    action: `everything waits for ${late} ms on average: it had more to do than its processor could, or was stopped; send less, or add instances`,
  };
}

function checkBroker({ kind, problem }: HealthSources['broker']): HealthComponents['broker'] {
  if (problem === undefined) return { status: 'healthy', kind };
  return {
    status: 'degraded',
    kind,
    action: `${problem}. Until then events of other instances come up to a second late, and limits are kept by each instance for itself`,
  };
}

/** How far the states of entities are behind the log. */
function checkStates({ building, unserved, behind, unstored, watches, problem }: StateFigures): NonNullable<HealthComponents['state']> {
  const percents = Object.entries(building).map(([entity, share]) => [entity, Math.floor(share * 100)] as const);
  const figures = { behind, unstored, watches, ...(percents.length > 0 && { building_percent: Object.fromEntries(percents) }) };
  if (problem !== undefined) return { status: 'degraded', ...figures, action: `states are not stored: ${problem}` };
  if (percents.length > 0) {
    const names = percents.map(([entity, percent]) => `${entity} (${percent} %)`).join(', ');
    return {
      status: 'degraded',
      ...figures,
      action: `nothing: the states of ${names} are being made of the log; until then ${unserved.length > 0 ? `nothing of ${unserved.join(', ')}` : 'what was made before'} can be given`,
    };
  }
  if ((behind ?? 0) < MAX_BEHIND && unstored < MAX_UNSTORED) return { status: 'healthy', ...figures };
  return {
    status: 'degraded',
    ...figures,
    action:
      'the states come later than the events: more is published than is folded and stored; send less, or give the gateway a faster disk',
  };
}

/** The heap against its limit, and the process against that of its container, where it has one. */
function checkMemory(): HealthComponents['memory'] {
  const { heap_size_limit: heapLimit, used_heap_size: heapUsed } = getHeapStatistics();
  const rss = process.memoryUsage.rss();
  const containerLimit = process.constrainedMemory();
  const isContained = containerLimit > 0 && containerLimit < totalmem();
  const isContainerNearer = isContained && rss / containerLimit > heapUsed / heapLimit;
  const [used, limit] = isContainerNearer ? [rss, containerLimit] : [heapUsed, heapLimit];
  const share = used / limit;
  const figures = {
    usage_mb: megabytes(used),
    limit_mb: megabytes(limit),
    heap_used_bytes: heapUsed,
    heap_limit_bytes: heapLimit,
    rss_bytes: rss,
  };
  if (share < MEMORY_SHARE) return { status: 'healthy', ...figures };
  return {
    status: 'degraded',
    ...figures,
    action: `${Math.round(share * 100)} % of the memory limit is used: give it more (--max-old-space-size, or the container's limit), or fewer subscribers`,
  };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

function checkErrors({ failures, calls }: ReturnType<HealthSources['lastMinute']>): HealthComponents['errors'] {
  // Not every failure is that of a call.
  const share = failures === 0 ? 0 : Math.min(1, failures / Math.max(1, calls));
  const figures = { last_minute: failures, share_of_calls: Math.round(share * 10_000) / 10_000 };
  if (failures < FAILURES_PER_MINUTE) return { status: 'healthy', ...figures };
  return {
    status: 'degraded',
    ...figures,
    action: 'something fails again and again: the log has each failure with its stack',
  };
}

/** Whether a load balancer should go on sending work: degraded still works. */
export function isServing(status: HealthStatus): boolean {
  return status === 'healthy' || status === 'degraded';
}

/**
 * Asks the log, one question at a time, and remembers how the last one ended. Whether it stores events is tried elsewhere: the log knows
 * how that ended last.
 */
class LogProbe {
  readonly #log: EventLog;
  #asked: { readonly at: number; readonly answer: Promise<Component> } | undefined;
  #lastFailure: string | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(log: EventLog) {
    this.#log = log;
  }

  async check(): Promise<Component> {
    if (this.#lastFailure !== undefined && performance.now() - this.#failedAt < ASK_AGAIN_MS) return unhealthy(this.#lastFailure);
    this.#asked ??= { at: performance.now(), answer: this.#ask() };
    const { at, answer } = this.#asked;
    const component = await inTime(answer);
    if (component !== undefined) return component;
    const waited = performance.now() - at;
    if (this.#lastFailure !== undefined) return unhealthy(this.#lastFailure);
    const { problem, pool } = this.#log;
    const place = pool === undefined ? 'disk' : 'server';
    if (waited >= LOG_GONE_MS) return unhealthy(`the event log does not answer (nothing for ${Math.round(waited)} ms): check its ${place}`);
    if (problem !== undefined) return refusing(problem);
    return { status: 'degraded', action: `the event log takes longer than ${ANSWER_MS} ms to answer: check its ${place}` };
  }

  async #ask(): Promise<Component> {
    try {
      const { head, first } = await this.#log.bounds();
      this.#lastFailure = undefined;
      const { problem, concerns } = this.#log;
      const { freeBytes } = this.#log;
      const figures = { head, first_retained: first, ...(freeBytes !== undefined && { free_bytes: freeBytes }) };
      if (problem !== undefined) return { ...figures, ...refusing(problem) };
      if (concerns.length > 0) return { status: 'degraded', ...figures, action: concerns.map(({ action }) => action).join('; ') };
      return { status: 'healthy', ...figures };
    } catch (error) {
      // The log says what it is, and what to do where that is not plain.
      this.#lastFailure = error instanceof Error ? error.message : 'the event log fails';
      this.#failedAt = performance.now();
      return unhealthy(this.#lastFailure);
    } finally {
      this.#asked = undefined;
    }
  }
}

type RedisBroker = HealthSources['broker'] & Required<Pick<Broker, 'ping'>>;

/** Measures how long Redis takes to answer, one question at a time. */
class RedisLatency {
  readonly #broker: RedisBroker;
  #asked: { readonly at: number; readonly tookMs: Promise<number | undefined> } | undefined;

  constructor(broker: RedisBroker) {
    this.#broker = broker;
  }

  async check(): Promise<NonNullable<HealthComponents['redis']>> {
    this.#asked ??= { at: performance.now(), tookMs: this.#measure() };
    const { at, tookMs } = this.#asked;
    const isAnswered = await inTime(tookMs.then(() => true));
    const latencyMs = isAnswered ? await tookMs : performance.now() - at;
    const figures = latencyMs === undefined ? {} : { latency_ms: Math.round(latencyMs * 100) / 100 };
    const { problem } = this.#broker;
    return problem === undefined ? { status: 'healthy', ...figures } : { status: 'degraded', ...figures, action: problem };
  }

  /** Undefined when Redis is away. */
  async #measure(): Promise<number | undefined> {
    const at = performance.now();
    try {
      await this.#broker.ping();
      return performance.now() - at;
    } catch {
      return undefined;
    } finally {
      this.#asked = undefined;
    }
  }
}

/** What `answer` gives, or undefined when that takes too long. */
async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, ANSWER_MS, undefined);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function refusing(problem: string): Component {
  return { status: 'degraded', action: `publishes are refused, as the last one could not be stored: ${problem}` };
}

function unhealthy(action: string): Component {
  return { status: 'unhealthy', action };
}

/** Logs each concern of the log once when it begins, and once when it is over. */
export function logConcerns(concerns: () => readonly Concern[], logger: Logger, lookMs = CONCERNS_LOOK_MS): Disposable {
  let known = new Set<string>();
  const look = () => {
    const now = new Map(concerns().map(({ about, action }) => [about, action]));
    for (const [about, action] of now) if (!known.has(about)) logger.warn('the event log needs attention', { about, action });
    for (const about of known) if (!now.has(about as Concern['about'])) logger.info('the event log needs no attention any more', { about });
    known = new Set(now.keys());
  };
  const timer = setInterval(look, lookMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
