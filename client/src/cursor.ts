/** Cursors: how far a subscription has come, as a position that outlives the process. */
import { CourierError, invalidArgument, messageOf } from './errors.ts';
import { assertArgument, isText } from './option-checks.ts';

export interface Cursor {
  /** The position to resume after; null or undefined when there is none yet. */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /** Saves the position up to which the caller has handled everything. The subscription waits for it before it gives the next event. */
  save(position: string): void | Promise<void>;
}

const POSITION = /^[a-z0-9]{1,32}-[0-9]{1,16}$/;

/**
 * The position that a text holds; null where there is none yet.
 *
 * @param argument names the place in the error, and `where` says it in full.
 * @throws {CourierError} INVALID_ARGUMENT when it holds something else.
 */
export function positionIn(text: string | null, argument: string, where: string): string | null {
  const position = text?.trim() ?? null;
  if (position === null || POSITION.test(position)) return position;
  throw invalidArgument(argument, `${where} holds no position of Courier: remove it to begin anew, or name another`);
}

/** The error of a cursor that could not read or write `where`. */
export function cursorUnavailable(where: string, cause: unknown): CourierError {
  return new CourierError('CURSOR_UNAVAILABLE', `${where}: ${messageOf(cause)}`, { cause });
}

/**
 * A cursor in the browser's localStorage. Each subscription needs a key of its own, as two would overwrite each other's position.
 *
 * @throws {CourierError} INVALID_ARGUMENT when there is no localStorage, or the key holds something else. `load` and `save` throw
 * CURSOR_UNAVAILABLE.
 */
export function localStorageCursor(key: string): Cursor {
  assertArgument('key', key, isText);
  const where = `localStorage ${JSON.stringify(key)}`;
  const load = () =>
    positionIn(
      tried(where, () => localStorage.getItem(key)),
      'key',
      where,
    );
  try {
    load();
  } catch (error) {
    if (error instanceof CourierError && error.code === 'INVALID_ARGUMENT') throw error;
    throw invalidArgument('key', messageOf(error), error);
  }
  return { load, save: (position) => tried(where, () => localStorage.setItem(key, position)) };
}

function tried<T>(where: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw cursorUnavailable(where, cause);
  }
}
