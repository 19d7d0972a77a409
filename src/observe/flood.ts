/** Lines of one kind: so many within a window, by the monotonic clock. What is left out is told once, at the end of the window. */

export interface FloodOptions {
  /** Lines within a window, at most. */
  readonly most: number;
  readonly windowMs: number;
  /** Tells what was left out. */
  readonly onLeftOut: () => void;
}

export class Flood {
  readonly #options: FloodOptions;
  #startedAt = Number.NEGATIVE_INFINITY;
  #lines = 0;
  /** There while something was left out that was not told. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FloodOptions) {
    this.#options = options;
  }

  /** Whether one more line is to be written; else its sender counts it, to tell it later. */
  admit(): boolean {
    const { most, windowMs } = this.#options;
    const now = performance.now();
    if (now - this.#startedAt >= windowMs) {
      this.flush();
      this.#startedAt = now;
      this.#lines = 0;
    }
    if (this.#lines < most) {
      this.#lines += 1;
      return true;
    }
    this.#timer ??= setTimeout(() => this.flush(), windowMs - (now - this.#startedAt)).unref();
    return false;
  }

  /** Tells now what was left out, if anything was. */
  flush(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#options.onLeftOut();
  }
}
