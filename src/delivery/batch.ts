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
  /** Told of the bytes of each form that is kept. */
  onGrown: ((bytes: number) => void) | undefined;
  #forms: Map<string, Buffer> | undefined;

  /** @param deliveries at least one. */
  constructor(deliveries: readonly Delivery[]) {
    this.deliveries = deliveries;
  }

  /** Bytes of memory that it takes, at most, without its forms. */
  get bytes(): number {
    return this.deliveries.reduce((sum, { bytes }) => sum + bytes, 0);
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
  render(form: string, make: (deliveries: readonly Delivery[]) => Buffer): Buffer {
    this.#forms ??= new Map();
    let rendered = this.#forms.get(form);
    if (rendered === undefined) {
      rendered = make(this.deliveries);
      if (this.#forms.size < MAX_FORMS) {
        this.#forms.set(form, rendered);
        this.onGrown?.(rendered.length);
      }
    }
    return rendered;
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
