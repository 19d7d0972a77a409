/** The numbers that a log in PostgreSQL has for families of channels, in its indexes. Instances share them. */
import type { ClientBase } from 'pg';
import type { PostgresDatabase } from './database.ts';
import { lockKeys, transaction } from './schema.ts';

/** Gives a family a number: its place, where that is free. */
const ADD = `INSERT INTO courier_family (number, name)
  SELECT CASE WHEN EXISTS (SELECT FROM courier_family WHERE number = $1) THEN (SELECT max(number) + 1 FROM courier_family) ELSE $1 END, $2
  WHERE NOT EXISTS (SELECT FROM courier_family WHERE name = $2)`;

/** By name. */
export type FamilyNumbers = ReadonlyMap<string, number>;

/**
 * Numbers families that have none yet, and returns the numbers of all.
 *
 * @param families in an order that all instances of one contract have: those of earlier versions number families by their places.
 */
export async function numberFamilies(client: ClientBase, families: readonly string[]): Promise<FamilyNumbers> {
  await transaction(client, async () => {
    await client.query(`SELECT pg_advisory_xact_lock(${lockKeys('migrate')})`);
    for (const [place, family] of families.entries()) await client.query(ADD, [place, family]);
  });
  const { rows } = await client.query<{ number: number; name: string }>('SELECT number, name FROM courier_family');
  return new Map(rows.map(({ number, name }) => [name, number]));
}

/** The numbers with those of `families`. Asks the database when one is not known. */
export async function withFamilies(numbers: FamilyNumbers, database: PostgresDatabase, families: Iterable<string>): Promise<FamilyNumbers> {
  const unknown = [...new Set(families)].filter((family) => !numbers.has(family));
  if (unknown.length === 0) return numbers;
  return database.with((client) => numberFamilies(client, [...numbers.keys(), ...unknown]));
}
