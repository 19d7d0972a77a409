/**
 * Some deliveries on their way together, in sequence order. However many subscribers get them, their bytes are made once
 * for each distinct form.
 */
import type { Delivery } from './delivery.ts';

/** UTF-16 units of event bodies that are handed over at once, about: a fraction of what a socket takes before it is full. */
export const BATCH_LENGTH = 64 * 1024;
/** Distinct forms kept with one batch, at most; further ones are made for each use. */
const MAX_FORMS = 8;

export class Batch {
  readonly deliveries: readonly Delivery[];
  #bytes: Map<string, Buffer> | undefined;

  /** @param deliveries at least one. */
  constructor(deliveries: readonly Delivery[]) {
    this.deliveries = deliveries;
  }

  get lastSeq(): number {
    return (this.deliveries[this.deliveries.length - 1] as Delivery).seq;
  }

  /** What of it comes after `seq`; itself when all of it does, undefined when nothing does. */
  after(seq: number): Batch | undefined {
    if ((this.deliveries[0] as Delivery).seq > seq) return this;
    const rest = this.deliveries.filter((delivery) => delivery.seq > seq);
    return rest.length === 0 ? undefined : new Batch(rest);
  }

  /** The bytes that `make` gives; made on the first call for `form` and shared by all later ones. */
  bytes(form: string, make: (deliveries: readonly Delivery[]) => Buffer): Buffer {
    this.#bytes ??= new Map();
    let bytes = this.#bytes.get(form);
    if (bytes === undefined) {
      bytes = make(this.deliveries);
      if (this.#bytes.size < MAX_FORMS) this.#bytes.set(form, bytes);
    }
    return bytes;
  }
}

/** Puts deliveries into batches of about `length` UTF-16 units of bodies, each of at least one. */
export function* batchesOf(deliveries: Iterable<Delivery>, length: number): Generator<Batch, void> {
  let some: Delivery[] = [];
  let sum = 0;
  for (const delivery of deliveries) {
    some.push(delivery);
    sum += delivery.length;
    if (sum < length) continue;
    yield new Batch(some);
    some = [];
    sum = 0;
  }
  if (some.length > 0) yield new Batch(some);
}
