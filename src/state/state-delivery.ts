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

/** An item: what a client gets of a thing. */
export abstract class ItemDelivery extends Delivery {
  readonly #thing: string;
  readonly #isRemoval: boolean;
  readonly #position: string;

  /** @param id the position that a client goes on behind, once it has this. @param position of the last change. */
  constructor({ id, position }: ItemPositions, name: ItemName, body: string, isRemoval: boolean) {
    const { seq, channel, family, entity, key } = name;
    super(id, { seq, channel, family, type: entity, body }, 'state');
    // Different for different things: neither a channel nor the name of an entity has a blank.
    this.#thing = `${channel} ${entity} ${key}`;
    this.#isRemoval = isRemoval;
    this.#position = position;
  }

  override get thing(): string {
    return this.#thing;
  }

  override get isRemoval(): boolean {
    return this.#isRemoval;
  }

  override get position(): string {
    return this.#position;
  }

  override get hasTimestamp(): boolean {
    return false;
  }
}

export class StateDelivery extends ItemDelivery {
  readonly #name: ItemName;
  readonly #view: StateView;
  readonly #before: Before;

  constructor(positions: ItemPositions, name: ItemName, body: string, view: StateView, before: Before) {
    super(positions, name, body, view.state === undefined);
    this.#name = name;
    this.#view = view;
    this.#before = before;
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
    return this.isRemoval ? this : new StateRemoval({ id: this.id, position: this.position }, this.#name, false);
  }
}

/** A thing is gone, or is not among what was asked for any more. */
export class StateRemoval extends ItemDelivery {
  readonly #key: string;
  readonly #isForgotten: boolean;

  /** @param isForgotten whether no event did it. */
  constructor(positions: ItemPositions, name: ItemName, isForgotten: boolean) {
    super(positions, name, itemBody(name, { isOpen: false, state: undefined }), true);
    this.#key = name.key;
    this.#isForgotten = isForgotten;
  }

  override get isForgotten(): boolean {
    return this.#isForgotten;
  }

  override under({ types, states }: Filter): Delivery | undefined {
    return selectsType(types, this.type) && states?.keys?.has(this.#key) !== false ? this : undefined;
  }
}

function matches({ open, fields }: StateConditions, { isOpen, state }: StateView): boolean {
  if (state === undefined || (open !== undefined && open !== isOpen)) return false;
  if (fields === undefined) return true;
  for (const [field, values] of fields) if (!values.has((state as Readonly<Record<string, unknown>>)[field])) return false;
  return true;
}
