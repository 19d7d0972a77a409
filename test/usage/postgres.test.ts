/** Uses in PostgreSQL: what every store guarantees, and that instances of earlier versions are not in its way. */
import { expect, test } from 'vitest';
import { openPostgresLog } from '../../src/log/postgres.ts';
import { usagePostgres } from '../../src/usage/usage-postgres.ts';
import { clientOf, describeUsageStore, TODAY } from '../contracts/usage.ts';
import { execute, newDatabase } from '../helpers/databases.ts';

describeUsageStore('uses in PostgreSQL', {
  isDurable: true,
  isShared: true,
  factory: async () => {
    const url = await newDatabase();
    const stack = new AsyncDisposableStack();
    return {
      open: async () => usagePostgres(stack.use(await openPostgresLog({ url })).database),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});

test('a log of an earlier version gets the table, and its version does not change', async () => {
  const url = await newDatabase();
  const versionIn = async () => (await execute(url, 'SELECT version FROM courier_schema')).rows;
  await (await openPostgresLog({ url }))[Symbol.asyncDispose]();
  const before = await versionIn();
  await execute(url, 'DROP TABLE courier_contract_client');
  await using log = await openPostgresLog({ url });
  const store = usagePostgres(log.database);
  await store.add([clientOf('ada', { 'named a': TODAY })], TODAY);
  expect([await versionIn(), (await store.load(TODAY)).length]).toEqual([before, 1]);
});
