/** States in memory, for a log in memory: in a database that nobody else sees. */
import { DatabaseSync } from 'node:sqlite';
import type { StateAnswer, StateCall } from '../state-store.ts';
import { FamilyNumbers } from './families.ts';
import { transaction } from './schema.ts';
import { FORGOTTEN_STATES, STATE_TABLES } from './state-tables.ts';
import { SqliteStates, type StateHost } from './states.ts';

export interface MemoryStates extends Disposable {
  call(call: StateCall): StateAnswer;
  /** The number after which no event may be removed; undefined where none is needed. */
  readonly neededSeq: number | undefined;
}

export function openMemoryStates(log: Pick<StateHost, 'bounds'>): MemoryStates {
  const db = new DatabaseSync(':memory:');
  db.exec(`CREATE TABLE family (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;${STATE_TABLES}${FORGOTTEN_STATES}`);
  const families = new FamilyNumbers(db);
  const states = new SqliteStates({
    db,
    families,
    ...log,
    transaction: (work) => {
      try {
        return transaction(db, work);
      } catch (error) {
        families.reset();
        throw error;
      }
    },
  });
  return {
    call: (call) => states.call(call),
    get neededSeq() {
      return states.neededSeq;
    },
    [Symbol.dispose]: () => db.close(),
  };
}
