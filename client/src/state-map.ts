/** What `client.state` returns: the present state of things, kept up to date. */
import type { Endable } from './consumer-ends.ts';
import type { Contract } from './contract.ts';
import { CourierError, courierErrorFrom } from './errors.ts';
import type { AnyContract, EntityIn, EntityState } from './events.ts';
import { callUser } from './observable.ts';
import type { SharedState, SharedStates, StateHolder } from './shared-states.ts';
import type { Selection, StateEntry } from './state-selection.ts';
import type { Present, StateTable } from './state-table.ts';

/**
 * The present state of the things of an entity, kept up to date. Empty before it is ready; from then on always the whole state: after a
 * lost connection it shows what it had until it has what changed meanwhile. Once it has ended it shows what it had at the end.
 */
export interface StateMap<E extends string = EntityIn, C extends AnyContract = Contract> extends Iterable<StateEntry<E, C>>, Disposable {
  /** Resolves once the state is there. Rejects with the error of the watch, or CLOSED, when that ends before. */
  readonly ready: Promise<void>;
  readonly isReady: boolean;
  /** What ended the watch; undefined while it goes on, and where you have ended it. */
  readonly error: CourierError | undefined;
  /** How many things there are. */
  readonly size: number;
  /** The state of the thing with this key; where several channels have it and none is named, of that which changed last. */
  get(key: string, channel?: string): EntityState<E, C> | undefined;
  /** Every thing. The same list until something changes, and the same object for a thing until it changes. */
  items(): readonly StateEntry<E, C>[];
  /**
   * Calls the listener after changes, once for all of one turn of the event loop, and when an error has ended the watch. Returns the
   * function that ends the calls.
   */
  subscribe(listener: () => void): () => void;
  /** Ends the watch. */
  close(): void;
}

export class WatchedState implements StateMap, StateHolder, Endable {
  readonly #ready = Promise.withResolvers<void>();
  readonly #listeners = new Set<() => void>();
  readonly #onEnd = new Set<() => void>();
  readonly #shared: SharedState;
  readonly #told: (error: CourierError) => CourierError;
  /** What is shown once it has ended. */
  #last: StateTable | undefined;
  #wasReady = false;
  #isReadyGiven = false;
  #error: CourierError | undefined;

  /** @param told an error of the watch as it is to be told to whoever began it. */
  constructor(states: SharedStates, selection: Selection, told: (error: CourierError) => CourierError) {
    this.#ready.promise.catch(() => undefined);
    this.#told = told;
    this.#shared = states.of(selection, this);
    if (this.isReady) this.#ready.resolve();
    this.#shared.start();
  }

  get ready(): Promise<void> {
    this.#isReadyGiven = true;
    return this.#ready.promise;
  }

  get isReady(): boolean {
    return this.#last === undefined ? this.#shared.isReady : this.#wasReady;
  }

  get error(): CourierError | undefined {
    return this.#error;
  }

  get size(): number {
    return this.#table.size;
  }

  get(key: string, channel?: string): never {
    return this.#table.get(key, channel)?.state as never;
  }

  items(): readonly never[] {
    return this.#table.items as readonly Present[] as readonly never[];
  }

  [Symbol.iterator](): Iterator<never> {
    return this.items()[Symbol.iterator]();
  }

  subscribe(listener: () => void): () => void {
    // A caller may subscribe the same function twice, and ends each separately.
    const own = () => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  close(): void {
    this.end();
  }

  [Symbol.dispose](): void {
    this.end();
  }

  changed(): void {
    this.#ready.resolve();
    this.#tell();
  }

  end(): void {
    this.#finish(undefined);
  }

  fail(thrown: unknown): void {
    const error = this.#told(courierErrorFrom(thrown));
    const isHeard = this.#listeners.size > 0 || (this.#isReadyGiven && !this.isReady);
    if (this.#finish(error) && !isHeard) console.error('a state of Courier has ended', error);
  }

  onEnd(listener: () => void): void {
    if (this.#last === undefined) this.#onEnd.add(listener);
    else listener();
  }

  get #table(): StateTable {
    return this.#last ?? this.#shared.table;
  }

  #finish(error: CourierError | undefined): boolean {
    if (this.#last !== undefined) return false;
    this.#error = error;
    this.#wasReady = this.isReady;
    if (this.#wasReady) this.#ready.resolve();
    this.#last = this.#shared.remove(this);
    this.#ready.reject(error ?? new CourierError('CLOSED', 'the watch of the state has ended', { hint: 'call state() again' }));
    for (const listener of this.#onEnd) listener();
    this.#onEnd.clear();
    if (error !== undefined) this.#tell();
    this.#listeners.clear();
    return true;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) callUser(listener);
  }
}
