/**
 * Shares the gateway's time between publishers and replays: says how long reading rests after a page, while something is published.
 * Beside one replay publishers have eight ninths of the time, and less beside several. But a replay goes on at least twice as fast as
 * is published: it comes to its end, however much that is.
 */
import type { Delivery } from './batch.ts';

/** What an event of a page costs the gateway until it has left for its socket, in ms, and each UTF-16 unit of its body: as measured, about. */
const EVENT_MS = 2e-3;
const UNIT_MS = 3e-6;
/** How many times as long as one replay publishers have. */
const PUBLISHERS_SHARE = 8;
/** How many times as fast as is published a replay goes on, at least. */
const LEAD = 2;
/** What is too short for a timer, in ms. */
const SHORTEST_MS = 0.5;

/** A page that was read. */
export interface PacedPage {
  readonly deliveries: readonly Pick<Delivery, 'units'>[];
  /** How many numbers of the log it went over. */
  readonly numbers: number;
}

export class Pacing {
  readonly #now: () => number;
  /** Events that were published since the last page. */
  #published = 0;
  /** When that was, and the rest after it, in ms. */
  #lastAt: number;
  #lastRestMs = 0;

  /** @param now the monotonic clock, in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#lastAt = now();
  }

  notePublished(events: number): void {
    this.#published += events;
  }

  /** @param replays how many take turns at reading. @returns in ms; 0 for none. */
  restAfter({ deliveries, numbers }: PacedPage, replays: number): number {
    const now = this.#now();
    const elapsedMs = Math.max(1, now - this.#lastAt);
    const readingMs = Math.max(0, elapsedMs - this.#lastRestMs);
    const publishedPerMs = this.#published / elapsedMs;
    this.#published = 0;
    this.#lastAt = now;
    const costMs = deliveries.reduce((sum, { units }) => sum + EVENT_MS + UNIT_MS * units, 0);
    const mostMs = publishedPerMs === 0 ? 0 : numbers / (LEAD * publishedPerMs * replays) - readingMs;
    const restMs = Math.min((costMs * PUBLISHERS_SHARE) / replays, mostMs);
    this.#lastRestMs = restMs < SHORTEST_MS ? 0 : restMs;
    return this.#lastRestMs;
  }
}
