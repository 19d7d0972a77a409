/**
 * Collects everything that went wrong or was refused, wherever it was noticed: in a call, a socket, a timer, a worker, or nowhere.
 * Here it is decided what is counted, what is logged and passed on, and what the caller may be told.
 */
import { TRPCError } from '@trpc/server';
import { isInvalid } from '../contract/codes.ts';
import { type CourierError, tellable } from '../errors.ts';
import { legibly } from './legible.ts';
import type { LogContext, Logger, LogPart } from './logger.ts';
import type { FailureKind, Meter, Surface } from './meter.ts';
import { logRefusal, type Refused } from './refusals.ts';

/** Told of every failure that is no caller's fault; it must not throw. */
export type ErrorHook = (error: unknown, kind: FailureKind, context: LogContext) => void;

const KIND_OF = { trpc: 'call', http: 'request', websocket: 'websocket' } as const satisfies Record<Surface, FailureKind>;
const PART_OF = {
  call: 'trpc',
  request: 'http',
  websocket: 'websocket',
  log: 'log',
  state: 'state',
  worker: 'log',
  process: 'gateway',
} as const satisfies Record<FailureKind, LogPart>;

export class Failures {
  readonly #meter: Meter;
  readonly #logger: Logger;
  readonly #hook: ErrorHook | undefined;
  /** An error that passes several who would report it is reported once, by the first. */
  readonly #reported = new WeakSet<object>();

  constructor({ meter, logger, hook }: { readonly meter: Meter; readonly logger: Logger; readonly hook?: ErrorHook | undefined }) {
    this.#meter = meter;
    this.#logger = logger;
    this.#hook = hook;
  }

  /** A caller's work ended with `thrown`. Returns what the caller may be told. To be called once for each refusal. */
  answer(surface: Surface, thrown: unknown, context: LogContext, refused: Refused): CourierError {
    const error = tellable(thrown);
    if (isInvalid(error.code)) this.#meter.invalid(surface);
    if (error.code === 'INTERNAL_SERVER_ERROR') this.report(KIND_OF[surface], 'a call failed', unwrapped(thrown), legibly(context));
    else logRefusal(this.#logger, surface, error, context, refused);
    return error;
  }

  /** Something failed that is no caller's fault. */
  report(kind: FailureKind, message: string, error: unknown, context: LogContext = {}): void {
    if (this.take(kind, error)) this.tell(kind, message, error, context);
  }

  /** Counts a failure. Returns whether it is a new one, which is then the caller's to tell, and nobody else's. */
  take(kind: FailureKind, error: unknown): boolean {
    if (typeof error === 'object' && error !== null) {
      if (this.#reported.has(error)) return false;
      this.#reported.add(error);
    }
    this.#meter.failed(kind);
    return true;
  }

  /** Logs a failure that was counted, and passes it on. */
  tell(kind: FailureKind, message: string, error: unknown, context: LogContext = {}): void {
    this.#logger.named(PART_OF[kind]).error(message, { ...context, kind, error });
    this.#hook?.(error, kind, context);
  }
}

/** tRPC wraps what procedures throw. */
function unwrapped(thrown: unknown): unknown {
  return thrown instanceof TRPCError ? (thrown.cause ?? thrown) : thrown;
}
