/** The numbers that a log's file has for families of channels, in its indexes. A family gets one with its first event. */
import type { DatabaseSync } from 'node:sqlite';

export class FamilyNumbers {
  readonly #db: DatabaseSync;
  #numbers: Map<string, number>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#numbers = this.#read();
  }

  /** Families of which the file has had events. */
  get names(): Iterable<string> {
    return this.#numbers.keys();
  }

  get(family: string): number | undefined {
    return this.#numbers.get(family);
  }

  /** The number of a family, within a transaction that may give it one. */
  numberOf(family: string): number {
    const known = this.#numbers.get(family);
    if (known !== undefined) return known;
    const { lastInsertRowid } = this.#db.prepare('INSERT INTO family (name) VALUES (?)').run(family);
    this.#numbers.set(family, Number(lastInsertRowid));
    return Number(lastInsertRowid);
  }

  /** A transaction was taken back. */
  reset(): void {
    this.#numbers = this.#read();
  }

  #read(): Map<string, number> {
    const rows = this.#db.prepare('SELECT number, name FROM family').all();
    return new Map(rows.map(({ number, name }) => [String(name), Number(number)]));
  }
}
