/** Finds out whether something else than a gateway answers at the address, which no further attempt would change. */
import { CourierError } from './errors.ts';
import type { AttemptFailure } from './upgrade-refusal.ts';

/** Answers in succession that no gateway gives, after which the address is taken for a mistake. */
const STRANGER_ANSWERS = 3;
/** The shortest time from the first to the last of them, in ms: a proxy may come to know its gateway a little later. */
const STRANGER_MS = 30_000;
/** Statuses below 500 with which a proxy may refuse a client that it would let through later, or with other rights. */
const PASSING = [401, 403, 407, 408, 425, 429];

export class Strangers {
  readonly #url: string;
  /** Answers in succession. */
  #answers = 0;
  /** When the first of them came, by `performance.now()`. */
  #since = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Begins anew. */
  reset(): void {
    this.#answers = 0;
  }

  /**
   * Notes the end of an attempt.
   *
   * @returns the error where a stranger has answered, which is retryable until it is for good; undefined for any other end.
   */
  note(failure: AttemptFailure | undefined): CourierError | undefined {
    if (failure === undefined || 'cause' in failure || failure.status >= 500 || PASSING.includes(failure.status)) {
      this.reset();
      return undefined;
    }
    const now = performance.now();
    if (this.#answers === 0) this.#since = now;
    this.#answers += 1;
    const isForGood = this.#answers >= STRANGER_ANSWERS && now - this.#since >= STRANGER_MS;
    return new CourierError('NOT_FOUND', `what answers at ${this.#url} is no gateway of Courier (HTTP ${failure.status})`, {
      hint: "give the gateway's own address as `url`: without /trpc, and with the path that a proxy serves it below",
      retryable: !isForGood,
    });
  }
}
