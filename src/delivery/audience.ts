/**
 * Those who are live and want the same. An event costs an audience one step, however many members it has: events are
 * gathered for the rest of the turn of the event loop, and each member gets them all at once.
 *
 * Invariant: every member has been given each event that was dispatched to the audience since it joined, but for those
 * that are gathered; nobody joins or leaves while some are.
 */
import type { Selector } from '../contract/channels.ts';
import type { Meter } from '../observe/meter.ts';
import { Batch } from './batch.ts';
import type { Delivery } from './delivery.ts';
import type { Interest } from './interest.ts';
import type { Sink } from './sink.ts';

/** A subscriber that is live. */
export interface Member {
  readonly sink: Sink;
  /**
   * It is out: its sink was full, or the sequence jumped. Every event up to `seq` has been given to it, none after; it
   * must go back to the log.
   */
  onBehind(seq: number): void;
}

export class Audience {
  readonly selector: Selector;
  readonly #members = new Set<Member>();
  readonly #meter: Meter;
  readonly #onLeft: () => void;
  readonly #types: ReadonlySet<string> | undefined;
  readonly #batchLength: number;
  #gathered: Delivery[] = [];
  #gatheredLength = 0;
  /** Where everyone was told to be last, by an event or a notice. */
  #givenSeq: number;

  /**
   * @param seq the number that the first of its members knows to be at.
   * @param onLeft told of each member that is no longer one.
   */
  constructor({ selector, types }: Interest, seq: number, batchLength: number, meter: Meter, onLeft: () => void) {
    this.selector = selector;
    this.#types = types;
    this.#givenSeq = seq;
    this.#batchLength = batchLength;
    this.#meter = meter;
    this.#onLeft = onLeft;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Of the events that the selector selects. */
  wants(delivery: Delivery): boolean {
    return this.#types === undefined || this.#types.has(delivery.type);
  }

  /** Takes an event that it wants, in sequence order. Returns whether it is the first that is gathered. */
  take(delivery: Delivery): boolean {
    this.#gatheredLength += delivery.length;
    const isFirst = this.#gathered.push(delivery) === 1;
    if (this.#gatheredLength < this.#batchLength) return isFirst;
    this.give();
    return false;
  }

  join(member: Member): void {
    this.give();
    this.#members.add(member);
  }

  /** Does nothing when it is out already. */
  leave(member: Member): void {
    this.give();
    if (this.#members.delete(member)) this.#onLeft();
  }

  /** Gives what is gathered to every member that can take it; the others are out. */
  give(): void {
    if (this.#gathered.length === 0) return;
    const batch = new Batch(this.#gathered);
    const givenBefore = this.#givenSeq;
    this.#gathered = [];
    this.#gatheredLength = 0;
    this.#givenSeq = batch.lastSeq;
    let given = 0;
    for (const member of this.#members) {
      if (member.sink.writable) {
        member.sink.deliver(batch);
        given += 1;
      } else this.#dismiss(member, givenBefore);
    }
    this.#meter.delivered(given * batch.deliveries.length);
  }

  /** Tells every member where it is, when nothing was given after `seq`; one that cannot take it is out, and told when it comes back. */
  tellQuiet(notice: Batch, seq: number): void {
    this.give();
    const givenBefore = this.#givenSeq;
    if (givenBefore > seq) return;
    this.#givenSeq = notice.lastSeq;
    for (const member of this.#members) {
      if (member.sink.writable) member.sink.deliver(notice);
      else this.#dismiss(member, givenBefore);
    }
  }

  /** Tells one member where it is, unless what was given last says so. */
  tell({ sink }: Member, notice: Batch): void {
    this.give();
    if (sink.writable && this.#givenSeq < notice.lastSeq) sink.deliver(notice);
  }

  /** The sequence jumped: events after `seq` were not passed on. Everyone is out. */
  interrupt(seq: number): void {
    this.give();
    for (const member of this.#members) this.#dismiss(member, seq);
  }

  #dismiss(member: Member, seq: number): void {
    this.#members.delete(member);
    this.#onLeft();
    member.onBehind(seq);
  }
}
