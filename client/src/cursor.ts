/** Where a subscription keeps the position that it goes on from, beyond the life of the process. */

export interface Cursor {
  /** The position to go on from; nothing when there is none yet. */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /** Keeps the position up to which everything was handled. It is waited for before the next event is given. */
  save(position: string): void | Promise<void>;
}

/** Keeps a position in the browser's localStorage. One subscription to a key: two would take each other's place. */
export function localStorageCursor(key: string): Cursor {
  return {
    load: () => localStorage.getItem(key),
    save: (position) => localStorage.setItem(key, position),
  };
}
