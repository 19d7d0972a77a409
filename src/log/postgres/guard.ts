/**
 * The guard of a log: a connection that shares a lock with those of all instances that have the log open, so that whoever
 * opens it knows whether anybody has. It is made again whenever it breaks.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import type { PostgresAddress } from './address.ts';
import { connect, detailOf, isAway, type PostgresSockets } from './database.ts';
import { beginEpoch, LOCK_SPACE } from './schema.ts';
import { PostgresAwayError, PostgresOpenError } from './server.ts';

const PAUSE_MS = 500;

/** Makes the guard again after every interruption, until `signal` aborts. Resolves when it is closed. */
export async function keepGuard(address: PostgresAddress, sockets: PostgresSockets, first: pg.Client, signal: AbortSignal): Promise<void> {
  for (let guard: pg.Client | undefined = first; ; guard = undefined) {
    while (guard === undefined && !signal.aborted) {
      guard = await reopenGuard(address, sockets).catch(() => undefined);
      if (guard === undefined) await wait(PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
    if (guard === undefined) return;
    await endOf(guard, signal);
    if (signal.aborted) return;
  }
}

/** Resolves when the connection has ended, which it is made to when `signal` aborts. */
function endOf(client: pg.Client, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => void client.end().catch(() => undefined);
    client.once('end', () => {
      signal.removeEventListener('abort', end);
      resolve();
    });
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}

/** @throws {PostgresOpenError} */
export async function withClient<T>(
  address: PostgresAddress,
  sockets: PostgresSockets,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  let client: pg.Client | undefined;
  try {
    client = await connect(address, sockets);
    return await work(client);
  } catch (error) {
    throw openError(address, error);
  } finally {
    await client?.end().catch(() => undefined);
  }
}

/** An instance that finds that nobody else has the log open begins an epoch. @throws {PostgresOpenError} */
export function openGuard(address: PostgresAddress, sockets: PostgresSockets): Promise<pg.Client> {
  const lock = async (client: pg.Client) => {
    const alone = await lockLog(client, 'pg_try_advisory_lock');
    if (alone) await beginEpoch(client, true);
    await lockLog(client, 'pg_advisory_lock_shared');
    if (alone) await lockLog(client, 'pg_advisory_unlock');
    else await beginEpoch(client, false);
  };
  return makeGuard(address, sockets, lock).catch((error: unknown) => {
    throw openError(address, error);
  });
}

/** The same for an instance that had the log open until the connection broke: it goes on in its epoch. */
function reopenGuard(address: PostgresAddress, sockets: PostgresSockets): Promise<pg.Client> {
  return makeGuard(address, sockets, (client) => lockLog(client, 'pg_advisory_lock_shared'));
}

async function makeGuard(
  address: PostgresAddress,
  sockets: PostgresSockets,
  lock: (client: pg.Client) => Promise<unknown>,
): Promise<pg.Client> {
  const client = await connect(address, sockets);
  try {
    await lock(client);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

async function lockLog(client: pg.Client, call: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(`SELECT ${call}($1, 'courier_log'::regclass::oid::integer) AS locked`, [
    LOCK_SPACE,
  ]);
  return rows[0]?.locked === true;
}

export function openError({ label }: PostgresAddress, error: unknown): PostgresOpenError {
  if (error instanceof PostgresOpenError && error.cause !== undefined) return error;
  const Kind = isAway(error) ? PostgresAwayError : PostgresOpenError;
  return new Kind(`the event log ${label} cannot be opened: ${detailOf(error)}`, { cause: error });
}
