/** The state of a thing on its way to who watches it. */
import type { Filter, StateConditions } from '../contract/filter.ts';
import { selectsType } from '../contract/filter.ts';
import { Delivery } from '../delivery/batch.ts';

/** What conditions look at. */
export interface StateView {
  readonly isOpen: boolean;
  /** Undefined where the thing is gone, or has never been. */
  readonly state: object | undefined;
}

export interface ItemPositions {
  /** What a client goes on behind, once it has the item. */
  readonly id: string;
  /** Of the last change. */
  readonly position: string;
}

/** What names a thing, and where it changed last. */
export interface ItemName {
  readonly seq: number;
  readonly channel: string;
  readonly family: string;
  readonly entity: string;
  readonly key: string;
}

/** The item as JSON text without its `id`. */
export function itemBody({ channel, entity, key }: Omit<ItemName, 'seq' | 'family'>, { isOpen, state }: StateView): string {
  return `{"channel":${JSON.stringify(channel)},"entity":"${entity}","key":${JSON.stringify(key)},"open":${isOpen},"state":${JSON.stringify(state ?? null)}}`;
}

/** `unknown` where nobody can say what the state was before: then a client may have it. */
export type Before = StateView | 'unknown' | 'none';

export class StateDelivery extends Delivery {
  readonly #name: ItemName;
  readonly #view: StateView;
  readonly #before: Before;
  readonly #position: string;

  /** @param id the position that a client goes on behind, once it has this. @param position of the last change. */
  constructor({ id, position }: ItemPositions, name: ItemName, body: string, view: StateView, before: Before) {
    super(id, { seq: name.seq, channel: name.channel, family: name.family, type: name.entity, body }, 'state');
    this.#position = position;
    this.#name = name;
    this.#view = view;
    this.#before = before;
  }

  override get position(): string {
    return this.#position;
  }

  override get hasTimestamp(): boolean {
    return false;
  }

  override get thing(): string {
    return nameOf(this.#name);
  }

  override get isRemoval(): boolean {
    return this.#view.state === undefined;
  }

  override mayBeHad({ states = {} }: Filter): boolean {
    const before = this.#before;
    return before === 'unknown' || (before !== 'none' && matches(states, before));
  }

  /** Itself where it is selected; that it is gone where a client may have it; else nothing. */
  override under(filter: Filter): Delivery | undefined {
    const { types, states = {} } = filter;
    if (!selectsType(types, this.type) || states.keys?.has(this.#name.key) === false) return undefined;
    if (matches(states, this.#view)) return this;
    if (!this.mayBeHad(filter)) return undefined;
    return this.#view.state === undefined ? this : new StateRemoval({ id: this.id, position: this.#position }, this.#name, false);
  }
}

/** A thing is gone, or is not among what was asked for any more. */
export class StateRemoval extends Delivery {
  readonly #name: ItemName;
  readonly #position: string;
  readonly #isForgotten: boolean;

  /** @param isForgotten whether no event did it. */
  constructor({ id, position }: ItemPositions, name: ItemName, isForgotten: boolean) {
    const body = itemBody(name, { isOpen: false, state: undefined });
    super(id, { seq: name.seq, channel: name.channel, family: name.family, type: name.entity, body }, 'state');
    this.#name = name;
    this.#position = position;
    this.#isForgotten = isForgotten;
  }

  override get position(): string {
    return this.#position;
  }

  override get thing(): string {
    return nameOf(this.#name);
  }

  override get isRemoval(): boolean {
    return true;
  }

  override get isForgotten(): boolean {
    return this.#isForgotten;
  }

  override get hasTimestamp(): boolean {
    return false;
  }

  override under({ types, states }: Filter): Delivery | undefined {
    return selectsType(types, this.type) && states?.keys?.has(this.#name.key) !== false ? this : undefined;
  }
}

/** Different for different things: neither a channel nor the name of an entity has a blank. */
function nameOf({ channel, entity, key }: ItemName): string {
  return `${channel} ${entity} ${key}`;
}

function matches({ open, fields }: StateConditions, { isOpen, state }: StateView): boolean {
  if (state === undefined || (open !== undefined && open !== isOpen)) return false;
  if (fields === undefined) return true;
  for (const [field, values] of fields) if (!values.has((state as Readonly<Record<string, unknown>>)[field])) return false;
  return true;
}
