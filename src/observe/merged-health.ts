/** The health of several workers as that of one gateway: it serves as long as one of them does. */
import type { Component, Health, HealthComponents, HealthStatus } from '../contract/admin.ts';
import { SEVERITY } from './health.ts';

/** The workers as their supervisor sees them. */
export interface WorkersFigures {
  readonly startedAt: number;
  readonly configured: number;
  readonly running: number;
  readonly restarts: number;
  /** Why not all of them run, and what to do; undefined while they do. */
  readonly problem: string | undefined;
  readonly draining: boolean;
}

export interface WorkerHealth {
  readonly worker: number;
  readonly health: Health;
}

/** @param told by those that have answered, one at least. */
export function mergeHealth(told: readonly WorkerHealth[], workers: WorkersFigures): Health {
  const [first] = told;
  if (first === undefined) throw new Error('no worker says how it is');
  const names = new Set(told.flatMap(({ health }) => Object.keys(health.components)));
  const merged = [...names].map((name) => [name, mergeComponent(name, told)] as const);
  const components = { ...Object.fromEntries(merged), workers: checkWorkers(told, workers) } as unknown as HealthComponents;
  const worst = Math.max(...Object.values(components).map(({ status }) => SEVERITY.indexOf(status)));
  return {
    ...first.health,
    status: SEVERITY[worst] as HealthStatus,
    uptime: (Date.now() - workers.startedAt) / 1000,
    components,
  };
}

/** Figures that are added up; of all others those of the worst worker stand. */
const SUMMED: Readonly<Record<string, readonly string[]>> = {
  websocket_server: ['connections', 'active_connections'],
  errors: ['last_minute'],
  state: ['watches'],
};

function mergeComponent(name: string, told: readonly WorkerHealth[]): Component {
  const all = told.flatMap(({ worker, health }) => {
    const component = health.components[name];
    return component === undefined ? [] : [{ worker, component }];
  });
  all.sort((a, b) => severityOf(b.component) - severityOf(a.component));
  const [worst, best] = [all[0], all.at(-1)] as [(typeof all)[number], (typeof all)[number]];
  const status = mergedStatus(severityOf(worst.component), severityOf(best.component));
  const sums = (SUMMED[name] ?? []).map((figure) => [figure, all.reduce((sum, { component }) => sum + Number(component[figure]), 0)]);
  const isOfAll = all.every(({ component }) => component.action === worst.component.action);
  const action = worst.component.action;
  return {
    ...worst.component,
    ...Object.fromEntries(sums),
    status,
    ...(action !== undefined && { action: isOfAll ? action : `worker ${worst.worker}: ${action}` }),
  };
}

function severityOf({ status }: Component): number {
  return SEVERITY.indexOf(status);
}

/** As long as one of them serves, they are degraded at the worst. */
function mergedStatus(worst: number, best: number): HealthStatus {
  const degraded = SEVERITY.indexOf('degraded');
  return SEVERITY[best > degraded ? best : Math.min(worst, degraded)] as HealthStatus;
}

function checkWorkers(told: readonly WorkerHealth[], { configured, running, restarts, problem, draining }: WorkersFigures): Component {
  const figures = { running, configured, restarts };
  if (draining) return { status: 'shutting_down', ...figures, action: 'nothing: they drain and end; send work elsewhere' };
  if (problem !== undefined) return { status: 'degraded', ...figures, action: problem };
  const silent = running - told.length;
  if (silent <= 0) return { status: 'healthy', ...figures };
  return { status: 'degraded', ...figures, action: `${silent} of ${running} workers do not answer: look at what they log` };
}
