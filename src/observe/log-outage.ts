/**
 * Tells an outage of the event log from the failure of one operation. After a failure the log is tried, and again each second
 * while that fails: all that fails meanwhile is one outage, with a line at its beginning and one at its end. What fails of a log that
 * works is told one by one.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Failures } from './failures.ts';
import type { Logger } from './logger.ts';
import { Outage } from './outage.ts';

const TRY_MS = 1000;
/** Failures that are told once the log was found to work, at most. */
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
}

export class LogOutage implements Disposable {
  readonly #options: LogOutageOptions;
  readonly #outage: Outage;
  readonly #closing = new AbortController();
  /** Of which is not known yet what they are. */
  #held: Failed[] = [];
  #isTrying = false;

  constructor(options: LogOutageOptions) {
    this.#options = options;
    this.#outage = new Outage({ ...options, goesOn: 'the event log still cannot be used', over: 'the event log can be used again' });
  }

  /** To be told of each failure. */
  readonly onError = (error: unknown, operation: string): void => {
    if (!this.#options.failures.take('log', error)) return;
    if (this.#outage.isOn) this.#outage.meet();
    else if (this.#held.length < MAX_HELD) this.#held.push({ error, operation });
    if (!this.#isTrying) void this.#try();
  };

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#outage[Symbol.dispose]();
    this.#tellHeld();
  }

  /** Tries until the log works. Never rejects. */
  async #try(): Promise<void> {
    const { signal } = this.#closing;
    this.#isTrying = true;
    while (!signal.aborted) {
      const works = await this.#options.probe().then(
        () => true,
        () => false,
      );
      if (signal.aborted) return;
      if (works) break;
      this.#begin();
      await wait(TRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
    this.#isTrying = false;
    this.#outage.end();
    this.#tellHeld();
  }

  /** Does nothing when it has begun. */
  #begin(): void {
    const [first] = this.#held;
    if (first === undefined) return;
    for (const _ of this.#held) this.#outage.meet();
    this.#held = [];
    const { failures, action } = this.#options;
    failures.tell('log', 'the event log cannot be used', first.error, { operation: first.operation, action });
  }

  #tellHeld(): void {
    for (const { error, operation } of this.#held) this.#options.failures.tell('log', 'the event log failed', error, { operation });
    this.#held = [];
  }
}
