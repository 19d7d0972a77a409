/**
 * Tells an outage of the event log from the failure of one operation. After a failure the log is tried, once a second at most, and again
 * while that fails: all that fails meanwhile is one outage, with a line at its beginning and one at its end. What fails of a log that
 * works is told one by one, and as a number beyond MAX_HELD between two tries. Nobody else tries the log.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Failures } from './failures.ts';
import type { Logger } from './logger.ts';
import { Outage } from './outage.ts';

const TRY_MS = 1000;
/** Failures that are told one by one once the log was found to work, at most. */
const MAX_HELD = 20;

export interface LogOutageOptions {
  readonly failures: Failures;
  readonly logger: Logger;
  /** Rejects while the log cannot be used. */
  readonly probe: () => Promise<unknown>;
  /** What an operator should do. */
  readonly action: string;
  readonly remindMs?: number;
}

interface Failed {
  readonly error: unknown;
  readonly operation: string;
  /** When, as of `performance.now()`. */
  readonly at: number;
}

export class LogOutage implements Disposable {
  readonly #options: LogOutageOptions;
  readonly #outage: Outage;
  readonly #closing = new AbortController();
  /** Of which is not known yet what they are. */
  #held: Failed[] = [];
  #heldBeyond = 0;
  #isTrying = false;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(options: LogOutageOptions) {
    this.#options = options;
    this.#outage = new Outage({ ...options, goesOn: 'the event log still cannot be used', over: 'the event log can be used again' });
  }

  /** To be told of each failure. */
  readonly onError = (error: unknown, operation: string): void => {
    const isNew = this.#options.failures.take('log', error);
    if (isNew) this.#note({ error, operation, at: performance.now() });
    if (!this.#isTrying) void this.#try();
  };

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#outage[Symbol.dispose]();
    this.#tellHeld();
  }

  #note(failed: Failed): void {
    // What fails while the log closes.
    if (this.#closing.signal.aborted) this.#tell(failed);
    else if (this.#outage.isOn) this.#outage.meet();
    else if (this.#held.length < MAX_HELD) this.#held.push(failed);
    else this.#heldBeyond += 1;
  }

  /** Tries until the log works. Never rejects. */
  async #try(): Promise<void> {
    const { signal } = this.#closing;
    this.#isTrying = true;
    while (!signal.aborted) {
      const dueMs = Math.max(0, this.#triedAt + TRY_MS - performance.now());
      await wait(dueMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) break;
      this.#triedAt = performance.now();
      const works = await this.#options.probe().then(
        () => true,
        () => false,
      );
      if (signal.aborted) break;
      if (!works) this.#begin();
      else {
        this.#outage.end();
        this.#tellHeld();
        break;
      }
    }
    this.#isTrying = false;
  }

  /** Does nothing when it has begun. */
  #begin(): void {
    const [first] = this.#held;
    if (first === undefined) return;
    this.#outage.meet(this.#held.length + this.#heldBeyond, first.at);
    this.#held = [];
    this.#heldBeyond = 0;
    const { failures, action } = this.#options;
    failures.tell('log', 'the event log cannot be used', first.error, { operation: first.operation, action });
  }

  #tellHeld(): void {
    for (const failed of this.#held) this.#tell(failed);
    if (this.#heldBeyond > 0) this.#options.logger.error('the event log failed more often', { failed: this.#heldBeyond });
    this.#held = [];
    this.#heldBeyond = 0;
  }

  #tell({ error, operation }: Failed): void {
    this.#options.failures.tell('log', 'the event log failed', error, { operation });
  }
}
