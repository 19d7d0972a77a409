/**
 * The latest events in memory, without holes, up to a bound of bytes. Subscribers that are only a little behind read
 * here instead of in the log; and since reading here needs no waiting, it is where they catch up for good.
 */
import type { Delivery } from './delivery.ts';

/** Dropped entries that may stand at the front of the array before it is cut. */
const SLACK = 4096;

export class RecentEvents {
  readonly #maxBytes: number;
  #events: Delivery[] = [];
  /** Index of the oldest entry that is still held. */
  #start = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds the next event. Events come in sequence order, each number once; `clear` comes before a jump. */
  push(delivery: Delivery): void {
    this.#events.push(delivery);
    this.#bytes += delivery.length;
    while (this.#bytes > this.#maxBytes && this.#start < this.#events.length - 1) {
      this.#bytes -= (this.#events[this.#start] as Delivery).length;
      this.#start += 1;
    }
    if (this.#start > SLACK && this.#start * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#start);
      this.#start = 0;
    }
  }

  clear(): void {
    this.#events = [];
    this.#start = 0;
    this.#bytes = 0;
  }

  /** Whether every event after `seq` that there is so far is here. `position` is the last number there is. */
  covers(seq: number, position: number): boolean {
    const oldest = this.#events[this.#start];
    return seq >= position || (oldest !== undefined && seq >= oldest.seq - 1);
  }

  /** The held events after `seq`, oldest first. The list must not change while it is iterated. */
  *after(seq: number): Generator<Delivery, void> {
    const oldest = this.#events[this.#start];
    if (oldest === undefined) return;
    // Numbers are dense, so the place of one is known.
    for (let i = this.#start + Math.max(0, seq + 1 - oldest.seq); i < this.#events.length; i += 1) yield this.#events[i] as Delivery;
  }
}
