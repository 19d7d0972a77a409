/** Things that come and go often: each has a slot of its own, which the next one takes. A Set of them would grow and be cleared again and again. */
export class Slots<T> {
  readonly #slots: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get count(): number {
    return this.#slots.length - this.#free.length;
  }

  /** Returns its slot. */
  add(thing: T): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = thing;
    return slot;
  }

  remove(slot: number): void {
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }

  *[Symbol.iterator](): Generator<T, void> {
    for (const thing of this.#slots) if (thing !== undefined) yield thing;
  }
}
