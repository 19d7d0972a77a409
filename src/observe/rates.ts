/** Rates over the last minute, of totals that only grow: looked at every second, so that asking costs nothing. */

const SAMPLE_MS = 1000;
const WINDOW_MS = 60_000;

export class Rates<K extends string> implements Disposable {
  readonly #read: () => Readonly<Record<K, number>>;
  /** Oldest first; one more than the window has, so that the oldest is as old as the window. */
  readonly #samples: { readonly at: number; readonly totals: Readonly<Record<K, number>> }[] = [];
  readonly #timer: NodeJS.Timeout;

  /** @param read gives the totals as they are. */
  constructor(read: () => Readonly<Record<K, number>>) {
    this.#read = read;
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#timer.unref();
  }

  /** What each total grew by in a second, on average over the last minute or since the start. */
  perSecond(): Record<K, number> {
    const now = { at: performance.now(), totals: this.#read() };
    const then = this.#samples[0] ?? now;
    const seconds = Math.max(now.at - then.at, SAMPLE_MS) / 1000;
    const rateOf = (key: K) => Math.round(((now.totals[key] - then.totals[key]) / seconds) * 100) / 100;
    return Object.fromEntries(Object.keys(now.totals).map((key) => [key, rateOf(key as K)])) as Record<K, number>;
  }

  #sample(): void {
    this.#samples.push({ at: performance.now(), totals: this.#read() });
    if (this.#samples.length > WINDOW_MS / SAMPLE_MS + 1) this.#samples.shift();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
