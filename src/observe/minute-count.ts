/** Counts what happened within the last minute, by the monotonic clock, second by second: counting is cheap, and takes no room. */

const SECONDS = 60;

export class MinuteCount {
  readonly #counts = new Float64Array(SECONDS);
  /** The second that is counted now, since the process began. */
  #second = 0;

  add(): void {
    this.#turn();
    const place = this.#second % SECONDS;
    this.#counts[place] = (this.#counts[place] as number) + 1;
  }

  get total(): number {
    this.#turn();
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Forgets the seconds that are over for a minute. */
  #turn(): void {
    const second = Math.floor(performance.now() / 1000);
    const over = Math.min(SECONDS, second - this.#second);
    for (let n = 0; n < over; n += 1) this.#counts[(second - n) % SECONDS] = 0;
    this.#second = second;
  }
}
