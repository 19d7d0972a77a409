/** Measures how late the event loop was in the last seconds: everybody waits for it, also a check of the health. */

/** How often the loop is looked at, and for how long a look counts, in ms. */
const LOOK_MS = 20;
const PERIOD_MS = 10_000;

export class EventLoopDelay implements Disposable {
  readonly #timer: NodeJS.Timeout;
  /** The average wait in the period that is over, in ms; and the sum of squared delays in the present one. */
  #before = 0;
  #squares = 0;
  #begun = performance.now();
  #looked = this.#begun;

  constructor() {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** The average wait of a call that came at any moment of the last ten seconds, or of the ten before, in ms. */
  get lateMs(): number {
    return Math.round(Math.max(this.#before, this.#now));
  }

  /** A call that comes while the loop is busy waits for half of that time on average: a long time is met more often, too. */
  #look(): void {
    const now = performance.now();
    this.#squares += Math.max(0, now - this.#looked - LOOK_MS) ** 2;
    this.#looked = now;
    if (now - this.#begun < PERIOD_MS) return;
    this.#before = this.#now;
    this.#squares = 0;
    this.#begun = now;
  }

  get #now(): number {
    return this.#squares / 2 / Math.max(PERIOD_MS, this.#looked - this.#begun);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
