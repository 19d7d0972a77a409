/** When to show what has changed: with the next frame of a page. */
import { withoutCause } from '../cause.ts';

/** The shortest time between two frames where nothing draws, in ms: a frame of most screens. */
const FRAME_MS = 16;
/** How long a page that draws nothing, such as one in the background, waits for its frame, in ms. */
const HIDDEN_MS = 250;

interface Page {
  requestAnimationFrame(callback: () => void): number;
  cancelAnimationFrame(id: number): void;
}

/** Calls `show` with the frame after something has changed, however much changes until then: what a frame shows is for no single event. */
export class Frames {
  readonly #show: () => void;
  #isAsked = false;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(show: () => void) {
    this.#show = show;
  }

  ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    withoutCause(() => this.#plan());
  }

  #plan(): void {
    const page = globalThis as Partial<Page>;
    if (page.requestAnimationFrame === undefined) {
      setTimeout(() => this.#frame(), Math.max(0, this.#shownAt + FRAME_MS - performance.now()));
      return;
    }
    const frame = page.requestAnimationFrame(() => {
      clearTimeout(timer);
      this.#frame();
    });
    const timer = setTimeout(() => {
      page.cancelAnimationFrame?.(frame);
      this.#frame();
    }, HIDDEN_MS);
  }

  #frame(): void {
    this.#isAsked = false;
    this.#shownAt = performance.now();
    this.#show();
  }
}
