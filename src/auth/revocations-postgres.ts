/** Revocations that several instances share, beside their log in PostgreSQL. */
import type { PostgresDatabase } from '../log/postgres-database.ts';
import { KEPT_MS, type Revocation, type RevocationStore } from './revocations.ts';

const LOAD = {
  name: 'load-revocations',
  text: 'SELECT number, sub, jti, at_ms FROM courier_revocation WHERE number > $1 AND at_ms > $2 ORDER BY number',
};
/** The lock makes numbers visible in their order, so that reading on after the last one misses none. */
const ADD = {
  name: 'add-revocation',
  text: `WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(1129270610, 3))
         INSERT INTO courier_revocation (sub, jti, at_ms) SELECT $1, $2, $3 FROM locked`,
};
const FORGET = { name: 'forget-revocations', text: 'DELETE FROM courier_revocation WHERE at_ms <= $1' };

export function postgresRevocations(database: PostgresDatabase): RevocationStore {
  let last = 0;
  return {
    load: async () => {
      const rows = await database.query(LOAD, [last, Date.now() - KEPT_MS]);
      last = Number(rows.at(-1)?.['number'] ?? last);
      return rows.map((row): Revocation => {
        const at = Number(row['at_ms']);
        return row['sub'] === null ? { jti: String(row['jti']), at } : { sub: String(row['sub']), at };
      });
    },
    add: async (one) => {
      await database.query(FORGET, [Date.now() - KEPT_MS]);
      await database.query(ADD, ['sub' in one ? one.sub : null, 'jti' in one ? one.jti : null, one.at]);
    },
  };
}
