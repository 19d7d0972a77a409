/**
 * What leads to what: the event that a handler runs for is the cause of what the handler publishes.
 *
 * Where the runtime has `AsyncLocalStorage`, as Node.js has, the cause goes with the handler through its promises and timers. Elsewhere, as
 * in a browser, it is there until the handler's first `await`: nothing else can run meanwhile, so no cause comes to the work of others.
 * Callbacks that are told of no event have no cause.
 *
 * A cause is of the process, not of one client: a service may receive with one and publish with another.
 */
import { NOTICE_CHANNEL } from '../../src/contract/envelope.ts';
import type { EventDraft } from './events.ts';
import { assertArgument, isFunction, isObject, isText, must } from './option-checks.ts';

/** An event, as far as it is a cause. */
export interface Cause {
  readonly id: string;
  readonly metadata: { readonly correlation_id?: string | undefined };
}

/** What a cause gives to the metadata of a draft. */
interface Origin {
  readonly correlation_id: string;
  readonly causation_id: string;
}

/** What the present work has for its origin. */
interface Present {
  getStore(): Origin | undefined;
  /** Calls a function whose work has this origin. */
  run<T>(origin: Origin | undefined, call: () => T): T;
}

/** What of Node.js, and of runtimes that have the same, is asked for in a way that needs no import. */
interface Runtime {
  readonly process?: {
    readonly getBuiltinModule?: (name: string) => { readonly AsyncLocalStorage?: new () => Present } | undefined;
  };
}

function presentUntilAwait(): Present {
  let present: Origin | undefined;
  return {
    getStore: () => present,
    run: (origin, call) => {
      const before = present;
      present = origin;
      try {
        return call();
      } finally {
        present = before;
      }
    },
  };
}

const present = /* @__PURE__ */ makePresent(globalThis as Runtime);

function makePresent({ process }: Runtime): Present {
  const AsyncLocalStorage = process?.getBuiltinModule?.('node:async_hooks')?.AsyncLocalStorage;
  return AsyncLocalStorage === undefined ? presentUntilAwait() : new AsyncLocalStorage();
}

/**
 * Calls a function for an event: what is published meanwhile has the event for its cause, and belongs to the same piece of work, as in the
 * handler of a subscription. It is for work that begins elsewhere: with an event of an iterator, or of a queue.
 *
 * @returns what the function returns.
 * @throws {CourierError} INVALID_ARGUMENT for what is no event, such as a notice or a state. And what the function throws.
 */
export function withCause<T>(event: Cause, call: () => T): T {
  assertArgument('event', event, must('an event', isCause));
  return causedBy(event, call);
}

/**
 * Calls a function for no event: what is published meanwhile has no cause, such as what a timer that a handler starts for good publishes.
 *
 * @returns what the function returns.
 */
export function withoutCause<T>(call: () => T): T {
  return causedBy(undefined, call);
}

/** As `withCause`, for whatever was received: what is no event is no cause. */
export function causedBy<T>(received: unknown, call: () => T): T {
  assertArgument('call', call, isFunction);
  const origin = isCause(received)
    ? { correlation_id: received.metadata.correlation_id ?? received.id, causation_id: received.id }
    : undefined;
  return present.run(origin, call);
}

/** The draft with the cause of the present work, as far as its publisher says nothing else. */
export function withItsOrigin(draft: EventDraft): EventDraft {
  const origin = present.getStore();
  if (origin === undefined) return draft;
  const { correlation_id = origin.correlation_id, causation_id = origin.causation_id } = draft.metadata ?? {};
  return { ...draft, metadata: { ...draft.metadata, correlation_id, causation_id } };
}

function isCause(value: unknown): value is Cause {
  const { id, channel, metadata } = (value ?? {}) as Partial<Cause> & { readonly channel?: unknown };
  return isObject(metadata) && isText(id) === undefined && channel !== NOTICE_CHANNEL;
}
