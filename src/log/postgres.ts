/**
 * A log in PostgreSQL, which several instances share. Appends that arrive while a commit is on its way go into the next
 * one: one statement a commit, one commit in flight.
 *
 * The log's epoch is that of the database. It ends when nobody has the log open, when another server takes over, and when
 * the database was restored; an instance that finds another epoch than its own can neither read nor append any more, and
 * says that it is broken.
 */
import pg from 'pg';
import { CHANNEL_FAMILIES } from '../contract/channels.ts';
import { CourierError } from '../errors.ts';
import { CommitListeners, numbered, RETRY_AFTER_MS, unavailable } from './answers.ts';
import { bytesOf, GroupCommit, MAX_IN_FLIGHT_BYTES } from './group-commit.ts';
import {
  type Appended,
  type Concern,
  type EventLog,
  IDEMPOTENCY_WINDOW_MS,
  type LogBounds,
  type LogPage,
  type LogQuery,
  type NewEvent,
  PAGE_BYTES,
  type StoredEvent,
} from './log.ts';
import { type Epoch, Positions } from './positions.ts';
import { PostgresAddress } from './postgres/address.ts';
import { connect, PostgresDatabase, PostgresSockets, reasonOf, type Statement } from './postgres/database.ts';
import { dayOf, ensurePartitions, PastDays, timesOf } from './postgres/days.ts';
import { keepGuard, openError, openGuard, withClient } from './postgres/guard.ts';
import { beginEpoch, migrate, NO_PARTITION, OTHER_EPOCH, SERVER_NAME } from './postgres/schema.ts';
import { checkServer, checkSessions, PostgresOpenError, prepareSession } from './postgres/server.ts';
import { APPEND, BOUNDS, BYTES, NEWEST, readsFrom, TRIM_KEYS, WAITS_FOR_STANDBY } from './postgres/statements.ts';
import { familyNumber, lengthOf, type Row, spanOf, storedEvent } from './reading.ts';

export interface PostgresLogOptions {
  readonly url: string;
  /** The clock, in ms since 1970; the database's when absent. */
  readonly now?: () => number;
  /** How often the server's settings are looked at again, in ms. */
  readonly serverCheckMs?: number;
  /** Told of everything that failed, with the error that its callers get. */
  readonly onError?: (error: CourierError, operation: string) => void;
  /** Told when the log is no longer the one that was opened: nothing can be read or stored any more. */
  readonly onBroken?: (error: unknown) => void;
}

/** A log that several instances share. */
export interface SharedLog extends EventLog {
  /** Names the log, wherever several use the same servers. */
  readonly identity: string;
  readonly database: PostgresDatabase;
}

/** Days that have partitions before they begin, and how often that is looked at. */
const DAYS_AHEAD = 3;
const PARTITIONS_CHECK_MS = 60 * 60 * 1000;
/** How often the server's settings are looked at again, in ms. */
const SERVER_CHECK_MS = 60 * 1000;
const STANDBY_AWAY = 'it waits for a standby (synchronous_standby_names) that does not answer';
/** How long an answer may take that tells the time, in ms, and by how much this machine's clock may differ. */
const MAX_ANSWER_MS = 1000;
const CLOCK_TOLERANCE_MS = 5000;

/** Brings the schema to this version and returns it. @throws {PostgresOpenError} */
export function migratePostgres(url: string): Promise<number> {
  return withClient(new PostgresAddress(url), migrate);
}

/** Opens the log, making its tables where there are none. @throws {PostgresOpenError} when it cannot be had. */
export async function openPostgresLog(options: PostgresLogOptions): Promise<SharedLog> {
  await using stack = new AsyncDisposableStack();
  const address = new PostgresAddress(options.url);
  const sockets = new PostgresSockets();
  await withClient(address, async (client) => {
    const other = await connect(address, sockets);
    await checkSessions(client, other).finally(() => other.end());
    await migrate(client);
    await checkNewest(client);
  });
  const guard = await openGuard(address, sockets);
  stack.defer(() => guard.end());
  try {
    const { rows } = await guard.query<{ identity: string; head: string }>('SELECT identity, head FROM courier_log');
    const standbys = await checkServer(guard);
    const epochs = await guard.query<Epoch & { first: string | number }>('SELECT name, first FROM courier_epoch ORDER BY number');
    const [first, ...rest] = epochs.rows.map(({ name, first }) => ({ name, first: Number(first) }));
    const [log] = rows;
    if (log === undefined || first === undefined) throw new PostgresOpenError('it has lost its head');
    await ensurePartitions(guard, await today(guard, options.now), DAYS_AHEAD);
    stack.move();
    return new PostgresLog(options, address, guard, sockets, {
      identity: log.identity,
      head: Number(log.head),
      epochs: [first, ...rest],
      standbys,
    });
  } catch (error) {
    throw openError(address, error);
  }
}

/** What was acknowledged last is there, and nothing else, unless only a part was restored. @throws {PostgresOpenError} */
async function checkNewest(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ head: string; newest: string }>(NEWEST);
  const [found] = rows;
  if (found === undefined || found.newest === found.head) return;
  const { newest, head } = found;
  throw new PostgresOpenError(
    Number(newest) < Number(head)
      ? `its newest events are missing: the last one is ${newest}, and should be ${head}. Restore all of it; where they are lost for ` +
          `good, say so with UPDATE courier_log SET head = ${newest}, and who had them is told`
      : `it counts ${head} events, and the last one is ${newest}: restore all of it, or let it count on with UPDATE courier_log SET head = ${newest}`,
  );
}

/** The day that the next event falls on, in days since 1970: by the database's clock, and never before that of the last event. */
async function today(client: pg.ClientBase, now: (() => number) | undefined): Promise<number> {
  const times = await timesOf(client, now?.());
  return dayOf(Math.max(times.now, times.lastAppended));
}

class PostgresLog implements SharedLog {
  readonly identity: string;
  readonly freeBytes = undefined;
  readonly positions: Positions;
  readonly database: PostgresDatabase;
  readonly #options: PostgresLogOptions;
  readonly #epoch: string;
  readonly #stop = new AbortController();
  readonly #listeners = new CommitListeners();
  readonly #commits = new GroupCommit((events) => this.#commit(events));
  #problem: string | undefined;
  /** What the server is set to that makes an acknowledgement worth nothing. */
  #unsafe: PostgresOpenError | undefined;
  #watchedAt = 0;
  /** By how many ms this machine's clock is ahead of the database's. */
  #clockAheadMs = 0;
  /** `synchronous_standby_names`, when this instance began and now. */
  readonly #firstStandbys: string;
  #standbys: string;
  readonly #pastDays = new PastDays();
  /** The highest number that was seen: the log may not be shorter. */
  #head: number;
  /** Why nothing can be done any more. */
  #ended: string | undefined;
  readonly #sockets: PostgresSockets;
  readonly #guarding: Promise<void>;
  readonly #partitionsTimer: NodeJS.Timeout;
  readonly #serverTimer: NodeJS.Timeout;

  constructor(
    options: PostgresLogOptions,
    address: PostgresAddress,
    guard: pg.Client,
    sockets: PostgresSockets,
    found: { identity: string; head: number; epochs: readonly [Epoch, ...Epoch[]]; standbys: string },
  ) {
    this.#options = options;
    this.identity = found.identity;
    this.#head = found.head;
    this.positions = new Positions(found.epochs);
    this.#epoch = (found.epochs.at(-1) as Epoch).name;
    this.#sockets = sockets;
    this.#firstStandbys = found.standbys;
    this.#standbys = found.standbys;
    this.database = new PostgresDatabase(address, sockets, (client) => this.#checkConnection(client));
    this.#guarding = keepGuard(address, sockets, guard, this.#stop.signal);
    this.#partitionsTimer = setInterval(() => void this.#makePartitions(), PARTITIONS_CHECK_MS);
    this.#partitionsTimer.unref();
    this.#serverTimer = setInterval(() => void this.#watchServer(), options.serverCheckMs ?? SERVER_CHECK_MS);
    this.#serverTimer.unref();
  }

  get problem(): string | undefined {
    return this.#problem ?? this.#unsafe?.message;
  }

  get concerns(): readonly Concern[] {
    const [ahead, names] = [this.#clockAheadMs, this.#standbys];
    const concerns: Concern[] = [];
    if (Math.abs(ahead) > CLOCK_TOLERANCE_MS) {
      const differs = `${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'}`;
      const action = `the clock of this machine is ${differs} the database's, which decides on retention: set it, as tokens go by it`;
      concerns.push({ about: 'clock', action });
    }
    if (names !== this.#firstStandbys) {
      const differs = `is ${JSON.stringify(names)}, and was ${JSON.stringify(this.#firstStandbys)} when this instance began`;
      concerns.push({ about: 'standbys', action: `synchronous_standby_names ${differs}: if that is meant, start it again` });
    }
    if (this.#pastDays.concern !== undefined) concerns.push({ about: 'retention', action: this.#pastDays.concern });
    return concerns;
  }

  onCommit(listener: (events: readonly StoredEvent[]) => void): () => void {
    return this.#listeners.add(listener);
  }

  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (events.length === 0) return [];
    this.#assertOpen();
    if (this.#commits.bytes + bytesOf(events) > MAX_IN_FLIGHT_BYTES) throw unavailable('too much is waiting to be stored');
    return this.#commits.append(events);
  }

  /** Makes one commit and tells of it. */
  async #commit(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    try {
      if (this.#unsafe !== undefined) await this.#watchServerAgain();
      if (this.#unsafe !== undefined) throw this.#unsafe;
      return this.#tell(events, await this.#store(events));
    } catch (cause) {
      const error = this.#failure('append', (await this.#waitsForStandby(cause)) ? new PostgresOpenError(STANDBY_AWAY) : cause);
      this.#problem = error.message;
      throw error;
    }
  }

  /** Whether what failed had to wait for a standby, or for a commit that does. */
  async #waitsForStandby(cause: unknown): Promise<boolean> {
    if (this.#standbys === '' || cause instanceof PostgresOpenError || this.#ended !== undefined) return false;
    return (await this.#query(WAITS_FOR_STANDBY).catch(() => [])).length > 0;
  }

  async #store(events: readonly NewEvent[]): Promise<Row[]> {
    const now = this.#options.now?.();
    const values = [
      this.#epoch,
      now,
      IDEMPOTENCY_WINDOW_MS,
      events.map(({ channel }) => channel),
      events.map(({ family }) => familyNumber(family)),
      events.map(({ type }) => type),
      events.map(({ body }) => body),
      events.map(({ idempotency }) => idempotency?.principal),
      events.map(({ idempotency }) => idempotency?.key),
    ];
    try {
      return await this.#query(APPEND, values);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === NO_PARTITION)) throw error;
      await this.#makePartitions();
      return await this.#query(APPEND, values);
    }
  }

  #tell(events: readonly NewEvent[], rows: readonly Row[]): readonly Appended[] {
    this.#problem = undefined;
    const fresh: StoredEvent[] = [];
    const appended = rows.map((row): Appended => {
      const seq = Number(row['seq']);
      const duplicate = row['duplicate'] === true;
      if (row['body'] !== null) return { event: storedEvent(row), duplicate };
      const event = numbered(events[Number(row['origin']) - 1] as NewEvent, seq);
      if (!duplicate) fresh.push(event);
      return { event, duplicate };
    });
    this.#head = Math.max(this.#head, fresh.at(-1)?.seq ?? 0);
    this.#listeners.tell(fresh);
    return appended;
  }

  async read({ channels, types, limit, ...start }: LogQuery, signal: AbortSignal): Promise<LogPage> {
    signal.throwIfAborted();
    this.#assertOpen();
    const floor = this.#head;
    const all = channels.families.size === CHANNEL_FAMILIES.length;
    const wanted = [start.beforeSeq ?? start.afterSeq, limit, types && [...types]];
    const some = all ? [] : [[...channels.families].map((family) => familyNumber(family)), [...channels.singles]];
    try {
      const rows = await this.#query(readsFrom(start)[all ? 'all' : 'some'], [...wanted, ...some]);
      signal.throwIfAborted();
      const bounds = this.#boundsOf(rows[0], floor);
      const found = rows.filter((row) => row['seq'] !== null);
      const last = found.at(-1);
      const { beginSeq, step, endSeq: spanEndSeq } = spanOf(start, bounds);
      const full = last !== undefined && (found.length === limit || Number(last['total']) > PAGE_BYTES);
      const endSeq = full ? Number(last['seq']) : spanEndSeq;
      // Everything was asked for, so the numbers are dense.
      if (all && found.length !== lengthOf({ beginSeq, step, endSeq }, bounds))
        throw unavailable(`it is damaged, an event from ${beginSeq} to ${endSeq} is missing: restore a copy`);
      return { events: found.filter((row) => row['body'] !== null).map(storedEvent), endSeq, ...bounds };
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw this.#failure('read', cause);
    }
  }

  async bounds(): Promise<LogBounds> {
    this.#assertOpen();
    const floor = this.#head;
    const askedAt = Date.now();
    try {
      const [row] = await this.#query(BOUNDS);
      const answeredAt = Date.now();
      // Of an answer that was long on its way the time is not known well.
      if (answeredAt - askedAt < MAX_ANSWER_MS) this.#clockAheadMs = (askedAt + answeredAt) / 2 - Number(row?.['now']);
      return this.#boundsOf(row, floor);
    } catch (cause) {
      throw this.#failure('bounds', cause);
    }
  }

  async bytes(): Promise<number> {
    this.#assertOpen();
    try {
      return Number((await this.#query(BYTES))[0]?.['bytes']);
    } catch (cause) {
      throw this.#failure('bytes', cause);
    }
  }

  /** Drops the oldest day when all of it is past, or tries to: what another session holds is left for the next time. */
  async trim(keepMs: number, limit: number): Promise<boolean> {
    this.#assertOpen();
    try {
      const now = this.#options.now?.();
      const dropped = await this.#pastDays.dropOldest(this.database, this.#epoch, keepMs, now);
      const forgotten = await this.database.with((client) => client.query({ ...TRIM_KEYS, values: [now, IDEMPOTENCY_WINDOW_MS, limit] }));
      return dropped || forgotten.rowCount === limit;
    } catch (cause) {
      throw this.#failure('trim', cause);
    }
  }

  async copy(): Promise<never> {
    throw new CourierError('BAD_REQUEST', 'this log is in PostgreSQL: back its database up with pg_dump, which may run beside the gateway');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= 'it is closed';
    if (this.#stop.signal.aborted) return;
    clearInterval(this.#partitionsTimer);
    clearInterval(this.#serverTimer);
    await this.#commits.settled();
    // Not before: the epoch must not end under the last commit.
    this.#stop.abort();
    await this.#sockets.closed(Promise.all([this.#guarding, this.database[Symbol.asyncDispose]()]));
  }

  #query(statement: Statement, values?: readonly unknown[]): Promise<Row[]> {
    return this.database.query(statement, values);
  }

  #assertOpen(): void {
    if (this.#ended !== undefined) throw unavailable(this.#ended);
  }

  /** @param floor the highest number that had been seen when it was asked. */
  #boundsOf(row: Row | undefined, floor: number): LogBounds {
    const head = Number(row?.['head']);
    if (row?.['epoch'] !== this.#epoch || head < floor) throw this.#break();
    this.#head = Math.max(this.#head, head);
    return { first: Number(row['trimmed_through']) + 1, head };
  }

  /** Everything that fails comes through here. */
  #failure(operation: string, cause: unknown): CourierError {
    if (cause instanceof pg.DatabaseError && cause.code === OTHER_EPOCH) this.#break();
    const error = cause instanceof CourierError ? cause : unavailable(this.#ended ?? reasonOf(cause), cause);
    if (this.#ended === undefined) this.#options.onError?.(error, operation);
    return error;
  }

  /** The log is another one, or an earlier state of this one: what was given out here may not be in it. */
  #break(): Error {
    const error = new Error('the database was restored, or another took its place: this instance must start again');
    if (this.#ended === undefined) {
      this.#ended = error.message;
      this.#options.onBroken?.(error);
    }
    return error;
  }

  /** Looks whether a new connection leads to the log that was opened. */
  async #checkConnection(client: pg.ClientBase): Promise<void> {
    await prepareSession(client);
    this.#standbys = await checkServer(client);
    const floor = this.#head;
    const { rows } = await client.query<{ epoch: string; head: string; moved: boolean }>(
      `SELECT epoch, head, server <> ${SERVER_NAME} AS moved FROM courier_log`,
    );
    const [log] = rows;
    const isRestored = log !== undefined && log.epoch === this.#epoch && Number(log.head) < floor;
    if (log?.moved || isRestored) await beginEpoch(client, isRestored);
    else if (log?.epoch === this.#epoch) return;
    throw this.#break();
  }

  /** The sooner publishes are taken again the better. */
  async #watchServerAgain(): Promise<void> {
    const now = performance.now();
    if (now - this.#watchedAt < RETRY_AFTER_MS) return;
    this.#watchedAt = now;
    await this.#watchServer();
  }

  /** Settings can be changed while the server runs. */
  async #watchServer(): Promise<void> {
    try {
      this.#standbys = await this.database.with(checkServer);
      this.#unsafe = undefined;
    } catch (cause) {
      // What cannot be reached is noticed elsewhere.
      if (!(cause instanceof PostgresOpenError)) return;
      if (this.#unsafe?.message !== cause.message) this.#failure('server', cause);
      this.#unsafe = cause;
    }
  }

  async #makePartitions(): Promise<void> {
    await this.database
      .with(async (client) => {
        await ensurePartitions(client, await today(client, this.#options.now), DAYS_AHEAD);
      })
      .catch((cause: unknown) => this.#failure('partitions', cause));
  }
}
