/** Cursors: how far a subscription has come, as a position that outlives the process. */

export interface Cursor {
  /** The position to resume after; null or undefined when there is none yet. */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /** Saves the position up to which the caller has handled everything. The subscription waits for it before it gives the next event. */
  save(position: string): void | Promise<void>;
}

/** A cursor in the browser's localStorage. Each subscription needs a key of its own, as two would overwrite each other's position. */
export function localStorageCursor(key: string): Cursor {
  return {
    load: () => localStorage.getItem(key),
    save: (position) => localStorage.setItem(key, position),
  };
}
