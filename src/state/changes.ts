/**
 * The states in memory: all that have changed since the checkpoint, in the order of their last changes, and some that changed before.
 * What has changed is there until it is stored; the rest goes when it takes too much memory.
 */
import { type Entity, MAX_STATE_BYTES } from '../contract/entities.ts';
import { bytesInMemory } from '../limits/bytes.ts';
import type { FoundState, StateCondition, StateRow } from '../log/state-store.ts';
import { itemBody } from './state-delivery.ts';

/** Of what the states of one entity are kept. */
export interface FoldTarget {
  readonly entity: Entity;
  /** The number of its build. */
  readonly build: number;
}

export interface Thing {
  readonly target: FoldTarget;
  readonly channel: string;
  readonly family: string;
  readonly key: string;
  /** The number of its last change; 0 when there was none. */
  seq: number;
  sinceSeq: number;
  /** Events up to here find it as it is: they had been committed when it was read. */
  readonly readSeq: number;
  /** As it was found; 0 since it has changed. */
  forgottenSeq: number;
  /** What is stored of it is of no use: events pass it over, until its entity is made anew. */
  readonly isDamaged: boolean;
  /** Undefined where it is gone, or has never been. */
  state: object | undefined;
  isOpen: boolean;
  /** Made when it is asked for. */
  body: string | undefined;
  /** Bytes of memory that it takes, about. */
  bytes: number;
}

interface Change {
  readonly thing: Thing;
  readonly seq: number;
}

/** Bytes that a thing takes beside its state, about. */
const THING_BYTES = 600;
/** A state as an object takes so many times what its JSON takes, about. */
const OBJECT_SHARE = 3;

export class Changes {
  readonly #maxCachedBytes: number;
  /** By name; those that changed last at the end. */
  readonly #things = new Map<string, Thing>();
  /** Changes since the checkpoint in their order. One is the last of its thing as long as both have the same number. */
  #recent: Change[] = [];
  /** How many of the first are to be passed over. */
  #skipped = 0;
  #floor: number;
  #bytes = 0;

  /** @param floor all changes up to this number are stored. @param maxCachedBytes of what is stored. */
  constructor(floor: number, maxCachedBytes: number) {
    this.#floor = floor;
    this.#maxCachedBytes = maxCachedBytes;
  }

  /** All changes up to here are stored, and may not be in memory. */
  get floor(): number {
    return this.#floor;
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Things in memory. */
  get size(): number {
    return this.#things.size;
  }

  /** Changes that have yet to be stored, each thing counted as often as it has changed, at most. */
  get pending(): number {
    return this.#recent.length - this.#skipped;
  }

  get(name: string): Thing | undefined {
    return this.#things.get(name);
  }

  add(name: string, thing: Thing): void {
    this.#bytes += thing.bytes - (this.#things.get(name)?.bytes ?? 0);
    this.#things.set(name, thing);
  }

  /** A thing has changed. Numbers never decrease. */
  note(name: string, thing: Thing, units: number): void {
    this.#things.delete(name);
    this.#things.set(name, thing);
    // A state may keep all that its events bring, until it is measured.
    this.#measure(thing, Math.min(thing.bytes + OBJECT_SHARE * bytesInMemory(units), thingBytes(MAX_STATE_BYTES)));
    this.#recent.push({ thing, seq: thing.seq });
  }

  /** A thing's row, whose size is known with it. */
  rowOf(thing: Thing): StateRow {
    const row = rowOf(thing);
    // It may be in memory no more.
    if (this.#things.get(thingName(row.build, row.channel, row.key)) === thing) this.#measure(thing, thingBytes(row.body.length));
    return row;
  }

  #measure(thing: Thing, bytes: number): void {
    this.#bytes += bytes - thing.bytes;
    thing.bytes = bytes;
  }

  /** Forgets one that is stored, unless it has changed after a number. */
  forget(name: string, seq: number): void {
    const thing = this.#things.get(name);
    if (thing === undefined || thing.seq > Math.min(seq, this.#floor)) return;
    this.#things.delete(name);
    this.#bytes -= thing.bytes;
  }

  /** What has changed after a number, by its last change. @param seq not below the floor. */
  *after(seq: number): Generator<Thing, void> {
    for (let at = this.#indexAfter(seq); at < this.#recent.length; at += 1) {
      const { thing, seq: changed } = this.#recent[at] as Change;
      if (thing.seq === changed) yield thing;
    }
  }

  /** All changes up to a number are stored. */
  stored(seq: number): void {
    if (seq <= this.#floor) return;
    this.#skipped = this.#indexAfter(seq);
    this.#floor = seq;
    if (this.#skipped * 2 > this.#recent.length) {
      this.#recent = this.#recent.slice(this.#skipped);
      this.#skipped = 0;
    }
    this.#shrink();
  }

  /** The oldest of what is stored goes first. */
  #shrink(): void {
    for (const [name, thing] of this.#things) {
      if (this.#bytes <= this.#maxCachedBytes) return;
      if (thing.seq > this.#floor) continue;
      this.#things.delete(name);
      this.#bytes -= thing.bytes;
    }
  }

  #indexAfter(seq: number): number {
    let low = this.#skipped;
    let high = this.#recent.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#recent[middle] as Change).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** @param units of its JSON. */
function thingBytes(units: number): number {
  return THING_BYTES + OBJECT_SHARE * bytesInMemory(units);
}

export function thingName(build: number, channel: string, key: string): string {
  return `${build} ${channel} ${key}`;
}

export function bodyOf(thing: Thing): string {
  const { target, channel, key } = thing;
  thing.body ??= itemBody({ channel, entity: target.entity.name, key }, thing);
  return thing.body;
}

export function conditionOf({ state, isOpen }: Pick<Thing, 'state' | 'isOpen'>): StateCondition {
  if (state === undefined) return 'gone';
  return isOpen ? 'open' : 'closed';
}

export function rowOf(thing: Thing): StateRow {
  const { target, channel, family, key, seq, sinceSeq } = thing;
  return { build: target.build, channel, family, key, seq, sinceSeq, condition: conditionOf(thing), body: bodyOf(thing) };
}

export function thingOf(
  target: FoldTarget,
  name: Pick<Thing, 'channel' | 'family' | 'key'>,
  { row, forgottenSeq, isDamaged = false }: FoundState,
  readSeq = 0,
): Thing {
  const { channel, family, key } = name;
  const stored: { readonly open: boolean; readonly state: object | null } | undefined = row && JSON.parse(row.body);
  return {
    target,
    channel,
    family,
    key,
    seq: row?.seq ?? 0,
    sinceSeq: row?.sinceSeq ?? 0,
    readSeq,
    forgottenSeq,
    isDamaged,
    state: stored?.state ?? undefined,
    isOpen: stored?.open ?? false,
    body: row?.body,
    bytes: thingBytes(row?.body.length ?? 0),
  };
}
