/**
 * Turns of the event loop: how much of what clients have sent is looked at in one of them. What many have sent at once is
 * looked at a little at a time, so that everybody else, whoever asks for the health first of all, waits for a moment only.
 */

/** Bytes that one turn takes, about: a few milliseconds of reading, checking and storing. */
const TURN_BYTES = 512 * 1024;

export class Turns {
  #left = TURN_BYTES;
  #isBegun = false;
  #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];

  /** Resolves when so many bytes have their turn, first come first served; undefined when that is now. */
  take(bytes: number): Promise<void> | undefined {
    this.#begin();
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left -= bytes;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  #begin(): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#isBegun = false;
    this.#left = TURN_BYTES;
    let taken = 0;
    for (const { bytes, resolve } of this.#waiting) {
      if (this.#left <= 0) break;
      this.#left -= bytes;
      taken += 1;
      resolve();
    }
    if (taken === 0) return;
    this.#waiting = this.#waiting.slice(taken);
    this.#begin();
  };
}
