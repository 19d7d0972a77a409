/** What a server must be for a log to be kept there, and what each connection to it is set to. */
import type { ClientBase } from 'pg';
import { RETRY_AFTER_MS } from '../answers.ts';
import type { Concern } from '../log.ts';

/** Oldest PostgreSQL that is supported, as `server_version_num` has it. */
const MIN_SERVER_VERSION = 140_000;
/** How long a statement may take, in ms, and how much of that it may wait for locks that others hold. */
export const STATEMENT_MS = 5000;
export const LOCK_MS = 3000;

/** Why a database cannot be used; one line. */
export class PostgresOpenError extends Error {
  override readonly name = 'PostgresOpenError';
}

/** The server may be there later, without anybody's changing a setting. */
export class PostgresAwayError extends PostgresOpenError {}

/** Another server takes the writes, or is about to. */
export class StandbyError extends PostgresOpenError {}

/** Sets a new connection up. Not in the connection's first message, which poolers read themselves. */
export async function prepareSession(client: ClientBase): Promise<void> {
  await client.query(
    `SET statement_timeout = ${STATEMENT_MS}; SET lock_timeout = ${LOCK_MS};
     -- An instance that is stopped in the middle of something lets go of what it has locked.
     SET idle_in_transaction_session_timeout = ${STATEMENT_MS};
     -- Compiling takes longer than any of the statements.
     SET jit = off`,
  );
}

interface Settings {
  readonly version: string;
  readonly encoding: string;
  readonly commit: string;
  readonly fsync: string;
  readonly full_pages: string;
  readonly standbys: string;
  readonly read_only: string;
  readonly is_standby: boolean;
}

/**
 * Checks that the server keeps what it has acknowledged. Resolves to the names of the standbys that it waits for, as
 * `synchronous_standby_names` has them.
 *
 * @throws {PostgresOpenError}
 */
export async function checkServer(client: ClientBase): Promise<string> {
  const { rows } = await client.query<Settings>(
    `SELECT current_setting('server_version_num') AS version, getdatabaseencoding() AS encoding,
            current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync,
            current_setting('full_page_writes') AS full_pages, current_setting('synchronous_standby_names') AS standbys,
            current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS is_standby`,
  );
  const [found] = rows;
  if (found === undefined) throw new PostgresOpenError('the server says nothing of itself');
  if (Number(found.version) < MIN_SERVER_VERSION)
    throw new PostgresOpenError(`the server is PostgreSQL ${Math.floor(Number(found.version) / 10_000)}, and must be 14 or later`);
  if (found.is_standby) throw new StandbyError('the server is a standby, which takes no events: name the primary, or all of them');
  if (found.read_only !== 'off') throw new StandbyError('the database is read-only: default_transaction_read_only must be off');
  if (found.encoding !== 'UTF8')
    throw new PostgresOpenError(
      `the database is in ${found.encoding}, and must be in UTF8: create it with ENCODING 'UTF8' TEMPLATE template0`,
    );
  if (!['on', 'remote_apply'].includes(found.commit))
    throw new PostgresOpenError(`synchronous_commit is ${found.commit}, and must be on: acknowledged events could be lost`);
  for (const [name, value] of [
    ['fsync', found.fsync],
    ['full_page_writes', found.full_pages],
  ]) {
    if (value !== 'on') throw new PostgresOpenError(`${name} is ${value}, and must be on: acknowledged events could be lost`);
  }
  return found.standbys;
}

/** How long an answer may take that tells the time, in ms, and by how much this machine's clock may differ. */
const MAX_ANSWER_MS = 1000;
const CLOCK_TOLERANCE_MS = 5000;

/** Whether the server still is what it must be: settings can be changed while it runs, and clocks go wrong. */
export class ServerWatch {
  readonly #run: (work: (client: ClientBase) => Promise<void>) => Promise<void>;
  readonly #onProblem: (problem: PostgresOpenError) => void;
  /** What the server waits for, as `checkServer` tells it: when the log was opened, and now. */
  readonly #firstStandbys: string;
  #standbys: string;
  #problem: PostgresOpenError | undefined;
  #lastLookAt = 0;
  /** By how many ms this machine's clock is ahead of the database's. */
  #clockAheadMs = 0;

  /** @param run runs its argument on a connection; `onProblem` is told of a problem when it is another one than before. */
  constructor(
    standbys: string,
    run: (work: (client: ClientBase) => Promise<void>) => Promise<void>,
    onProblem: (problem: PostgresOpenError) => void,
  ) {
    this.#firstStandbys = standbys;
    this.#standbys = standbys;
    this.#run = run;
    this.#onProblem = onProblem;
  }

  /** What the server is set to that makes an acknowledgement worth nothing. */
  get problem(): PostgresOpenError | undefined {
    return this.#problem;
  }

  /** Whether commits wait for standbys. */
  get hasStandbys(): boolean {
    return this.#standbys !== '';
  }

  get concerns(): readonly Concern[] {
    const aheadMs = this.#clockAheadMs;
    const concerns: Concern[] = [];
    if (Math.abs(aheadMs) > CLOCK_TOLERANCE_MS) {
      const differs = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
      const action = `the clock of this machine is ${differs} the database's, which decides on retention: set it, as tokens go by it`;
      concerns.push({ about: 'clock', action });
    }
    if (this.#standbys !== this.#firstStandbys) {
      const differs = `is ${JSON.stringify(this.#standbys)}, and was ${JSON.stringify(this.#firstStandbys)} when this instance began`;
      concerns.push({ about: 'standbys', action: `synchronous_standby_names ${differs}: if that is meant, start it again` });
    }
    return concerns;
  }

  /** @throws {PostgresOpenError} */
  async check(client: ClientBase): Promise<void> {
    this.#standbys = await checkServer(client);
  }

  /** Looks for a problem, or whether it is over. */
  async look(): Promise<void> {
    try {
      await this.#run((client) => this.check(client));
      this.#problem = undefined;
    } catch (cause) {
      // A server that cannot be reached is noticed elsewhere.
      if (!(cause instanceof PostgresOpenError)) return;
      if (this.#problem?.message !== cause.message) this.#onProblem(cause);
      this.#problem = cause;
    }
  }

  /** Looks whether a problem is over, once in RETRY_AFTER_MS: publishes are taken again as soon as it is. @throws it when not. */
  async requireSafe(): Promise<void> {
    const now = performance.now();
    if (this.#problem !== undefined && now - this.#lastLookAt >= RETRY_AFTER_MS) {
      this.#lastLookAt = now;
      await this.look();
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  /** Compares the clocks. All in ms since 1970: `serverMs` by the database's, the others by this machine's. */
  noteTime(serverMs: number, { askedMs, answeredMs }: { readonly askedMs: number; readonly answeredMs: number }): void {
    // An answer that was long on its way tells the time badly.
    if (answeredMs - askedMs < MAX_ANSWER_MS) this.#clockAheadMs = (askedMs + answeredMs) / 2 - serverMs;
  }
}

/** How often a connection is asked for its session: a pooler may give out its own in turn. */
const SESSION_LOOKS = 8;

/**
 * Checks that each of two connections has a session of its own, which is not so behind a pooler that gives one out for a
 * transaction only: there the lock that says that the log is open would be anybody's.
 *
 * @throws {PostgresOpenError}
 */
export async function checkSessions(one: ClientBase, other: ClientBase): Promise<void> {
  const sessionOf = async (client: ClientBase) => (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
  const sessions = new Set<number | undefined>();
  for (let looks = 0; looks < SESSION_LOOKS; looks += 1) sessions.add(await sessionOf(one));
  await other.query('BEGIN');
  const others = await sessionOf(other);
  const isShared = sessions.has(others);
  if (!isShared) sessions.add(await sessionOf(one));
  await other.query('COMMIT');
  if (!isShared && sessions.size === 1) return;
  throw new PostgresOpenError(
    'connections go through a pooler that shares sessions between them: set pool_mode = session for this database, or connect past it',
  );
}
