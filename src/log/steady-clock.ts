/**
 * The time, as far as it can be told where the wall clock may jump. A jump is noticed against the monotonic clock, and until
 * the new time has stood for an hour two times are possible: that of before, gone on evenly, and the new one. What is stored
 * gets the later one and what is removed is measured by the earlier one, so that nothing is removed too early.
 */

/** Between these two it is now, in whole ms since 1970; they are the same while the clock runs evenly. */
export interface Moment {
  readonly earliest: number;
  readonly latest: number;
}

export interface SteadyClockOptions {
  /** In ms since 1970. */
  readonly wall?: () => number;
  /** In ms, from any time on. */
  readonly monotonic?: () => number;
  /** When something happened last before this process began. The clock may have jumped since then. */
  readonly knownMs?: number | undefined;
  /** Told of a jump: by how many ms, forward when positive. */
  readonly onJump?: ((byMs: number) => void) | undefined;
}

/** By how much the two clocks may part between two looks, in ms. */
const TOLERANCE_MS = 5000;
/** How long nothing may have happened before the start without that counting as a jump, in ms. */
const MAX_IDLE_MS = 24 * 60 * 60 * 1000;
/** For how long a new time must have stood to be believed, in ms. */
const CONFIRMED_MS = 60 * 60 * 1000;

interface Reading {
  readonly wall: number;
  readonly monotonic: number;
}

export class SteadyClock {
  readonly #read: () => Reading;
  readonly #onJump: ((byMs: number) => void) | undefined;
  /** The last that is believed. */
  #at: Reading;
  /** The first behind a jump. */
  #doubted: Reading | undefined;

  constructor({ wall = () => Date.now(), monotonic = () => performance.now(), knownMs, onJump }: SteadyClockOptions = {}) {
    this.#read = () => ({ wall: wall(), monotonic: monotonic() });
    this.#onJump = onJump;
    const first = this.#read();
    const isPlausible = knownMs === undefined || (first.wall >= knownMs - TOLERANCE_MS && first.wall <= knownMs + MAX_IDLE_MS);
    this.#at = isPlausible ? first : { ...first, wall: knownMs };
  }

  now(): Moment {
    const read = this.#read();
    const expected = goneOn(this.#at, read);
    const isEven = Math.abs(read.wall - expected) <= TOLERANCE_MS;
    if (isEven || this.#isConfirmed(read)) {
      this.#at = read;
      this.#doubted = undefined;
      return { earliest: read.wall, latest: read.wall };
    }
    if (this.#doubted === undefined || Math.abs(read.wall - goneOn(this.#doubted, read)) > TOLERANCE_MS) {
      this.#doubted = read;
      this.#onJump?.(read.wall - expected);
    }
    return { earliest: Math.min(expected, read.wall), latest: Math.max(expected, read.wall) };
  }

  #isConfirmed(read: Reading): boolean {
    if (this.#doubted === undefined || read.monotonic - this.#doubted.monotonic < CONFIRMED_MS) return false;
    return Math.abs(read.wall - goneOn(this.#doubted, read)) <= TOLERANCE_MS;
  }
}

/** The time that it would be now, in whole ms. */
function goneOn(from: Reading, { monotonic }: Reading): number {
  return from.wall + Math.round(monotonic - from.monotonic);
}

/** What tells the time to a log: this machine's clock, or one that is believed whatever it does. */
export function clockOf(
  { now, onClockJump }: { readonly now?: (() => number) | undefined; readonly onClockJump?: ((byMs: number) => void) | undefined },
  knownMs?: number,
): () => Moment {
  if (now !== undefined) return () => ({ earliest: now(), latest: now() });
  const clock = new SteadyClock({ knownMs, onJump: onClockJump });
  return () => clock.now();
}
