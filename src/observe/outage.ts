/**
 * Something that the gateway stands on cannot be used. Whoever meets that first tells of it, with what to do; from there on the log says
 * once a minute that it goes on, and once that it is over.
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

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#since !== undefined;
  }

  /** Something has failed of it. Returns whether that is the beginning. */
  meet(): boolean {
    this.#failed += 1;
    if (this.isOn) return false;
    this.#since = performance.now();
    const { logger, goesOn, remindMs = REMIND_MS } = this.#options;
    this.#timer = setInterval(() => logger.warn(goesOn, this.#figures()), remindMs).unref();
    return true;
  }

  /** Does nothing when there is none. */
  end(): void {
    if (!this.isOn) return;
    const { logger, over } = this.#options;
    logger.info(over, this.#figures());
    this[Symbol.dispose]();
  }

  /** Says nothing more of it. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#since = undefined;
    this.#failed = 0;
  }

  /** How long it has lasted, and how often it was met. */
  #figures() {
    return { seconds: Math.round((performance.now() - (this.#since ?? 0)) / 1000), failed: this.#failed };
  }
}
