/** A value that changes, and those who want to know. Fits React's `useSyncExternalStore`. */
export interface Observable<T> {
  /** What it is now; the same object until it changes. */
  get(): T;
  /** Calls `listener` with each new value, not with the present one. Returns the function that stops it. */
  subscribe(listener: (value: T) => void): () => void;
}

export class Value<T> implements Observable<T> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  readonly get = (): T => this.#value;

  readonly subscribe = (listener: (value: T) => void): (() => void) => {
    // The same function may be given twice, and each is stopped by itself.
    const own = (value: T) => listener(value);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  };

  set(value: T): void {
    this.#value = value;
    for (const listener of [...this.#listeners]) callUser(() => listener(value));
  }
}

/** Code of the user that fails is no reason for the client not to go on: what it throws is thrown where nobody waits. */
export function callUser(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
