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
  /** Names the thing. */
  readonly thing: string;
  /** Whether it says that the thing is gone, or not among what was asked for. */
  readonly isGone: boolean;
  readonly #position: string;

  constructor({ id, position }: ItemPositions, name: ItemName, body: string, isGone: boolean) {
    const { seq, channel, family, entity, key } = name;
    super(id, { seq, channel, family, type: entity, body }, 'state');
    this.thing = `${entity} ${channel} ${key}`;
    this.isGone = isGone;
    this.#position = position;
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

  /** @param id the position that a client goes on behind, once it has this. @param position of the last change. */
  constructor(positions: ItemPositions, name: ItemName, body: string, view: StateView, before: Before) {
    super(positions, name, body, view.state === undefined);
    this.#name = name;
    this.#view = view;
    this.#before = before;
  }

  /** Itself where it is selected; that it is gone where a client may have it; else nothing. */
  override under({ types, states = {} }: Filter): Delivery | undefined {
    if (!selectsType(types, this.type) || states.keys?.has(this.#name.key) === false) return undefined;
    if (matches(states, this.#view)) return this;
    if (this.#before === 'none' || (this.#before !== 'unknown' && !matches(states, this.#before))) return undefined;
    return this.isGone ? this : new StateRemoval({ id: this.id, position: this.position }, this.#name, true);
  }
}

/** A thing is gone, or is not among what was asked for any more. */
export class StateRemoval extends ItemDelivery {
  readonly #key: string;
  readonly #isRecent: boolean;

  /** @param isRecent whether an event did it: what was forgotten is in no memory. */
  constructor(positions: ItemPositions, name: ItemName, isRecent: boolean) {
    super(positions, name, itemBody(name, { isOpen: false, state: undefined }), true);
    this.#key = name.key;
    this.#isRecent = isRecent;
  }

  override get isRecent(): boolean {
    return this.#isRecent;
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
