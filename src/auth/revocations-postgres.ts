/** Revocations that several instances share, beside their log in PostgreSQL. */
import type { PostgresDatabase } from '../log/postgres/database.ts';
import { lockKeys } from '../log/postgres/schema.ts';
import { type Revocation, type RevocationStore, revocation } from './revocations.ts';

const LOAD = {
  name: 'load-revocations',
  text: 'SELECT number, sub, role, jti, at_ms FROM courier_revocation WHERE number > $1 AND at_ms > $2 ORDER BY number',
};
/** The lock makes numbers visible in their order, so that reading on after the last one misses none. */
const ADD = {
  name: 'add-revocation',
  text: `WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(${lockKeys('addRevocations')}))
         INSERT INTO courier_revocation (sub, role, jti, at_ms) SELECT $1, $2, $3, $4 FROM locked`,
};
const FORGET = { name: 'forget-revocations', text: 'DELETE FROM courier_revocation WHERE at_ms <= $1' };

export function postgresRevocations(database: PostgresDatabase): RevocationStore {
  let last = 0;
  return {
    load: async (since) => {
      const rows = await database.query(LOAD, [last, since]);
      const revocations = rows.map(fromRow);
      last = Number(rows.at(-1)?.['number'] ?? last);
      return revocations;
    },
    add: async (one, _kept, since) => {
      await database.query(FORGET, [since]);
      await database.query(ADD, 'jti' in one ? [null, null, one.jti, one.at] : [one.sub, one.role ?? null, null, one.at]);
    },
  };
}

function fromRow({ sub, role, jti, at_ms }: Readonly<Record<string, unknown>>): Revocation {
  const at = Number(at_ms);
  return revocation.parse(sub === null ? { jti, at } : { sub, ...(role !== null && { role }), at });
}
