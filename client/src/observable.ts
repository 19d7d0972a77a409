/** Values that change and tell it, and calls of what the user has given to be called. */
import { withoutCause } from './cause.ts';

/** A value that changes, and its listeners. It fits React's `useSyncExternalStore`. */
export interface Observable<T> {
  /** The present value; the same object until it changes. */
  get(): T;
  /** Calls `listener` with each new value, not with the present one. Returns the function that ends the calls. */
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
    // A caller may subscribe the same function twice, and ends each subscription separately.
    const own = (value: T) => listener(value);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  };

  set(value: T): void {
    this.#value = value;
    for (const listener of [...this.#listeners]) callUser(() => listener(value));
  }
}

/**
 * Calls code of the user, for no event. Its error, also that of a promise that it returns, goes to the console, and the client continues.
 */
export function callUser(callback: () => unknown): void {
  withoutCause(() => callForEvent(callback));
}

/** The same for the event that the present work is for. */
export function callForEvent(callback: () => unknown): void {
  (async () => callback())().catch((error) => console.error('a callback of a Courier client has failed', error));
}
