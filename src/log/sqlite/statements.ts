/** Statements of a database by their text, prepared once and kept while they are few. Their rows are arrays. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

const MAX_KEPT = 64;

export class Statements {
  readonly #db: DatabaseSync;
  readonly #kept = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  of(sql: string): StatementSync {
    let statement = this.#kept.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      statement.setReturnArrays(true);
      if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? '');
      this.#kept.set(sql, statement);
    }
    return statement;
  }
}
