/**
 * A log in PostgreSQL, which several instances share. Each has one commit on its way at a time, of one statement.
 *
 * The log's epoch is that of the database. It ends when nobody has the log open, when another server takes over, and when
 * the database was restored; an instance that finds another epoch than its own can neither read nor append any more, and
 * says that it is broken.
 */
import pg from 'pg';
import type { PoolFigures } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import { CommitListeners, unavailable } from './answers.ts';
import { bytesOf, GroupCommit, MAX_IN_FLIGHT_BYTES } from './group-commit.ts';
import type { Appended, Concern, EventLog, LogBounds, LogPage, LogQuery, NewEvent } from './log.ts';
import { Positions } from './positions.ts';
import { PostgresAddress } from './postgres/address.ts';
import { APPEND, appendedOf, appendValues, OTHER_EPOCH } from './postgres/append.ts';
import { connect, PostgresDatabase, PostgresSockets, reasonOf } from './postgres/database.ts';
import { ensurePartitions, PastDays } from './postgres/days.ts';
import { type FamilyNumbers, numberFamilies, withFamilies } from './postgres/families.ts';
import { keepGuard, openError, openGuard, withClient } from './postgres/guard.ts';
import { probeAppend } from './postgres/probe.ts';
import { beginEpoch, checkNewest, type FoundLog, findLog, migrate, NO_PARTITION, SERVER_NAME } from './postgres/schema.ts';
import { checkServer, checkSessions, PostgresOpenError, prepareSession, ServerWatch } from './postgres/server.ts';
import { BOUNDS, BYTES, pageOf, readCall, STORED_AT, TRIM_KEYS, WAITS_FOR_STANDBY } from './postgres/statements.ts';
import { PostgresStates } from './postgres/states.ts';
import { isRelated, type Row } from './reading.ts';
import type { StateStore } from './state-store.ts';
import type { Moment } from './steady-clock.ts';

export interface PostgresLogOptions {
  readonly url: string;
  /** Of channels, in an order that every instance of the contract has: instances of earlier versions number them by it. */
  readonly families?: readonly string[];
  /** Ends the opening, whatever it waits for. */
  readonly signal?: AbortSignal;
  /** The clock, in ms since 1970; the database's when absent. */
  readonly now?: () => number;
  /** How often the server's settings are looked at again, in ms. */
  readonly serverCheckMs?: number;
  /** Told of everything that failed but probes, with the error that its callers get. */
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

/** How often the partitions of the days to come are looked for, in ms. */
const PARTITIONS_CHECK_MS = 60 * 60 * 1000;
/** How often the server's settings are looked at again, in ms. */
const SERVER_CHECK_MS = 60 * 1000;
const STANDBY_AWAY = 'it waits for a standby (synchronous_standby_names) that does not answer';

/** Brings the schema to this version, or leaves it as it is, and returns the version. @throws {PostgresOpenError} also when `signal` is aborted. */
export async function migratePostgres(url: string, signal?: AbortSignal): Promise<number> {
  const sockets = new PostgresSockets();
  signal?.addEventListener('abort', sockets.cut);
  try {
    return await withClient(new PostgresAddress(url), sockets, migrate);
  } finally {
    signal?.removeEventListener('abort', sockets.cut);
  }
}

/** Opens the log, making its tables where there are none. @throws {PostgresOpenError} when it cannot be had, or `signal` was aborted. */
export async function openPostgresLog(options: PostgresLogOptions): Promise<SharedLog> {
  await using stack = new AsyncDisposableStack();
  const address = new PostgresAddress(options.url);
  const sockets = new PostgresSockets();
  options.signal?.addEventListener('abort', sockets.cut);
  if (options.signal?.aborted) sockets.cut();
  stack.defer(() => options.signal?.removeEventListener('abort', sockets.cut));
  await withClient(address, sockets, async (client) => {
    const other = await connect(address, sockets);
    await checkSessions(client, other).finally(() => other.end());
    await migrate(client);
    await checkNewest(client);
  });
  const guard = await openGuard(address, sockets);
  stack.defer(() => guard.end());
  try {
    const found = { ...(await findLog(guard)), standbys: await checkServer(guard) };
    await ensurePartitions(guard, options.now?.());
    const families = await numberFamilies(guard, options.families ?? []);
    options.signal?.removeEventListener('abort', sockets.cut);
    stack.move();
    return new PostgresLog(options, address, guard, sockets, { ...found, families });
  } catch (error) {
    throw openError(address, error);
  }
}

class PostgresLog implements SharedLog {
  readonly identity: string;
  readonly freeBytes = undefined;
  readonly positions: Positions;
  readonly database: PostgresDatabase;
  readonly states: StateStore;
  readonly #options: PostgresLogOptions;
  readonly #stop = new AbortController();
  readonly #listeners = new CommitListeners();
  readonly onCommit = this.#listeners.add;
  readonly #commits = new GroupCommit((events) => this.#commit(events));
  #problem: string | undefined;
  readonly #server: ServerWatch;
  readonly #pastDays = new PastDays();
  #families: FamilyNumbers;
  /** The highest number that was seen: the log may not be shorter. */
  #head: number;
  /** Why nothing can be done any more. */
  #ended: string | undefined;
  readonly #sockets: PostgresSockets;
  readonly #guarding: Promise<void>;
  readonly #timers: readonly NodeJS.Timeout[];

  constructor(
    options: PostgresLogOptions,
    address: PostgresAddress,
    guard: pg.Client,
    sockets: PostgresSockets,
    { identity, head, epochs, standbys, families }: FoundLog & { readonly standbys: string; readonly families: FamilyNumbers },
  ) {
    this.#options = options;
    this.identity = identity;
    this.#families = families;
    this.#head = head;
    this.positions = new Positions(epochs);
    this.#sockets = sockets;
    this.#server = new ServerWatch(
      standbys,
      (work) => this.database.with(work),
      (problem) => this.#failure('server', problem),
    );
    this.database = new PostgresDatabase(address, sockets, (client) => this.#checkConnection(client));
    this.states = new PostgresStates({
      database: this.database,
      now: () => this.#options.now?.(),
      numbersOf: (names) => this.#numbersOf(names),
      attempt: (work) =>
        this.#attempt('states', () => {
          const seenHead = this.#head;
          return work((row) => this.#boundsOf(row, seenHead));
        }),
    });
    this.#guarding = keepGuard(address, sockets, guard, this.#stop.signal);
    this.#timers = [
      setInterval(() => void this.#makePartitions(), PARTITIONS_CHECK_MS).unref(),
      setInterval(() => void this.#server.look(), options.serverCheckMs ?? SERVER_CHECK_MS).unref(),
    ];
  }

  get problem(): string | undefined {
    return this.#problem ?? this.#server.problem?.message;
  }

  get pool(): PoolFigures {
    return this.database.pool;
  }

  get concerns(): readonly Concern[] {
    const action = this.#pastDays.concern;
    return [...this.#server.concerns, ...(action === undefined ? [] : [{ about: 'retention', action } as const])];
  }

  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (events.length === 0) return [];
    this.#assertOpen();
    if (this.#commits.bytes + bytesOf(events) > MAX_IN_FLIGHT_BYTES) throw unavailable('too much is waiting to be stored');
    return this.#commits.append(events);
  }

  async probe(): Promise<void> {
    this.#assertOpen();
    const { epoch } = this.positions;
    const probe = () => this.database.with((client) => probeAppend(client, epoch, this.#options.now?.()));
    await this.#storing('probe', () => this.#withPartitions(probe));
  }

  /** Makes one commit and tells of it. */
  #commit(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    return this.#storing('append', async () => {
      const appended = appendedOf(events, await this.#store(events));
      const fresh = appended.filter(({ duplicate }) => !duplicate).map(({ event }) => event);
      this.#head = Math.max(this.#head, fresh.at(-1)?.seq ?? 0);
      this.#problem = undefined;
      this.#listeners.tell(fresh);
      return appended;
    });
  }

  /** Runs what stores events, and notes whether it could. */
  async #storing<T>(operation: string, work: () => Promise<T>): Promise<T> {
    try {
      await this.#server.requireSafe();
      const result = await work();
      this.#problem = undefined;
      return result;
    } catch (cause) {
      const error = this.#failure(operation, (await this.#waitsForStandby(cause)) ? new PostgresOpenError(STANDBY_AWAY) : cause);
      this.#problem = error.message;
      throw error;
    }
  }

  /** Whether what failed had to wait for a standby, or for a commit that does. */
  async #waitsForStandby(cause: unknown): Promise<boolean> {
    if (!this.#server.hasStandbys || cause instanceof PostgresOpenError || this.#ended !== undefined) return false;
    return (await this.database.query(WAITS_FOR_STANDBY).catch(() => [])).length > 0;
  }

  async #store(events: readonly NewEvent[]): Promise<Row[]> {
    const families = await this.#numbersOf(events.map(({ family }) => family));
    const values = appendValues(this.positions.epoch, this.#options.now?.(), events, (family) => families.get(family) as number);
    return this.#withPartitions(() => this.database.query(APPEND, values));
  }

  /** Runs `work`, once more where its day had no partition. */
  async #withPartitions<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === NO_PARTITION)) throw error;
      await this.#makePartitions();
      return await work();
    }
  }

  async #numbersOf(families: Iterable<string>): Promise<FamilyNumbers> {
    this.#families = await withFamilies(this.#families, this.database, families);
    return this.#families;
  }

  async read(query: LogQuery, signal: AbortSignal): Promise<LogPage> {
    signal.throwIfAborted();
    const seenHead = this.#head;
    this.#assertOpen();
    try {
      const families = await this.#numbersOf(query.channels === 'all' || isRelated(query.channels) ? [] : query.channels.families);
      const rows = await this.database.query(...readCall(query, families));
      signal.throwIfAborted();
      return pageOf(rows, query, this.#boundsOf(rows[0], seenHead), families);
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw this.#failure('read', cause);
    }
  }

  bounds(): Promise<LogBounds> {
    return this.#attempt('bounds', async () => {
      const seenHead = this.#head;
      const askedMs = Date.now();
      const [row] = await this.database.query(BOUNDS);
      this.#server.noteTime(Number(row?.['now']), { askedMs, answeredMs: Date.now() });
      return this.#boundsOf(row, seenHead);
    });
  }

  async storedAt(seqs: readonly number[]): Promise<readonly (number | undefined)[]> {
    if (seqs.length === 0) return [];
    return this.#attempt('read', async () => {
      const seenHead = this.#head;
      const rows = await this.database.query(STORED_AT, [seqs]);
      this.#boundsOf(rows[0], seenHead);
      return rows.map(({ stored_ms: ms }) => (ms === null ? undefined : Number(ms)));
    });
  }

  bytes(): Promise<number> {
    return this.#attempt('bytes', async () => Number((await this.database.query(BYTES))[0]?.['bytes']));
  }

  /** Drops the oldest day when all of it is past, or tries to: what another session has locked is left for the next time. */
  trim(keepMs: number, limit: number): Promise<boolean> {
    return this.#attempt('trim', async () => {
      const now = this.#options.now?.();
      const dropped = await this.#pastDays.dropOldest(this.database, this.positions.epoch, keepMs, now);
      const forgotten = await this.database.with((client) => client.query({ ...TRIM_KEYS, values: [now, limit] }));
      return dropped || forgotten.rowCount === limit;
    });
  }

  get now(): Moment {
    const now = this.#options.now?.() ?? Date.now();
    return { earliest: now, latest: now };
  }

  async copy(): Promise<never> {
    throw new CourierError('BAD_REQUEST', 'this log is in PostgreSQL: back its database up with pg_dump, which may run beside the gateway');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= 'it is closed';
    if (this.#stop.signal.aborted) return;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#commits.settled();
    // Not before: the epoch must not end under the last commit.
    this.#stop.abort();
    await this.#sockets.closed(Promise.all([this.#guarding, this.database[Symbol.asyncDispose]()]));
  }

  async #attempt<T>(operation: string, work: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    try {
      return await work();
    } catch (cause) {
      throw this.#failure(operation, cause);
    }
  }

  #assertOpen(): void {
    if (this.#ended !== undefined) throw unavailable(this.#ended);
  }

  /** @param seenHead the highest number that had been seen when the database was asked. */
  #boundsOf(row: Row | undefined, seenHead: number): LogBounds {
    const head = Number(row?.['head']);
    if (row?.['epoch'] !== this.positions.epoch || head < seenHead) throw this.#break();
    this.#head = Math.max(this.#head, head);
    return { first: Number(row['trimmed_through']) + 1, head };
  }

  /** Everything that fails comes through here. */
  #failure(operation: string, cause: unknown): CourierError {
    if (cause instanceof pg.DatabaseError && cause.code === OTHER_EPOCH) this.#break();
    const error = cause instanceof CourierError ? cause : unavailable(this.#ended ?? reasonOf(cause), cause);
    if (this.#ended === undefined && operation !== 'probe') this.#options.onError?.(error, operation);
    return error;
  }

  /** The log is another one, or an earlier state of this one: events that this instance has acknowledged may not be in it. */
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
    await this.#server.check(client);
    const seenHead = this.#head;
    const { rows } = await client.query<{ epoch: string; head: string; moved: boolean }>(
      `SELECT epoch, head, server <> ${SERVER_NAME} AS moved FROM courier_log`,
    );
    const [log] = rows;
    const isRestored = log !== undefined && log.epoch === this.positions.epoch && Number(log.head) < seenHead;
    if (log?.moved || isRestored) await beginEpoch(client, isRestored);
    else if (log?.epoch === this.positions.epoch) return;
    throw this.#break();
  }

  async #makePartitions(): Promise<void> {
    await this.database
      .with((client) => ensurePartitions(client, this.#options.now?.()))
      .catch((cause: unknown) => this.#failure('partitions', cause));
  }
}
