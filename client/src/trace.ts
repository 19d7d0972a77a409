/** Reads the events of one piece of work, page by page. */
import type { Calls } from './calls.ts';
import type { Contract } from './contract.ts';
import { invalidArgument } from './errors.ts';
import type { AnyContract, CourierEvent, TypeIn } from './events.ts';
import { assertOptions, TRACE_CHECKS } from './option-checks.ts';
import type { CallOptions } from './options.ts';

/** Names a piece of work: by any of its events, or by its correlation id. */
export type TraceOf =
  | { readonly id: string; readonly correlationId?: undefined }
  | { readonly correlationId: string; readonly id?: undefined };

/** One event of a piece of work. */
export interface TraceStep<C extends AnyContract = Contract> {
  /** Its cause is `metadata.causation_id`. */
  readonly event: CourierEvent<TypeIn<C>, C>;
  /** When it was stored, by the clock of the log; null where that was not noted. */
  readonly storedAt: Date | null;
  /** How long after its cause it was stored, in ms; null where it has none, or that is not known any more. */
  readonly afterCauseMs: number | null;
}

/** A piece of work: what belongs to it, what that has caused, and what led to it. */
export interface Trace<C extends AnyContract = Contract> {
  readonly correlationId: string;
  /** In the order of the log. */
  readonly steps: readonly TraceStep<C>[];
  /** Events that the client may not read, or that have no present form. */
  readonly hidden: number;
  /** There is more than the gateway reads of one piece of work: 10,000 events, or 8 MiB. */
  readonly isPartial: boolean;
}

/** `timeoutMs` is for each page. */
export async function trace(calls: Calls, of: TraceOf, { signal: ending, timeoutMs }: CallOptions): Promise<Trace> {
  assertOptions(of, TRACE_CHECKS);
  const { id, correlationId } = of;
  if ((id === undefined) === (correlationId === undefined)) throw invalidArgument('id', 'give an id or a correlationId');
  const { events } = calls.trpc;
  const steps: TraceStep[] = [];
  for (let asked: Parameters<typeof events.trace.query>[0] = { id, correlation_id: correlationId }; ; ) {
    const input = asked;
    const page = await calls.attempt('trace', { signal: ending, timeoutMs }, ({ signal }) => events.trace.query(input, { signal }));
    const { correlation_id, hidden } = page;
    steps.push(...page.steps.map((step) => ({ event: step.event, storedAt: step.stored_at, afterCauseMs: step.after_cause_ms })));
    if (!page.has_more) return { correlationId: correlation_id, steps, hidden, isPartial: page.is_partial };
    // By its name: retention may remove the event that it was asked by.
    asked = { correlation_id, after: page.next };
  }
}
