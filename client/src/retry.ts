/** When to try again. Full jitter keeps clients that lost their connections together from reconnecting together. */
import { CourierError } from './errors.ts';

export interface RetryOptions {
  /** The first delay is between 0 and this; it doubles with every attempt. */
  readonly minDelayMs: number;
  /** The longest delay. */
  readonly maxDelayMs: number;
  /** The shortest delay before the client reconnects to a gateway that asked for a delay. */
  readonly busyDelayMs: number;
}

export const RETRY_DEFAULTS: RetryOptions = { minDelayMs: 250, maxDelayMs: 30_000, busyDelayMs: 1000 };

/** The delay before an attempt, in ms. @param attempt counts from 0. */
export function jitter({ minDelayMs, maxDelayMs }: RetryOptions, attempt: number): number {
  return Math.random() * Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempt, 30));
}

/** The longest delay that the client takes from anybody, in ms: a proxy that asks for a day must not stop it for one. */
export const MAX_RETRY_AFTER_MS = 60_000;

/** How long to wait because the gateway, or a proxy before it, asked for that, in ms. */
export function askedDelayMs({ retryAfterMs = 0 }: CourierError): number {
  return Math.min(MAX_RETRY_AFTER_MS, retryAfterMs);
}

/** The delay before a failed call is repeated, in ms: no shorter than the gateway asked for. @param attempt counts from 0. */
export function retryDelayMs(error: CourierError, retry: RetryOptions, attempt: number): number {
  return askedDelayMs(error) + jitter(retry, attempt);
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Random bytes of a key, and hexadecimal digits of the time before them. */
const KEY_BYTES = 10;
const TIME_DIGITS = 12;
/** Random bytes for 256 keys: they cost little more than those for one. */
const random = new Uint8Array(256 * KEY_BYTES);
let used = random.length;

/**
 * Makes an idempotency key, which all attempts of one publish carry. It begins with the time: the gateway's log keeps keys in their
 * order, and what comes together goes to one place there. Random keys cost the log twice as much.
 */
export function randomKey(): string {
  if (used === random.length) {
    // A page that was not served over HTTPS has no crypto.randomUUID.
    crypto.getRandomValues(random);
    used = 0;
  }
  let key = Date.now().toString(16).padStart(TIME_DIGITS, '0');
  for (const end = used + KEY_BYTES; used < end; used += 1) key += HEX[random[used] as number];
  return key;
}

/** The longest delay of a timer, in ms: 24.8 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls `late` after `ms`, and never for more than a timer can wait. Returns the function that prevents the call. */
export function after(ms: number, late: () => void): () => void {
  if (ms > MAX_TIMER_MS) return () => undefined;
  const timer = setTimeout(late, ms);
  return () => clearTimeout(timer);
}

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      },
      Math.min(ms, MAX_TIMER_MS),
    );
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Rejects with the signal's reason when it aborts before `promise` settles. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Rejects with the reason that `late` gives when `promise` does not settle in time. */
export async function inTime<T>(promise: Promise<T>, timeoutMs: number, late: () => unknown): Promise<T> {
  const timeUp = new AbortController();
  const stop = after(timeoutMs, () => timeUp.abort(late()));
  try {
    return await orAborted(promise, timeUp.signal);
  } finally {
    stop();
  }
}

export interface AttemptOptions {
  readonly retry: RetryOptions;
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** Ends the attempts; the promise rejects with its reason. */
  readonly signal: AbortSignal | undefined;
  /** Forbids further attempts; the running one may finish. */
  readonly giveUp: AbortSignal;
  /** Whether to repeat the call; otherwise the caller does. */
  readonly isRepeated: boolean;
  /** The error when the time is over, or would be before the next attempt. @param last the failure of the last attempt. */
  readonly outOfTime: (last: CourierError | undefined) => CourierError;
  /** Called with each failure after which the client tries again. */
  readonly onRetry: (error: CourierError) => void;
}

/** The last attempt begins so long before the end of the time, in ms; where a tenth of the time is less, that. */
const LAST_ATTEMPT_MS = 1000;

/**
 * Says when a call is over before its answer: out of time, or given up by its caller. Most have their answer before, and an AbortSignal
 * costs more than what else a publish needs: there is one when it is asked for.
 */
export class Ending {
  readonly #listeners = new Set<() => void>();
  #isOver = false;
  #reason: unknown;
  #controller: AbortController | undefined;

  get isOver(): boolean {
    return this.#isOver;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isOver) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  end(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reason = reason;
    for (const listener of this.#listeners) listener();
    this.#controller?.abort(reason);
  }

  /** Calls the listener at the end, as long as the present attempt lasts. */
  onEnd(listener: () => void): void {
    if (this.#isOver) listener();
    else this.#listeners.add(listener);
  }

  throwIfOver(): void {
    if (this.#isOver) throw this.#reason;
  }

  /** What an attempt gives; rejects with the reason of the end when that comes first. */
  async of<T>(attempt: Promise<T>): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        this.onEnd(() => reject(this.#reason));
        attempt.then(resolve, reject);
      });
    } finally {
      this.#listeners.clear();
    }
  }
}

/**
 * Repeats `call` until it succeeds, as long as its errors are retryable. Jitter that does not fit is made shorter, so that the last
 * attempt has some time. What the gateway asks for is not: an earlier attempt would be refused.
 *
 * @param call makes one attempt; it must hear the ending, and fail with CourierErrors.
 * @throws {CourierError} the error that is not retryable, or not repeated; what the gateway answered last, when the next attempt would be
 * too late and no attempt may have had its effect; `outOfTime`. Or a signal's reason.
 */
export async function attempt<T>(call: (ending: Ending) => Promise<T>, options: AttemptOptions): Promise<T> {
  const { retry, timeoutMs, signal, giveUp, isRepeated, outOfTime, onRetry } = options;
  const deadline = performance.now() + timeoutMs;
  const lastBegin = deadline - Math.min(LAST_ATTEMPT_MS, timeoutMs / 10);
  const ending = new Ending();
  let last: CourierError | undefined;
  const stop = after(timeoutMs, () => ending.end(outOfTime(last)));
  const onAbort = () => ending.end(signal?.reason);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (let count = 0; ; count += 1) {
      ending.throwIfOver();
      giveUp.throwIfAborted();
      try {
        return await ending.of(call(ending));
      } catch (error) {
        if (ending.isOver || !(error instanceof CourierError) || !error.retryable) throw error;
        last = error;
        const now = performance.now();
        const askedMs = askedDelayMs(error);
        const isLate = now >= lastBegin || now + askedMs >= deadline;
        if (isLate && isRepeated) throw error.code === 'UNREACHABLE' || error.mayBeStored ? outOfTime(error) : error;
        if (!giveUp.aborted) onRetry(error);
        if (!isRepeated) throw error;
        const delayMs = Math.min(retryDelayMs(error, retry, count), Math.max(askedMs, lastBegin - now));
        await sleep(delayMs, AbortSignal.any([ending.signal, giveUp]));
      }
    }
  } finally {
    stop();
    signal?.removeEventListener('abort', onAbort);
  }
}
