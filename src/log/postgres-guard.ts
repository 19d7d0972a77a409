/**
 * The lock that everybody holds who has the log open, so that whoever comes first knows that nobody has. It is held by a
 * connection of its own, which is made again whenever it breaks.
 */
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { connectionSettings, detailOf, PostgresSockets } from './postgres-database.ts';
import { beginEpoch, LOCK_SPACE, PostgresOpenError } from './postgres-schema.ts';

const PAUSE_MS = 500;

/** Holds the lock again after every interruption, until `signal` aborts. Resolves when the connection is closed. */
export async function keepGuard(url: string, sockets: PostgresSockets, first: pg.Client, signal: AbortSignal): Promise<void> {
  for (let guard: pg.Client | undefined = first; ; guard = undefined) {
    while (guard === undefined && !signal.aborted) {
      guard = await reopenGuard(url, sockets).catch(() => undefined);
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

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(connectionSettings(url, new PostgresSockets()));
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw openError(url, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A connection that holds the lock of those who have the log open. Who finds that nobody has begins an epoch. */
export async function openGuard(url: string, sockets: PostgresSockets): Promise<pg.Client> {
  const client = await connectGuard(url, sockets);
  try {
    const alone = await lockLog(client, 'pg_try_advisory_lock');
    if (alone) await beginEpoch(client, true);
    await lockLog(client, 'pg_advisory_lock_shared');
    if (alone) await lockLog(client, 'pg_advisory_unlock');
    else await beginEpoch(client, false);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw openError(url, error);
  }
}

/** The same for an instance that had the log open until the connection broke: it goes on in its epoch. */
async function reopenGuard(url: string, sockets: PostgresSockets): Promise<pg.Client> {
  const client = await connectGuard(url, sockets);
  try {
    await lockLog(client, 'pg_advisory_lock_shared');
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

async function connectGuard(url: string, sockets: PostgresSockets): Promise<pg.Client> {
  const client = new pg.Client(connectionSettings(url, sockets));
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw openError(url, error);
  }
}

async function lockLog(client: pg.Client, call: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(`SELECT ${call}($1, 'courier_log'::regclass::oid::integer) AS locked`, [
    LOCK_SPACE,
  ]);
  return rows[0]?.locked === true;
}

export function openError(url: string, error: unknown): PostgresOpenError {
  const { host, pathname } = URL.parse(url) ?? { host: '?', pathname: '' };
  const reason = error instanceof PostgresOpenError ? error.message : detailOf(error);
  return new PostgresOpenError(`the event log ${host}${pathname} cannot be opened: ${reason}`, { cause: error });
}
