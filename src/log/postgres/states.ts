/** The states of entities in PostgreSQL, which several instances share: one of them at a time writes those of a build. */
import type { ClientBase } from 'pg';
import { familyIn, includesChannel } from '../../contract/channels.ts';
import type { LogBounds } from '../log.ts';
import type { Row } from '../reading.ts';
import {
  type FoundState,
  MAX_ROWS_OF_EVENT,
  REMOVAL_SETTLES_MS,
  STATE_CONDITIONS,
  type StateBuild,
  type StateCondition,
  type StateName,
  type StateQuery,
  type StateRemoval,
  type StateRow,
  type StateRows,
  type StateStore,
} from '../state-store.ts';
import type { PostgresDatabase, Statement } from './database.ts';
import type { FamilyNumbers } from './families.ts';
import { lockKeys, transaction } from './schema.ts';
import {
  BEGIN_AGAIN,
  BEGIN_FIRST,
  CLAIM,
  COMPLETE,
  COUNT,
  END_BUILD,
  FIND,
  FORGET_BUILD,
  FORGET_CLOSED,
  FORGET_REMOVALS,
  FORGET_ROWS,
  HAS_ENDED,
  LOCK_BUILDS,
  LOCK_LOG,
  LOOK,
  NOTE,
  NOTE_FORGOTTEN,
  NOTE_OTHERS,
  NOTE_RETURNED,
  OLD_BUILD,
  PUT,
  READ_CHANNELS,
  READ_KEYS,
  RELEASE,
  REMOVALS,
  REMOVE_FORGOTTEN,
  REMOVE_GONE,
  SETTLE,
  USE,
} from './state-statements.ts';
import { BOUNDS } from './statements.ts';

/** What the states need of the log that they belong to. */
export interface StateHost {
  readonly database: PostgresDatabase;
  /** Another clock than the database's, in ms since 1970. */
  readonly now: () => number | undefined;
  readonly numbersOf: (families: Iterable<string>) => Promise<FamilyNumbers>;
  /** Runs `work`, and sees to its failing. `boundsOf` throws where a row with the log's epoch and head is not of the log that was opened. */
  readonly attempt: <T>(work: (boundsOf: (row: Row | undefined) => LogBounds) => Promise<T>) => Promise<T>;
}

/** A transaction of the log that was opened. */
interface Change {
  readonly query: (statement: Statement, values?: readonly unknown[]) => Promise<{ readonly rows: Row[]; readonly count: number }>;
  readonly nowMs: number;
  /** Locks builds, all when absent, and resolves to their numbers. */
  readonly lockBuilds: (builds?: readonly number[]) => Promise<readonly number[]>;
  /** Locks the log after the builds. */
  readonly lockLog: () => Promise<LogBounds>;
}

export class PostgresStates implements StateStore {
  readonly #host: StateHost;

  constructor(host: StateHost) {
    this.#host = host;
  }

  register(entities: readonly { readonly entity: string; readonly version: number }[]): Promise<readonly StateBuild[]> {
    const names = entities.map(({ entity }) => entity);
    const values = [names, entities.map(({ version }) => version)];
    return this.#change(async ({ query, lockBuilds, lockLog }) => {
      const locked = await lockBuilds();
      await lockLog();
      await query(BEGIN_FIRST, values);
      await query(USE, [...values, locked]);
      await query(NOTE_RETURNED, values);
      return buildsOf((await query(LOOK, [names])).rows);
    });
  }

  async look(entities: readonly string[]): Promise<{ readonly builds: readonly StateBuild[]; readonly removals: number }> {
    const rows = await this.#query(LOOK, [entities]);
    return { builds: buildsOf(rows), removals: Number(rows[0]?.['removals']) };
  }

  claim({ holder, builds, forMs }: Parameters<StateStore['claim']>[0]): Promise<readonly number[]> {
    return this.#change(async ({ query, lockBuilds }) => {
      await lockBuilds();
      const { rows } = await query(CLAIM, [holder, builds, forMs]);
      await query(NOTE_OTHERS, [null]);
      const held = new Set(rows.filter((row) => row['is_held'] === true).map((row) => row['number']));
      return builds.filter((build) => held.has(build));
    });
  }

  release(holder: string): Promise<void> {
    return this.#change(async ({ query, lockBuilds }) => {
      await lockBuilds();
      await query(NOTE_OTHERS, [holder]);
      await query(RELEASE, [holder]);
    });
  }

  async count(builds: readonly number[]): Promise<readonly { readonly build: number; readonly open: number; readonly closed: number }[]> {
    const rows = await this.#query(COUNT, [builds]);
    return builds.map((build) => {
      const of = (condition: StateCondition) =>
        Number(rows.find((row) => row['build'] === build && row['condition'] === STATE_CONDITIONS.indexOf(condition))?.['count'] ?? 0);
      return { build, open: of('open'), closed: of('closed') };
    });
  }

  async find(names: readonly StateName[]): Promise<readonly FoundState[]> {
    if (names.length === 0) return [];
    const columns = [names.map(({ build }) => build), names.map(({ key }) => key), names.map(({ channel }) => channel)];
    return (await this.#query(FIND, columns)).map((row) => ({
      row: row['build'] === null ? undefined : rowOf(row),
      forgottenSeq: Number(row['forgotten_seq']),
    }));
  }

  async read({ builds, channels, afterSeq, conditions, keys, limit, isAhead = false }: StateQuery): Promise<StateRows> {
    const found = await this.#host.attempt(async (boundsOf) => {
      const numbers = await this.#host.numbersOf(channels.everything ? [] : channels.families);
      const families = channels.everything ? undefined : [...channels.families].map((family) => numbers.get(family));
      const singles = channels.everything ? [] : [...channels.singles];
      const values = [builds, numbersOfConditions(conditions), families, singles, afterSeq, limit, isAhead];
      const { database } = this.#host;
      const rows = await (keys === undefined
        ? database.query(READ_CHANNELS, values)
        : database.query(READ_KEYS, [...values, [...new Set(keys)]]));
      boundsOf(rows[0]);
      return rows;
    });
    const [built] = found;
    const rows = found.filter((row) => row['build'] !== null).map(rowOf);
    const count = Number(built?.['found']);
    const leadsOn = rows.length < count || count === limit + MAX_ROWS_OF_EVENT;
    const endSeq = Math.max(afterSeq, Number(leadsOn ? rows.at(-1)?.seq : built?.['checkpoint']));
    return { rows, endSeq, leadsOn, damaged: [], writtenSeq: Number(built?.['written_seq']) };
  }

  async write({ rows, builds, writtenSeq, checkpoint = 0 }: Parameters<StateStore['write']>[0]): Promise<void> {
    // Before the transaction, which would wait for another connection while it has one.
    const families = await this.#host.attempt(() => this.#host.numbersOf(rows.map(({ family }) => family)));
    await this.#change(async ({ query, nowMs, lockBuilds }) => {
      await lockBuilds(builds);
      const there = new Set((await query(NOTE, [builds, writtenSeq, checkpoint])).rows.map((row) => row['number']));
      const put = rows.filter(({ build }) => there.has(build));
      if (put.length > 0) await query(PUT, [...columnsOf(put, families), nowMs]);
    });
  }

  complete(builds: readonly number[]): Promise<void> {
    return this.#change(async ({ query, lockBuilds, lockLog }) => {
      await lockBuilds(builds);
      const { first, head } = await lockLog();
      await query(COMPLETE, [builds, head, first]);
    });
  }

  rebuild({ entity, version }: { readonly entity: string; readonly version: number }): Promise<void> {
    return this.#change(async ({ query, lockBuilds, lockLog }) => {
      await lockBuilds();
      await lockLog();
      await query(BEGIN_AGAIN, [[entity], [version]]);
    });
  }

  async forget(step: Parameters<StateStore['forget']>[0]): Promise<boolean> {
    const isMoreClosed = await this.#forgetting((change) => forgetClosed(change, step), false);
    const isMoreRemoved = await this.#forgetting((change) => forgetForgotten(change, step), false);
    return isMoreClosed || isMoreRemoved;
  }

  /** In a transaction, unless somebody else forgets. */
  #forgetting<T>(work: (change: Change) => Promise<T>, otherwise: T): Promise<T> {
    return this.#change(async (change) => {
      const [alone] = (await change.query(FORGET_ALONE)).rows;
      if (alone?.['locked'] !== true) return otherwise;
      await change.lockBuilds();
      return work(change);
    });
  }

  async removals({ builds, channels, after, seq = 0, limit }: Parameters<StateStore['removals']>[0]): Promise<{
    readonly removals: readonly StateRemoval[];
    readonly next: number | undefined;
  }> {
    const found = (await this.#query(REMOVALS, [after, seq, limit])).filter((row) => row['number'] !== null).map(removalOf);
    return {
      removals: found.filter(({ build, family, channel }) => builds.includes(build) && includesChannel(channels, family, channel)),
      next: found.length === limit ? found.at(-1)?.number : undefined,
    };
  }

  /** One statement, whose rows say of which log they are. */
  #query(statement: Statement, values: readonly unknown[]): Promise<Row[]> {
    return this.#host.attempt(async (boundsOf) => {
      const rows = await this.#host.database.query(statement, values);
      boundsOf(rows[0]);
      return rows;
    });
  }

  /** Runs `work` in a transaction, unless the database has another log than was opened. */
  #change<T>(work: (change: Change) => Promise<T>): Promise<T> {
    const { attempt, database, now } = this.#host;
    return attempt((boundsOf) =>
      database.with((client) =>
        transaction(client, async () => {
          const query = queryOf(client);
          const [log] = (await query(BOUNDS)).rows;
          boundsOf(log);
          return work({
            query,
            nowMs: Math.floor(now() ?? Number(log?.['now'])),
            lockBuilds: async (builds) => (await query(LOCK_BUILDS, [builds])).rows.map((row) => Number(row['number'])),
            lockLog: async () => boundsOf((await query(LOCK_LOG)).rows[0]),
          });
        }),
      ),
    );
  }
}

const FORGET_ALONE: Statement = {
  name: 'state-forget-alone',
  text: `SELECT pg_try_advisory_xact_lock(${lockKeys('forgetStates')}) AS locked`,
};

const queryOf =
  (client: ClientBase): Change['query'] =>
  async (statement, values = []) => {
    const { rows, rowCount } = await client.query<Row>({ ...statement, values: [...values] });
    return { rows, count: rowCount ?? 0 };
  };

interface ForgettingStep {
  readonly keepMs: number;
  readonly limit: number;
}

const msBefore = ({ nowMs }: Change, ms: number) => Math.ceil(Math.max(0, nowMs - ms));

/** Forgets what has ended behind the last event: while that is told none comes in between. Returns whether more may be left. */
async function forgetClosed(change: Change, { keepMs, limit }: ForgettingStep): Promise<boolean> {
  const { query, lockLog } = change;
  const beforeMs = msBefore(change, keepMs);
  const [old] = (await query(HAS_ENDED, [beforeMs])).rows;
  if (old?.['has'] !== true) return false;
  const { head } = await lockLog();
  return (await query(FORGET_CLOSED, [beforeMs, limit, head])).count === limit;
}

/** Everything else of one step. Returns whether more may be left. */
async function forgetForgotten(change: Change, { keepMs, limit }: ForgettingStep): Promise<boolean> {
  const { query, nowMs } = change;
  const beforeMs = msBefore(change, keepMs);
  const settled = await query(SETTLE, [msBefore(change, Math.min(keepMs, REMOVAL_SETTLES_MS)), limit]);
  const told = await query(FORGET_REMOVALS, [beforeMs, limit]);
  const gone = await query(REMOVE_GONE, [beforeMs, limit]);
  const removed = await query(REMOVE_FORGOTTEN, [limit, nowMs]);
  await query(NOTE_FORGOTTEN, columns([...gone.rows, ...told.rows], ['build', 'seq']));
  const isMoreOld = await forgetOldBuild(change, limit);
  return isMoreOld || Math.max(settled.count, told.count, gone.count, removed.count) === limit;
}

/** A step of removing a build that is of no more use: its rows, then itself. Returns whether there was one. */
async function forgetOldBuild({ query }: Change, limit: number): Promise<boolean> {
  const [old] = (await query(OLD_BUILD)).rows;
  if (old === undefined) return false;
  await query(END_BUILD, [old['number']]);
  const { count } = await query(FORGET_ROWS, [old['number'], limit]);
  if (count < limit) await query(FORGET_BUILD, [old['number']]);
  return true;
}

const numbersOfConditions = (conditions: readonly StateCondition[]) => conditions.map((each) => STATE_CONDITIONS.indexOf(each));

const columns = (rows: readonly Row[], names: readonly string[]) => names.map((name) => rows.map((row) => row[name]));

/** As PUT takes them. */
function columnsOf(rows: readonly StateRow[], families: FamilyNumbers): unknown[][] {
  return [
    rows.map(({ build }) => build),
    rows.map(({ key }) => key),
    rows.map(({ channel }) => channel),
    rows.map(({ family }) => families.get(family)),
    numbersOfConditions(rows.map(({ condition }) => condition)),
    rows.map(({ seq }) => seq),
    rows.map(({ sinceSeq }) => sinceSeq),
    rows.map(({ body }) => body),
  ];
}

/** @param rows of LOOK, one at least. */
function buildsOf(rows: readonly Row[]): StateBuild[] {
  return rows
    .filter((row) => row['number'] !== null)
    .map((row) => ({
      number: Number(row['number']),
      entity: String(row['entity']),
      version: Number(row['version']),
      startSeq: Number(row['start_seq']),
      seq: Number(row['seq']),
      writtenSeq: Number(row['written_seq']),
      isComplete: row['is_complete'] === true,
      builtSeq: Number(row['built_seq']),
      forgottenSeq: Number(row['forgotten_seq']),
    }));
}

function rowOf(row: Row): StateRow {
  const channel = String(row['channel']);
  return {
    build: Number(row['build']),
    key: String(row['key']),
    channel,
    family: familyIn(channel) ?? channel,
    condition: STATE_CONDITIONS[Number(row['condition'])] ?? 'gone',
    seq: Number(row['seq']),
    sinceSeq: Number(row['since_seq']),
    body: String(row['body']),
  };
}

function removalOf(row: Row): StateRemoval {
  const channel = String(row['channel']);
  return {
    number: Number(row['number']),
    build: Number(row['build']),
    channel,
    family: familyIn(channel) ?? channel,
    key: String(row['key']),
    seq: Number(row['seq']),
  };
}
