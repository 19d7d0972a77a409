/**
 * The latest events in memory, without holes, up to a bound of bytes. Subscribers that are only a little behind read
 * here instead of in the log; and since reading here needs no waiting, it is where they catch up for good.
 */
import type { Delivery } from './delivery.ts';

export class RecentEvents {
  readonly #maxBytes: number;
  /** By number. */
  readonly #events = new Map<number, Delivery>();
  /** The number of the first that is held. */
  #oldest = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds the next event. Events come in sequence order, each number once; `clear` comes before a jump. */
  push(delivery: Delivery): void {
    if (this.#events.size === 0) this.#oldest = delivery.seq;
    this.#events.set(delivery.seq, delivery);
    this.#bytes += delivery.bytes;
    while (this.#bytes > this.#maxBytes && this.#oldest < delivery.seq) {
      this.#bytes -= this.#events.get(this.#oldest)?.bytes ?? 0;
      this.#events.delete(this.#oldest);
      this.#oldest += 1;
    }
  }

  clear(): void {
    this.#events.clear();
    this.#bytes = 0;
  }

  /** Whether every event after `seq` that there is so far is here. `position` is the last number there is. */
  covers(seq: number, position: number): boolean {
    return seq >= position || (this.#events.size > 0 && seq >= this.#oldest - 1);
  }

  /** The held events after `seq`, oldest first. */
  *after(seq: number): Generator<Delivery, void> {
    let next = Math.max(seq + 1, this.#oldest);
    for (let delivery = this.#events.get(next); delivery !== undefined; delivery = this.#events.get(next)) {
      yield delivery;
      next += 1;
    }
  }
}
