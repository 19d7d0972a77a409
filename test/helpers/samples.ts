/** The events of tests: a valid draft of every type, and the drafts that most tests publish. */
import { contract, EVENT_TYPES, type EventDraft, type EventType } from './lumiere.ts';

/** By type: the first example that the contract has. */
export const SAMPLES = Object.fromEntries(EVENT_TYPES.map((type) => [type, contract.sampleOf(type)])) as unknown as {
  readonly [T in EventType]: EventDraft<T>;
};

/** The draft of tests for which any event will do. */
export function jobStarted(kind = 'k') {
  return { type: 'forge.job.started', channel: 'forge.job.j', data: { job_id: 'j', kind } } as const;
}

/** The draft of tests that need data of a size of their own. */
export function jobCompleted(result?: Readonly<Record<string, unknown>>) {
  return { type: 'forge.job.completed', channel: 'forge.job.j', data: { job_id: 'j', ...(result && { result }) } } as const;
}

/** The data of tests that count events, each with another fraction. */
export function progressOf(fraction = 0.5) {
  return { backtest_id: 'b1', progress: fraction };
}

/** The value so many times, as objects of their own: superjson writes a reference for one that stands at several places. */
export function copies<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => structuredClone(value));
}
