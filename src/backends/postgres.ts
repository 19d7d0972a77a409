/** The log in PostgreSQL, which several instances can share, and what is kept with it. Loaded where it is used only. */
import { postgresRevocations } from '../auth/revocations-postgres.ts';
import { PostgresOpenError } from '../log/postgres/server.ts';
import { onceThere } from '../log/postgres/waiting.ts';
import { openPostgresLog, type SharedLog } from '../log/postgres.ts';
import type { LogOutage } from '../observe/log-outage.ts';
import { usagePostgres } from '../usage/usage-postgres.ts';
import { type BackendsDeps, type Stores, toldOf } from './parts.ts';

/** @param startMs how long it is waited for. @throws {PostgresOpenError}; why the signal of `deps` was aborted. */
export function openPostgres(url: string, startMs: number, deps: BackendsDeps, outage: LogOutage): Promise<SharedLog> {
  const { contract, logger, signal } = deps;
  const onWait = (reason: string) => logger.warn(`PostgreSQL is away: waiting for it, up to ${startMs / 1000} s`, { reason });
  const told = toldOf('the event log is another one', deps, outage);
  const options = { url, families: contract.channels.families, signal, ...told };
  return onceThere(() => openPostgresLog(options), { startMs, onWait, signal }).catch((error: unknown) => {
    throw error instanceof PostgresOpenError ? new PostgresOpenError(`COURIER_LOG: ${error.message}`, { cause: error }) : error;
  });
}

export function storesIn({ database }: SharedLog): Stores {
  return { revocations: postgresRevocations(database), usage: usagePostgres(database) };
}
