/**
 * What things have become since it was told last: each once, as its latest delivery has it, in the order of those. It knows who is to be
 * told: those who joined in between what came after that, and that a thing is gone only those who may have it.
 */
import type { Filter } from '../contract/filter.ts';
import { Batch, batchesOf, type Delivery } from './batch.ts';

/** With so many things, or so many UTF-16 units of their bodies, it is to be told before its time. */
const MAX_THINGS = 10_000;
const MAX_UNITS = 4 * 1024 * 1024;

interface Latest {
  readonly delivery: Delivery;
  /** Its count among what was taken, from 1 on. */
  readonly at: number;
  /** Whether those may have the thing who were there before anything was taken. */
  readonly wasHad: boolean;
  /** The counts at which the thing came to be selected, or ceased to be: between two of them somebody has joined. */
  readonly turns: readonly number[];
}

export class LatestThings {
  /** Everything up to this number was told. */
  readonly afterSeq: number;
  /** The number of what was taken last. */
  lastSeq: number;
  readonly #filter: Filter;
  /** By thing, the latest at the end. What stands for itself has a place of its own. */
  readonly #latest = new Map<string | Delivery, Latest>();
  /** All of it. */
  #whole: readonly Batch[] | undefined;
  /** What those are told who joined at a count. */
  readonly #told = new Map<number, readonly Batch[]>();
  #units = 0;
  #taken = 0;
  /** The count at which somebody joined last. */
  #joinedAt = 0;

  /** @param filter that has selected what it takes. */
  constructor(filter: Filter, afterSeq: number) {
    this.#filter = filter;
    this.afterSeq = afterSeq;
    this.lastSeq = afterSeq;
  }

  /** Whether it is to be told now. */
  get isFull(): boolean {
    return this.#latest.size >= MAX_THINGS || this.#units >= MAX_UNITS;
  }

  /** Takes what was selected, in sequence order. */
  take(delivery: Delivery): void {
    const { thing } = delivery;
    this.#taken += 1;
    this.lastSeq = delivery.seq;
    const known = thing === undefined ? undefined : this.#latest.get(thing);
    if (thing !== undefined && known !== undefined) {
      this.#latest.delete(thing);
      this.#units -= known.delivery.units;
    }
    if (thing === undefined || delivery.isForgotten) this.#put(delivery, this.#latestOf(delivery, undefined));
    else this.#put(thing, this.#latestOf(delivery, known));
  }

  /** Somebody joins. Returns the count by which it is told what is taken from now on. */
  join(): number {
    this.#joinedAt = this.#taken;
    return this.#joinedAt;
  }

  /** What those are told who joined at a count; 0 for those who were there before. From then on nothing is taken. */
  toldSince(count: number, batchUnits: number): readonly Batch[] {
    const known = this.#told.get(count);
    if (known !== undefined) return known;
    const told = this.#partsSince(count, batchUnits);
    this.#told.set(count, told);
    return told;
  }

  #put(key: string | Delivery, latest: Latest): void {
    const { delivery, wasHad, turns } = latest;
    // It has come and gone: nobody has it.
    if (delivery.isRemoval && !wasHad && turns.length === 0) return;
    this.#latest.set(key, latest);
    this.#units += delivery.units;
  }

  #latestOf(delivery: Delivery, known: Latest | undefined): Latest {
    const wasHad = known?.wasHad ?? delivery.mayBeHad(this.#filter);
    const turns = known?.turns ?? [];
    const isHad = known === undefined ? wasHad : !known.delivery.isRemoval;
    return { delivery, at: this.#taken, wasHad, turns: isHad === delivery.isRemoval ? this.#turned(turns) : turns };
  }

  /** Where nobody has joined since it turned last, both turns are as if they had not been. */
  #turned(turns: readonly number[]): readonly number[] {
    return (turns.at(-1) ?? 0) > this.#joinedAt ? turns.slice(0, -1) : [...turns, this.#taken];
  }

  /** Parts of the same batches: those who are told all of one share its bytes. */
  #partsSince(count: number, batchUnits: number): readonly Batch[] {
    const all = [...this.#latest.values()];
    this.#whole ??= [...batchesOf(deliveriesOf(all), batchUnits)];
    let from = 0;
    return this.#whole.flatMap((whole) => {
      const to = from + whole.deliveries.length;
      const told = all.slice(from, to).filter((latest) => isTold(latest, count));
      from = to;
      if (told.length === whole.deliveries.length) return whole;
      return told.length === 0 ? [] : new Batch(deliveriesOf(told));
    });
  }
}

/** Whether it is told to who joined at a count. */
function isTold({ delivery, at, wasHad, turns }: Latest, count: number): boolean {
  if (at <= count) return false;
  if (!delivery.isRemoval) return true;
  const turned = turns.filter((turn) => turn <= count).length;
  return wasHad === (turned % 2 === 0);
}

function deliveriesOf(all: readonly Latest[]): Delivery[] {
  return all.map(({ delivery }) => delivery);
}
