/** Databases of the PostgreSQL server that the tests share. */
import pg from 'pg';
import { inject } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';

export const newDatabase = () => createDatabase(inject('postgresUrl'));

export async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** Takes back, in a log of this version, what the version with ids of what belongs together has brought; its earlier functions stay as they are now. */
export const WITHOUT_RELATIONS = [
  'DROP FUNCTION courier_append(text, bigint, bigint, text[], smallint[], text[], smallint[], text[], text[], text[], text[], bigint[])',
  'ALTER TABLE courier_event DROP COLUMN correlation_id, DROP COLUMN cause_seq, DROP COLUMN stored_ms',
  'UPDATE courier_schema SET version = 3',
];

/** Also what the version with families and forms of events has brought. */
export const WITHOUT_FORMS = [
  ...WITHOUT_RELATIONS,
  'DROP TABLE courier_family',
  'ALTER TABLE courier_event DROP COLUMN version',
  'DROP FUNCTION courier_append(text, bigint, bigint, text[], smallint[], text[], smallint[], text[], text[], text[])',
  'UPDATE courier_schema SET version = 2',
];

/** Runs statements as the owner of the database would. */
export async function execute(url: string, ...statements: readonly string[]): Promise<pg.QueryResult> {
  const client = await connected(url);
  try {
    let result: pg.QueryResult | undefined;
    for (const statement of statements) result = await client.query(statement);
    return result as pg.QueryResult;
  } finally {
    await client.end();
  }
}
