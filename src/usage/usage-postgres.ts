/** Uses of the contract that several instances keep together, beside their log in PostgreSQL. */
import { ROLES } from '../contract/admin.ts';
import type { PostgresDatabase } from '../log/postgres/database.ts';
import { lockKeys, transaction } from '../log/postgres/schema.ts';
import { BOUNDS, CLIENT_BYTES, type ContractClient, KEPT_DAYS, KEPT_FIRST, type UsageStore } from './usage.ts';

/** `noted` counts the additions: what was added to last has the highest. An empty text stands for what a client does not say. */
const ADD = `INSERT INTO courier_contract_client AS kept (role, sub, client, contract, uses, last_day, noted)
  SELECT role, sub, client, contract, uses, last_day, before.noted + place
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::integer[])
    WITH ORDINALITY AS given (role, sub, client, contract, uses, last_day, place),
    (SELECT coalesce(max(noted), 0) AS noted FROM courier_contract_client) AS before
  ON CONFLICT (role, sub, client, contract) DO UPDATE SET
    noted = excluded.noted,
    last_day = greatest(least(kept.last_day, $7), excluded.last_day),
    uses = (
      SELECT jsonb_object_agg(use, day) FROM (
        SELECT use, max(least(day::integer, $7)) AS day
        FROM (SELECT * FROM jsonb_each_text(kept.uses) UNION ALL SELECT * FROM jsonb_each_text(excluded.uses)) AS known (use, day)
        GROUP BY use ORDER BY 2 DESC LIMIT ${BOUNDS.uses}
      ) AS merged
    )`;
const RANK = `array_position(ARRAY[${KEPT_FIRST.map((role) => `'${role}'`).join(', ')}], role)`;
const DROP = `DELETE FROM courier_contract_client AS kept USING (
    SELECT role, sub, client, contract,
      row_number() OVER (PARTITION BY role, sub ORDER BY noted DESC) AS of_principal,
      row_number() OVER in_order AS place,
      sum(octet_length(uses::text) + ${CLIENT_BYTES}) OVER in_order AS bytes
    FROM courier_contract_client
    WINDOW in_order AS (ORDER BY ${RANK}, noted DESC)
  ) AS ranked
  WHERE (kept.role, kept.sub, kept.client, kept.contract) = (ranked.role, ranked.sub, ranked.client, ranked.contract)
    AND ($1 - last_day > ${KEPT_DAYS} OR of_principal > ${BOUNDS.ofPrincipal} OR place > ${BOUNDS.clients} OR bytes > ${BOUNDS.bytes})`;
const LOAD = {
  name: 'load-contract-clients',
  text: `SELECT role, sub, client, contract, uses FROM courier_contract_client
         WHERE $1 - last_day <= ${KEPT_DAYS} ORDER BY ${RANK}, noted DESC LIMIT ${BOUNDS.clients}`,
};

export function usagePostgres(database: PostgresDatabase): UsageStore {
  return {
    add: (clients, today) =>
      database.with((client) =>
        transaction(client, async () => {
          await client.query(`SELECT pg_advisory_xact_lock(${lockKeys('addContractClients')})`);
          await client.query(ADD, [...columnsOf(clients, today), today]);
          await client.query(DROP, [today]);
        }),
      ),
    load: async (today) => {
      const rows = await database.query(LOAD, [today]);
      return rows.flatMap((row) => fromRow(row, today));
    },
  };
}

/** The columns of ADD, each as a list. */
function columnsOf(clients: readonly ContractClient[], today: number): unknown[][] {
  return [
    clients.map(({ role }) => role),
    clients.map(({ sub }) => sub),
    clients.map(({ client }) => client ?? ''),
    clients.map(({ contract }) => contract ?? ''),
    clients.map(({ uses }) => JSON.stringify(Object.fromEntries([...uses].map(([use, day]) => [use, Math.min(day, today)])))),
    clients.map(({ uses }) => Math.min(today, Math.max(...uses.values()))),
  ];
}

/** None for a role of a later version. */
function fromRow({ role: named, sub, client, contract, uses }: Readonly<Record<string, unknown>>, today: number): ContractClient[] {
  const role = ROLES.find((known) => known === named);
  if (role === undefined) return [];
  const days = Object.entries(uses as Readonly<Record<string, number>>).map(([use, day]) => [use, Math.min(day, today)] as const);
  const kept = new Map(days.filter(([, day]) => today - day <= KEPT_DAYS));
  return [
    {
      role,
      sub: String(sub),
      client: client === '' ? null : String(client),
      contract: contract === '' ? null : String(contract),
      uses: kept,
    },
  ];
}
