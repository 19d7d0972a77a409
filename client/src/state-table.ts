/** The present states of the things that somebody watches or reads, by channel and key. */

/** The present state of a thing. */
export interface Present {
  /** The position of its last change. */
  readonly id: string;
  readonly channel: string;
  readonly entity: string;
  readonly key: string;
  readonly open: boolean;
  readonly state: unknown;
}

export class StateTable {
  /** By key, then by channel: those that changed last come last. */
  readonly #byKey = new Map<string, Map<string, Present>>();
  #size = 0;
  #items: readonly Present[] | undefined;

  get size(): number {
    return this.#size;
  }

  /** All of them; the same list until something changes. */
  get items(): readonly Present[] {
    this.#items ??= [...this.#byKey.values()].flatMap((byChannel) => [...byChannel.values()]);
    return this.#items;
  }

  /** The thing with a key; where several channels have one, that which changed last. */
  get(key: string, channel?: string): Present | undefined {
    const byChannel = this.#byKey.get(key);
    if (byChannel === undefined || channel !== undefined) return byChannel?.get(channel as string);
    let last: Present | undefined;
    for (const present of byChannel.values()) last = present;
    return last;
  }

  /** Takes what is told of a thing. Returns whether that is new. */
  take(told: Present): boolean {
    const { channel, key, id, state } = told;
    const byChannel = this.#byKey.get(key);
    const known = byChannel?.get(channel);
    if (state === null) {
      // What is gone may be told to who never had it.
      if (byChannel === undefined || known === undefined) return false;
      byChannel.delete(channel);
      if (byChannel.size === 0) this.#byKey.delete(key);
      this.#size -= 1;
    } else if (known === undefined) {
      if (byChannel === undefined) this.#byKey.set(key, new Map([[channel, told]]));
      else byChannel.set(channel, told);
      this.#size += 1;
    } else {
      // The same change, told again: whoever compares objects is to see none.
      if (known.id === id) return false;
      byChannel?.delete(channel);
      byChannel?.set(channel, told);
    }
    this.#items = undefined;
    return true;
  }

  /** Takes from an earlier table the objects of what has not changed since. */
  keepFrom(earlier: StateTable): void {
    for (const [key, byChannel] of this.#byKey) {
      for (const [channel, present] of byChannel) {
        const before = earlier.#byKey.get(key)?.get(channel);
        if (before?.id !== present.id) continue;
        // What is made anew by another reducer has its old position.
        if (JSON.stringify(before) === JSON.stringify(present)) byChannel.set(channel, before);
      }
    }
    this.#items = undefined;
  }

  copy(): StateTable {
    const copy = new StateTable();
    for (const [key, byChannel] of this.#byKey) copy.#byKey.set(key, new Map(byChannel));
    copy.#size = this.#size;
    return copy;
  }
}
