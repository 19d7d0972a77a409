/**
 * The connections to PostgreSQL: bounded in number and in time. Where there are several servers they lead to the one that
 * takes writes. While none can be reached they fail at once, and try again after a pause that grows.
 */
import { Socket } from 'node:net';
import pg from 'pg';
import type { PoolFigures } from '../../contract/admin.ts';
import type { Row } from '../reading.ts';
import type { PostgresAddress } from './address.ts';
import { checkServer, LOCK_MS, PostgresOpenError, prepareSession, STATEMENT_MS, StandbyError } from './server.ts';

/** Connections at once. */
const MAX_CONNECTIONS = 10;
/** How long a connection may take to be made, in ms. */
const CONNECT_MS = 3000;
/** How long an answer may take where the server cannot be heard any more, in ms: it has said before that it takes too long. */
const ANSWER_MS = STATEMENT_MS + 1000;
/** Pauses between attempts to connect, in ms. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2000;

/** How long connections may take to be closed, in ms: a server that cannot be heard does not confirm it. */
const CLOSE_MS = 500;

/** The sockets of connections, which can be cut where the server does not hear any more. */
export class PostgresSockets {
  readonly #open = new Set<Socket>();
  #isCut = false;

  readonly make = (): Socket => {
    if (this.#isCut) throw new Error('connections are made no more');
    const socket = new Socket();
    this.#open.add(socket);
    return socket.once('close', () => this.#open.delete(socket));
  };

  /** Ends all there are, and makes no others. */
  readonly cut = (): void => {
    this.#isCut = true;
    for (const socket of this.#open) socket.destroy();
  };

  /** Waits for connections to be closed, and cuts them when that takes too long. */
  async closed(closing: Promise<unknown>): Promise<void> {
    const timer = setTimeout(this.cut, CLOSE_MS);
    await closing.catch(() => undefined);
    clearTimeout(timer);
  }
}

/** Settings that every connection has. */
function connectionSettings(url: string, sockets: PostgresSockets): pg.ClientConfig {
  return {
    connectionString: url,
    stream: sockets.make,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    keepAlive: true,
    application_name: 'courier',
  };
}

/** Connects to the server that takes writes. @throws what each of them said. */
export function connect(address: PostgresAddress, sockets: PostgresSockets): Promise<pg.Client> {
  return anyServer(address, async () => {
    const client = new pg.Client(connectionSettings(address.url, sockets));
    client.on('error', () => undefined);
    try {
      await client.connect();
      await prepareSession(client);
      await checkServer(client);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  });
}

/** Tries every server once, the one that was good last first. */
async function anyServer<T>(address: PostgresAddress, attempt: () => Promise<T>): Promise<T> {
  const failures: { readonly host: string | undefined; readonly error: unknown }[] = [];
  while (failures.length < address.count) {
    const { url } = address;
    try {
      return await attempt();
    } catch (error) {
      failures.push({ host: URL.parse(url)?.host, error });
      address.leave(url);
    }
  }
  if (failures.length === 1) throw failures[0]?.error;
  throw new AggregateError(
    failures.map(({ error }) => error),
    failures.map(({ host, error }) => `${host}: ${detailOf(error)}`).join('; '),
  );
}

/** A statement that is prepared once for each connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export class PostgresDatabase implements AsyncDisposable {
  readonly #address: PostgresAddress;
  /** Connections whose commit did not wait for the standby. */
  readonly #unreplicated = new WeakSet<pg.ClientBase>();
  readonly #pool: pg.Pool;
  #pauseMs = 0;
  #pausedUntil = 0;
  #lastFailure: unknown;

  /** @param onConnect looks at each new connection before it is used; a rejection closes it. */
  constructor(address: PostgresAddress, sockets: PostgresSockets, onConnect: (client: pg.ClientBase) => Promise<void>) {
    this.#address = address;
    this.#pool = new pg.Pool({
      Client: class extends pg.Client {
        constructor() {
          super(connectionSettings(address.url, sockets));
        }
      },
      max: MAX_CONNECTIONS,
      // The pool waits for what it returns, whatever its type says.
      onConnect: onConnect as (client: pg.ClientBase) => void,
    });
    // A connection that breaks while nobody uses it is replaced when one is needed.
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => {
      // One that breaks while it is used fails its query.
      client.on('error', () => undefined);
      client.on('notice', ({ routine }) => {
        if (routine === WAIT_FOR_STANDBY) this.#unreplicated.add(client);
      });
    });
  }

  get pool(): PoolFigures {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { total: totalCount, idle: idleCount, waiting: waitingCount };
  }

  /** @throws also where what was committed may not be on the standby that it was to wait for. */
  async query(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    const client = await this.#connect();
    let broken: unknown;
    try {
      const { rows } = await client.query<Row>({ ...statement, values: [...values] });
      this.#requireReplicated(client);
      return rows;
    } catch (error) {
      broken = isServerError(error) ? undefined : error;
      throw error;
    } finally {
      client.release(broken instanceof Error ? broken : false);
    }
  }

  /** Runs `work` on one connection, which is closed when it fails. @throws as `query`. */
  async with<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let failed = true;
    try {
      const result = await work(client);
      this.#requireReplicated(client);
      failed = false;
      return result;
    } finally {
      client.release(failed);
    }
  }

  /** The server answers that all is well. */
  #requireReplicated(client: pg.ClientBase): void {
    if (this.#unreplicated.has(client)) throw new PostgresOpenError('the wait for a standby was ended before it had what was stored');
  }

  async #connect(): Promise<pg.PoolClient> {
    if (performance.now() < this.#pausedUntil) throw this.#lastFailure;
    try {
      const client = await anyServer(this.#address, () => this.#pool.connect());
      this.#pauseMs = 0;
      return client;
    } catch (error) {
      this.#lastFailure = error;
      this.#pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, this.#pauseMs * 2));
      this.#pausedUntil = performance.now() + this.#pauseMs * (0.5 + Math.random() / 2);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}

/**
 * The server answered, if only to refuse; the connection is as good as before. Not where it is shutting down (57P..), or takes
 * no writes any more.
 */
function isServerError(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code !== READ_ONLY && !error.code?.startsWith('57P');
}

/** What warns, in every language, that a commit did not wait until a standby had it. */
const WAIT_FOR_STANDBY = 'SyncRepWaitForLSN';
/** SQLSTATEs: read_only_sql_transaction, and others that say more than that it refused. */
const READ_ONLY = '25006';
const REASONS: ReadonlyMap<string | undefined, string> = new Map([
  [READ_ONLY, 'the database takes no writes: it is a standby, or read-only'],
  ['53100', 'the disk of the database is full'],
  ['53300', 'the database has no connection left'],
  ['55P03', `it waited for a lock that another session has on the database for ${LOCK_MS} ms`],
  ['57014', `the database took longer than ${STATEMENT_MS} ms`],
]);

const NO_ANSWER = 'the database does not answer in time; behind a pooler, has that connections enough?';

/** SQLSTATEs of a server that is shutting down, starting or recovering, that has no connection left, or whose connection broke. */
const AWAY = /^(57P0[1-3]|53300|08...)$/;
/** What pg says of connections that come to nothing. */
const NO_CONNECTION = /^(timeout expired|Query read timeout|Connection terminated.*)$/;

/** Whether the database may be there later by itself; of several servers each must be such a one. */
export function isAway(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isAway);
  if (error instanceof pg.DatabaseError) return AWAY.test(error.code ?? '');
  if (error instanceof PostgresOpenError) return error instanceof StandbyError;
  // Errors of the system, such as ECONNREFUSED and ENOTFOUND, name its call; those of TLS do not.
  return error instanceof Error && ('syscall' in error || NO_CONNECTION.test(error.message));
}

/** What went wrong, for callers: without names, addresses and data, which the error itself may have. */
export function reasonOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) {
    if (error.code?.startsWith('57P')) return 'the database is shutting down or starting';
    return REASONS.get(error.code) ?? `the database refused (SQLSTATE ${error.code})`;
  }
  if (error instanceof PostgresOpenError) return error.message;
  // Attempts on several addresses fail together, without a message.
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0]);
  if (error instanceof AggregateError) return 'none of the servers of the database can be written to';
  if (error instanceof Error && 'code' in error) return `the database cannot be reached (${error.code})`;
  if (error instanceof Error && /timeout/i.test(error.message)) return NO_ANSWER;
  return 'the database cannot be reached';
}

/** The same for whoever runs the gateway, in the words of the database. */
export function detailOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return detailOf(error.errors[0]);
  if (error instanceof PostgresOpenError) return error.message;
  return error instanceof Error ? `${reasonOf(error)}: ${error.message}` : reasonOf(error);
}
