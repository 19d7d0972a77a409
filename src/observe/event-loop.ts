/** How late the event loop was of late: what everybody waits for, whoever asks for the health among them. */

/** How often it is looked at, and for how long a look counts, in ms. */
const LOOK_MS = 20;
const PERIOD_MS = 10_000;

export class EventLoopDelay implements Disposable {
  readonly #timer: NodeJS.Timeout;
  /** Of the period that is over, and of the present one: what somebody waited on average who came at any moment, in ms. */
  #before = 0;
  #squares = 0;
  #begun = performance.now();
  #looked = this.#begun;

  constructor() {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** What somebody had to wait on average who came at any moment of the last ten seconds, or of the ten before, in ms. */
  get lateMs(): number {
    return Math.round(Math.max(this.#before, this.#now));
  }

  /** Whoever comes while it is busy waits for half of that time: a long time is met more often, and waited for longer. */
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
