/**
 * Repeats a call whose failure passes: the gateway is started again, a connection was lost, a proxy does not reach the gateway, a limit is
 * reached. The call must be one that may be repeated.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { TRPCClientError } from '@trpc/client';
import { meaningOf } from '../../src/contract/codes.ts';
import { CliError } from './errors.ts';

/** How long calls are repeated that only fail, in ms: a gateway may drain for 30 s, and then start. */
const PATIENCE_MS = 60_000;
/** Pauses between them, in ms. */
const MIN_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5000;

export interface PersistenceOptions {
  /** Told of the first of several failures that are followed by another attempt. */
  readonly onWait: (reason: string) => void;
  readonly patienceMs?: number;
}

/** Runs calls, one after another. */
export class Persistence {
  readonly #onWait: (reason: string) => void;
  readonly #patienceMs: number;
  /** Whether anything was answered. Before that an address that nobody answers is most likely a wrong one. */
  #isAnswered = false;
  #isUnknown = false;

  constructor({ onWait, patienceMs = PATIENCE_MS }: PersistenceOptions) {
    this.#onWait = onWait;
    this.#patienceMs = patienceMs;
  }

  /** Whether the last call has failed, and may have been done all the same, as an answer was lost. */
  get isUnknown(): boolean {
    return this.#isUnknown;
  }

  /** @throws what the call does when that does not pass, or not in time. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    let failingSince = performance.now();
    let failures = 0;
    this.#isUnknown = false;
    for (;;) {
      try {
        const result = await call();
        this.#isAnswered = true;
        this.#isUnknown = false;
        return result;
      } catch (error) {
        const told = retryAfterOf(error);
        this.#isUnknown ||= isPassing(error) && !isUnreachable(error);
        const isLate = performance.now() - failingSince >= this.#patienceMs;
        if (told === undefined && (isLate || !(isPassing(error) && (this.#isAnswered || !isUnreachable(error))))) throw error;
        if (told === undefined) {
          failures += 1;
          if (failures === 1) this.#onWait(error instanceof Error ? error.message : String(error));
          await wait(Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2));
        } else {
          await wait(told);
          // A limit that is reached is no failure.
          failures = 0;
          failingSince = performance.now();
        }
      }
    }
  }
}

/** How long a limit asks to wait, in ms; undefined for another error. */
function retryAfterOf(error: unknown): number | undefined {
  const { code, retryAfterMs } = dataOf(error);
  return code === 'TOO_MANY_REQUESTS' ? retryAfterMs : undefined;
}

/** Whether the same call may succeed later. */
function isPassing(error: unknown): boolean {
  const { code } = dataOf(error);
  if (code !== undefined) return code !== 'TOO_MANY_REQUESTS' && meaningOf(code).retry;
  return causeOf(error)?.passes !== undefined;
}

function isUnreachable(error: unknown): boolean {
  return causeOf(error)?.passes === 'unreachable';
}

function causeOf(error: unknown): CliError | undefined {
  const cause = error instanceof TRPCClientError ? error.cause : error;
  return cause instanceof CliError ? cause : undefined;
}

function dataOf(error: unknown): { readonly code?: string; readonly retryAfterMs?: number } {
  return (error instanceof TRPCClientError ? error.data : undefined) ?? {};
}
