/**
 * The connections to PostgreSQL: bounded in number and in time. While the server cannot be reached they fail at once, and
 * try again after a pause that grows.
 */
import { Socket } from 'node:net';
import pg from 'pg';

/** Connections at once. */
const MAX_CONNECTIONS = 10;
/** How long a connection may take to be made, and a statement to be answered, in ms. */
const CONNECT_MS = 3000;
export const STATEMENT_MS = 5000;
/** Pauses between attempts to connect, in ms. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2000;

/** How long connections may take to be closed, in ms: a server that cannot be heard does not confirm it. */
const CLOSE_MS = 500;

/** The sockets of connections, which can be cut where the server does not hear any more. */
export class PostgresSockets {
  readonly #open = new Set<Socket>();

  readonly make = (): Socket => {
    const socket = new Socket();
    this.#open.add(socket);
    return socket.once('close', () => this.#open.delete(socket));
  };

  /** Waits for connections to be closed, and cuts them when that takes too long. */
  async closed(closing: Promise<unknown>): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of this.#open) socket.destroy();
    }, CLOSE_MS);
    await closing.catch(() => undefined);
    clearTimeout(timer);
  }
}

/** Settings that every connection has. */
export function connectionSettings(url: string, sockets: PostgresSockets): pg.ClientConfig {
  return {
    connectionString: url,
    stream: sockets.make,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    // Also where the server cannot be heard any more.
    query_timeout: STATEMENT_MS,
    // An instance that is stopped in the middle of something lets go of what it has locked.
    idle_in_transaction_session_timeout: STATEMENT_MS,
    keepAlive: true,
    application_name: 'courier',
  };
}

/** A statement that is prepared once for each connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export interface Row {
  readonly [column: string]: unknown;
}

export class PostgresDatabase implements AsyncDisposable {
  readonly #pool: pg.Pool;
  #pauseMs = 0;
  #pausedUntil = 0;
  #lastFailure: unknown;

  /** @param onConnect looks at each new connection before it is used; a rejection closes it. */
  constructor(url: string, sockets: PostgresSockets, onConnect: (client: pg.ClientBase) => Promise<void>) {
    this.#pool = new pg.Pool({
      ...connectionSettings(url, sockets),
      max: MAX_CONNECTIONS,
      // The pool waits for what it returns, whatever its type says.
      onConnect: onConnect as (client: pg.ClientBase) => void,
    });
    // A connection that breaks while nobody uses it is replaced when one is needed.
    this.#pool.on('error', () => undefined);
    // One that breaks while it is used fails its query.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  async query(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    const client = await this.#connect();
    let broken: unknown;
    try {
      return (await client.query<Row>({ ...statement, values: [...values] })).rows;
    } catch (error) {
      broken = isServerError(error) ? undefined : error;
      throw error;
    } finally {
      client.release(broken instanceof Error ? broken : false);
    }
  }

  /** Runs `work` on one connection, which is closed when it fails. */
  async with<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let failed = true;
    try {
      const result = await work(client);
      failed = false;
      return result;
    } finally {
      client.release(failed);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    if (performance.now() < this.#pausedUntil) throw this.#lastFailure;
    try {
      const client = await this.#pool.connect();
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

/** The server answered, if only to refuse; the connection is as good as before. Shutting down (57P..) is not. */
function isServerError(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !error.code?.startsWith('57P');
}

/** What went wrong, for callers: without names, addresses and data, which the error itself may have. */
export function reasonOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) {
    if (error.code === '53100') return 'the disk of the database is full';
    if (error.code?.startsWith('57P')) return 'the database is shutting down or starting';
    if (error.code === '57014') return `the database took longer than ${STATEMENT_MS} ms`;
    return `the database refused (SQLSTATE ${error.code})`;
  }
  // Attempts on several addresses fail together, without a message.
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0]);
  return error instanceof Error && 'code' in error ? `the database cannot be reached (${error.code})` : 'the database cannot be reached';
}

/** The same for whoever runs the gateway, in the words of the database. */
export function detailOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return detailOf(error.errors[0]);
  return error instanceof Error ? `${reasonOf(error)}: ${error.message}` : reasonOf(error);
}
