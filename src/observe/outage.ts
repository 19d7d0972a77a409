/**
 * Something that the gateway stands on cannot be used. Whoever meets that first tells of it, with what to do; from there on the log says
 * once a minute that it goes on, and once that it is over. The failures in these lines are all that there were.
 */
import type { Logger } from './logger.ts';

const REMIND_MS = 60_000;

export interface OutageOptions {
  readonly logger: Logger;
  /** The messages of those lines. */
  readonly goesOn: string;
  readonly over: string;
  readonly remindMs?: number;
}

export class Outage implements Disposable {
  readonly #options: OutageOptions;
  #since: number | undefined;
  #failed = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#since !== undefined;
  }

  /**
   * Something has failed of it, so often, first at `since` (of `performance.now()`). Returns whether that is the beginning, as it always
   * is once this was disposed of.
   */
  meet(times = 1, since = performance.now()): boolean {
    if (this.#isClosed) return true;
    this.#failed += times;
    if (this.isOn) return false;
    this.#since = since;
    const { logger, goesOn, remindMs = REMIND_MS } = this.#options;
    this.#timer = setInterval(() => logger.warn(goesOn, this.#figures()), remindMs).unref();
    return true;
  }

  /** Does nothing when there is none. */
  end(): void {
    if (!this.isOn) return;
    const { logger, over } = this.#options;
    logger.info(over, this.#figures());
    this.#forget();
  }

  /** Says for the last time that it goes on, where it does. */
  [Symbol.dispose](): void {
    const { logger, goesOn } = this.#options;
    if (this.isOn) logger.warn(goesOn, this.#figures());
    this.#forget();
    this.#isClosed = true;
  }

  #forget(): void {
    clearInterval(this.#timer);
    this.#since = undefined;
    this.#failed = 0;
  }

  /** How long it has lasted, and how often it was met. */
  #figures() {
    return { seconds: Math.round((performance.now() - (this.#since ?? 0)) / 1000), failed: this.#failed };
  }
}
