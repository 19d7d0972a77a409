/** How late the event loop was of late: what everybody waits for, whoever asks for the health among them. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How often it is looked at, and for how long a look counts, in ms. */
const RESOLUTION_MS = 20;
const PERIOD_MS = 10_000;

export class EventLoopDelay implements Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #before = 0;

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      this.#before = this.#now;
      this.#histogram.reset();
    }, PERIOD_MS);
    this.#timer.unref();
  }

  /** What it was late by in ms, but for the worst hundredth, in the last ten seconds or the ten before. */
  get lateMs(): number {
    return Math.max(this.#before, this.#now);
  }

  get #now(): number {
    return Math.max(0, Math.round(this.#histogram.percentile(99) / 1e6) - RESOLUTION_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }
}
