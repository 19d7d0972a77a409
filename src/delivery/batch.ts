/** Events and notices on their way to subscribers, and what takes them. Their bytes are made once for each distinct form. */
import { type Filter, selectsType } from '../contract/filter.ts';
import { bytesInMemory } from '../limits/bytes.ts';
import type { LaterText, StoredEvent } from '../log/log.ts';

/** UTF-16 units of event bodies that are handed over at once, about: a fraction of what a socket takes before it is full. */
export const BATCH_UNITS = 64 * 1024;
/** Distinct forms kept with one batch, about; further ones are made for each use. */
const MAX_FORMS = 16;

/** What is made of deliveries for some sinks. */
export interface Form<Made extends { readonly length: number } = Buffer> {
  /** Forms with the same name make the same. */
  readonly name: string;
  /** One of a few that most sinks have: it is kept, whatever others there are. */
  readonly isCommon?: boolean;
  make(deliveries: readonly Delivery[]): Made;
}

/** What a delivery is made of. */
interface Deliverable extends Pick<StoredEvent, 'seq' | 'channel' | 'type' | 'body' | 'later'> {
  readonly family: string | undefined;
}

/** An event of the log, or a notice of Courier itself. Its JSON is made once. */
export class Delivery {
  /** The event's number in the log; for a notice the number that its position stands at. */
  readonly seq: number;
  readonly channel: string;
  /** Undefined for a notice. */
  readonly family: string | undefined;
  readonly type: string;
  /** The type that subscribers read: that of a notice where one stands in the place of an event. */
  readonly toldType: string;
  /** What a subscriber resumes after: its position, or one before. */
  readonly id: string;
  /** UTF-16 units of its body. */
  readonly units: number;
  /** The body, read or not, until the whole JSON has been asked for, which takes its place. */
  #text: string | LaterText;
  #isWhole = false;

  constructor(id: string, event: Deliverable, toldType = event.type) {
    this.seq = event.seq;
    this.channel = event.channel;
    this.family = event.family;
    this.type = event.type;
    this.toldType = toldType;
    this.id = id;
    const { later } = event;
    this.#text = later ?? event.body;
    this.units = later?.units ?? event.body.length;
  }

  /** False where a notice stands in the place of an event. */
  get isReadable(): boolean {
    return this.toldType === this.type;
  }

  /** What stands in its JSON as `id`. */
  get position(): string {
    return this.id;
  }

  /** The event in plain JSON, as it stands on the wire of every transport. */
  get json(): string {
    if (!this.#isWhole) {
      const body = typeof this.#text === 'string' ? this.#text : this.#text.read();
      this.#text = `{"id":"${this.position}",${this.told(body).slice(1)}`;
      this.#isWhole = true;
    }
    return this.#text as string;
  }

  /** The body as subscribers are told it. */
  protected told(body: string): string {
    return body;
  }

  /** Whether its JSON has a timestamp, which is a Date over tRPC. */
  get hasTimestamp(): boolean {
    return true;
  }

  /** The name of the thing whose state it is; undefined for an event or a notice, which stand for themselves. */
  get thing(): string | undefined {
    return undefined;
  }

  /** Whether it says that its thing is gone, or is not selected any more. */
  get isRemoval(): boolean {
    return false;
  }

  /** Whether its thing was forgotten, which is told whatever the thing becomes later. */
  get isForgotten(): boolean {
    return false;
  }

  /** Whether those who were told what a filter selects may have had its thing before. */
  mayBeHad(_filter: Filter): boolean {
    return true;
  }

  /** What a filter that selects its channel makes of it: itself, something in its place, or nothing. */
  under({ types }: Filter): Delivery | undefined {
    return selectsType(types, this.type) ? this : undefined;
  }

  /** Bytes of memory that it takes, at most. */
  get bytes(): number {
    return bytesInMemory(this.units);
  }
}

/** Some deliveries together, in sequence order. However many subscribers get them, each form of their bytes is made once. */
export class Batch {
  readonly deliveries: readonly Delivery[];
  /** Told of the bytes of each form that is kept. */
  onGrown: ((bytes: number) => void) | undefined;
  #forms: Map<string, { readonly length: number }> | undefined;

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

  /** The part of it that comes after `seq`; itself when all of it does, undefined when nothing does. */
  after(seq: number): Batch | undefined {
    if ((this.deliveries[0] as Delivery).seq > seq) return this;
    const rest = this.deliveries.filter((delivery) => delivery.seq > seq);
    return rest.length === 0 ? undefined : new Batch(rest);
  }

  /** What `form` makes of them, shared with all who ask for the same. */
  render<Made extends { readonly length: number }>(form: Form<Made>): Made {
    const known = this.#forms?.get(form.name);
    if (known !== undefined) return known as Made;
    const made = form.make(this.deliveries);
    this.#forms ??= new Map();
    if (this.#forms.size >= MAX_FORMS && form.isCommon !== true) return made;
    this.#forms.set(form.name, made);
    this.onGrown?.(made.length);
    return made;
  }
}

/** Puts deliveries into batches of about `units` UTF-16 units of bodies, each of at least one. Those of one number stay together. */
export function* batchesOf(deliveries: Iterable<Delivery>, units: number): Generator<Batch, void> {
  let some: Delivery[] = [];
  let sum = 0;
  for (const delivery of deliveries) {
    if (sum >= units && some.at(-1)?.seq !== delivery.seq) {
      yield new Batch(some);
      some = [];
      sum = 0;
    }
    some.push(delivery);
    sum += delivery.units;
  }
  if (some.length > 0) yield new Batch(some);
}

/** What a subscriber delivers to: a socket, or the bounded queue behind an async iterator. */
export interface Sink {
  /**
   * Hands over events or notices, in order. Never waits and never throws; the sink reports through `writable`, which is
   * looked at before each batch, so that a sink holds its high-water mark and one batch at the most.
   */
  deliver(batch: Batch): void;
  /** False from the moment that the sink holds its high-water mark, until it has drained. */
  readonly writable: boolean;
  /**
   * Resolves when the sink can take more; rejects with the signal's reason when that aborts first. Called only while
   * `writable` is false.
   */
  drained(signal: AbortSignal): Promise<void>;
}
