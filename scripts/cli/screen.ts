/** Lines that stay where they are on a terminal and are written over. */
import { type Line, rendered } from './line.ts';

/** Moves so many lines up, to the first column, and clears all below. */
const back = (lines: number) => `\r${lines > 0 ? `\u001b[${lines}A` : ''}\u001b[J`;

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #everyMs: number;
  readonly #lines: () => readonly Line[];
  /** Lines above the cursor that were drawn last. */
  #drawn = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** For the terminal to take what was drawn before. */
  #isWaiting = false;
  readonly #onResize = () => this.draw();

  /** @param everyMs the least time between two drawings. @param lines what is to be seen, when it is drawn; each fits into a row. */
  constructor(stream: NodeJS.WriteStream, everyMs: number, lines: () => readonly Line[]) {
    this.#stream = stream;
    this.#everyMs = everyMs;
    this.#lines = lines;
    stream.on('resize', this.#onResize);
  }

  /** Draws it anew, soon: what changes meanwhile is drawn with it. */
  draw(): void {
    this.#timer ??= setTimeout(() => this.#write(), Math.max(0, this.#drawnAt + this.#everyMs - performance.now()));
  }

  /** Draws it for the last time, and leaves it there. */
  end(): void {
    this.#stream.off('resize', this.#onResize);
    this.#write();
  }

  #drained(): void {
    this.#isWaiting = false;
    this.draw();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // A terminal that does not take what was drawn before is not given more.
    if (this.#stream.writableNeedDrain) {
      if (!this.#isWaiting) this.#stream.once('drain', () => this.#drained());
      this.#isWaiting = true;
      return;
    }
    // What is above the terminal's first row cannot be written over.
    const lines = this.#lines().slice(0, Math.max(1, this.#stream.rows - 1));
    this.#stream.write(`${back(this.#drawn)}${lines.map((line) => `${rendered(line, this.#stream)}\n`).join('')}`);
    this.#drawn = lines.length;
    this.#drawnAt = performance.now();
  }
}
