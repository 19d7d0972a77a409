/** Something that is done again and again, one round after the other. */
export class Rounds implements Disposable {
  readonly #step: () => Promise<void>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #isBusy = false;
  /** Whether something happened meanwhile. */
  #isSoon = false;
  #isEnded = false;

  /** @param step never rejects. @param everyMs from the end of one round to the next. */
  constructor(step: () => Promise<void>, everyMs: number) {
    this.#step = step;
    this.#everyMs = everyMs;
  }

  /** Resolves when the round that is under way has ended. */
  get settled(): Promise<void> {
    return this.#round;
  }

  /** A round, unless one is under way; later comes the next. */
  async take(): Promise<void> {
    if (this.#isBusy || this.#isEnded) return;
    clearTimeout(this.#timer);
    this.#isBusy = true;
    this.#round = this.#step();
    await this.#round;
    this.#isBusy = false;
    this.#takeIn(this.#isSoon ? 0 : this.#everyMs);
    this.#isSoon = false;
  }

  /** Once more as soon as can be, however often that is said. */
  soon(): void {
    if (this.#isBusy) this.#isSoon = true;
    else this.#takeIn(0);
  }

  /** What is under way goes on to its end. */
  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }

  #takeIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#isEnded) this.#timer = setTimeout(() => void this.take(), ms).unref();
  }
}
