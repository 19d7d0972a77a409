/**
 * The live window: the latest events in memory, without holes, up to a bound of bytes. Subscribers that are only a little
 * behind read here instead of in the log; and since reading here needs no waiting, it is where they catch up for good.
 */
import type { Delivery } from './batch.ts';

export class LiveWindow {
  readonly #maxBytes: number;
  /** By number. */
  readonly #events = new Map<number, Delivery>();
  /** The number of the oldest event in it. */
  #oldestSeq = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds the next event. Events come in sequence order, each number once; `clear` comes before a jump. */
  push(delivery: Delivery): void {
    if (this.#events.size === 0) this.#oldestSeq = delivery.seq;
    this.#events.set(delivery.seq, delivery);
    this.#bytes += delivery.bytes;
    while (this.#bytes > this.#maxBytes && this.#oldestSeq < delivery.seq) {
      this.#bytes -= this.#events.get(this.#oldestSeq)?.bytes ?? 0;
      this.#events.delete(this.#oldestSeq);
      this.#oldestSeq += 1;
    }
  }

  clear(): void {
    this.#events.clear();
    this.#bytes = 0;
  }

  /** Whether it has every event after `seq`. @param lastSeq of the last event that there is. */
  covers(seq: number, lastSeq: number): boolean {
    return seq >= lastSeq || (this.#events.size > 0 && seq >= this.#oldestSeq - 1);
  }

  /** Its events after `seq`, oldest first. */
  *after(seq: number): Generator<Delivery, void> {
    let next = Math.max(seq + 1, this.#oldestSeq);
    for (let delivery = this.#events.get(next); delivery !== undefined; delivery = this.#events.get(next)) {
      yield delivery;
      next += 1;
    }
  }
}
