/**
 * Spreads work that many ask for at once over turns of the event loop, so that everybody else waits for a moment only, above
 * all a check of the health.
 */

export class Turns {
  readonly #most: number;
  #left: number;
  #isBegun = false;
  #waiting: { readonly cost: number; readonly resolve: () => void }[] = [];

  /** @param most of what one turn takes, about: some milliseconds of work, in any unit. */
  constructor(most: number) {
    this.#most = most;
    this.#left = most;
  }

  /** Resolves when so much has its turn, first come first served; undefined when that is now. */
  take(cost: number): Promise<void> | undefined {
    this.#begin();
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left -= cost;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push({ cost, resolve }));
  }

  #begin(): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#isBegun = false;
    this.#left = this.#most;
    let taken = 0;
    for (const { cost, resolve } of this.#waiting) {
      if (this.#left <= 0) break;
      this.#left -= cost;
      taken += 1;
      resolve();
    }
    if (taken === 0) return;
    this.#waiting = this.#waiting.slice(taken);
    this.#begin();
  };
}
