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
