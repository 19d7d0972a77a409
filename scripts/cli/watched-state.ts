/** What a watch has given of the state so far, as the protocol says that it is to be taken. */

/** The state of a thing, of whatever contract. */
export interface StateItem {
  readonly id: string;
  readonly channel: string;
  readonly entity: string;
  readonly key: string;
  readonly open: boolean;
  /** Null once it is gone, or is not among what was asked for any more. */
  readonly state: object | null;
}

/** @returns what an item is kept under: nothing else has the same. */
export function itemName({ channel, entity, key }: Pick<StateItem, 'channel' | 'entity' | 'key'>): string {
  return JSON.stringify([channel, entity, key]);
}

export class WatchedState {
  readonly #items = new Map<string, StateItem>();
  /** What was given since the state is given from its beginning; undefined once that is complete. */
  #given: Set<string> | undefined = new Set();

  get items(): readonly StateItem[] {
    return [...this.#items.values()];
  }

  /** Whether what is here is all, at some position. */
  get isComplete(): boolean {
    return this.#given === undefined;
  }

  /** Takes an item; false where it says nothing new: a client passes over the removal of what it does not have. */
  take(item: StateItem): boolean {
    const name = itemName(item);
    this.#given?.add(name);
    if (item.state === null) return this.#items.delete(name);
    this.#items.set(name, item);
    return true;
  }

  /** The state is given from its beginning: what is here stays until that is complete. */
  begin(): void {
    this.#given = new Set();
  }

  /** All has been given: drops what was not, and tells what that is. */
  complete(): readonly StateItem[] {
    const dropped = this.items.filter((item) => this.#given?.has(itemName(item)) === false);
    for (const item of dropped) this.#items.delete(itemName(item));
    this.#given = undefined;
    return dropped;
  }
}
