/**
 * The live window: the latest events in memory, without holes, up to a bound of bytes. Subscribers that are only a little
 * behind read here instead of in the log; and since reading here needs no waiting, it is where they catch up for good.
 */
import type { Delivery } from './batch.ts';

/** Places of the ring at first. */
const FIRST_PLACES = 1024;

export class LiveWindow {
  readonly #maxBytes: number;
  /** A ring: an event has the place of its number, modulo the number of places, which is a power of two. */
  #ring: (Delivery | undefined)[] = Array(FIRST_PLACES).fill(undefined);
  /** The number of the oldest event in it. */
  #oldestSeq = 0;
  #count = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds the next event. Events come in sequence order, each number once; `clear` comes before a jump. */
  push(delivery: Delivery): void {
    if (this.#count === 0) this.#oldestSeq = delivery.seq;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.#placeOf(delivery.seq)] = delivery;
    this.#count += 1;
    this.#bytes += delivery.bytes;
    while (this.#bytes > this.#maxBytes && this.#count > 1) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const place = this.#placeOf(this.#oldestSeq);
    this.#bytes -= (this.#ring[place] as Delivery).bytes;
    this.#ring[place] = undefined;
    this.#oldestSeq += 1;
    this.#count -= 1;
  }

  #grow(): void {
    const all = [...this.after(this.#oldestSeq - 1)];
    this.#ring = Array(this.#ring.length * 2).fill(undefined);
    for (const delivery of all) this.#ring[this.#placeOf(delivery.seq)] = delivery;
  }

  #placeOf(seq: number): number {
    return seq % this.#ring.length;
  }

  clear(): void {
    this.#ring.fill(undefined);
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Whether it has every event after `seq`. @param lastSeq of the last event that there is. */
  covers(seq: number, lastSeq: number): boolean {
    return seq >= lastSeq || (this.#count > 0 && seq >= this.#oldestSeq - 1);
  }

  /** Its events after `seq`, oldest first. */
  *after(seq: number): Generator<Delivery, void> {
    const from = Math.max(seq + 1, this.#oldestSeq);
    for (let next = from; next >= this.#oldestSeq && next < this.#oldestSeq + this.#count; next += 1) {
      yield this.#ring[this.#placeOf(next)] as Delivery;
    }
  }
}
