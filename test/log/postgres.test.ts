/** The PostgreSQL log: the guarantees of every log, and what is its own: several instances, and a database that changes. */
import { inject } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { openPostgresLog } from '../../src/log/postgres.ts';
import { describeEventLog } from '../contracts/event-log.ts';

describeEventLog('PostgreSQL log', {
  durable: true,
  runs: 15,
  factory: async () => {
    const url = await createDatabase(inject('postgresUrl'));
    return { open: (options) => openPostgresLog({ url, ...options }), [Symbol.asyncDispose]: async () => undefined };
  },
});
