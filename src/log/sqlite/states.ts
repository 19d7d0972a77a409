/** The states of entities in an SQLite database. Synchronous; in the file of a log it runs in the thread that owns the file. */
import type { DatabaseSync } from 'node:sqlite';
import { familyIn, includesChannel } from '../../contract/channels.ts';
import { PAGE_BYTES } from '../log.ts';
import {
  cutRows,
  type FoundState,
  MAX_ROWS_OF_EVENT,
  STATE_CONDITIONS,
  type StateBuild,
  type StateCall,
  type StateName,
  type StateQuery,
  type StateRemoval,
  type StateRow,
  type StateRows,
  type StateStore,
} from '../state-store.ts';
import type { FamilyNumbers } from './families.ts';
import { forgetEnded } from './state-forgetting.ts';
import { BUILD_COLUMNS, buildOf, channelRanges, checksumOf, keyRanges, readRow, STATE_COLUMNS } from './state-rows.ts';
import { Statements } from './statements.ts';

/** What the states need of the database that they are in. */
export interface StateHost {
  readonly db: DatabaseSync;
  readonly families: FamilyNumbers;
  /** The bounds of the log. */
  readonly bounds: () => { readonly first: number; readonly head: number };
  /** Runs `work` in a transaction. */
  readonly transaction: <T>(work: () => T) => T;
}

type Synchronous = { [M in keyof StateStore]: (input: Parameters<StateStore[M]>[0]) => Awaited<ReturnType<StateStore[M]>> };

export class SqliteStates implements Synchronous {
  readonly #host: StateHost;
  readonly #statements: Statements;
  /** Those that this process uses. */
  readonly #used = new Set<number>();
  readonly #holders = new Map<number, { readonly holder: string; readonly until: number }>();

  constructor(host: StateHost) {
    this.#host = host;
    this.#statements = new Statements(host.db);
  }

  call({ method, input }: StateCall): Awaited<ReturnType<StateStore[keyof StateStore]>> {
    return (this[method] as (input: unknown) => never)(input);
  }

  /** The number after which no event may be removed; undefined where none is needed. */
  get neededSeq(): number | undefined {
    if (this.#used.size === 0) return undefined;
    const seqs = this.#builds().flatMap(({ number, seq }) => (this.#used.has(number) ? [seq] : []));
    return seqs.length === 0 ? undefined : Math.min(...seqs);
  }

  register(entities: readonly { readonly entity: string; readonly version: number }[]): readonly StateBuild[] {
    return this.#host.transaction(() => {
      const { first } = this.#host.bounds();
      for (const { entity, version } of entities) {
        if (!this.#builds().some((build) => build.entity === entity && build.version === version)) this.#begin(entity, version, first - 1);
      }
      for (const { number, entity, version } of this.#builds()) {
        if (entities.some((each) => each.entity === entity && each.version === version)) this.#used.add(number);
      }
      this.#noteReturned(entities);
      return this.#builds().filter(({ entity }) => entities.some((each) => each.entity === entity));
    });
  }

  look(entities: readonly string[]): { readonly builds: readonly StateBuild[]; readonly removals: number } {
    const row = this.#host.db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'state_removal'").get();
    return { builds: this.#builds().filter(({ entity }) => entities.includes(entity)), removals: Number(row?.['seq'] ?? 0) };
  }

  claim({ holder, builds, forMs }: Parameters<StateStore['claim']>[0]): readonly number[] {
    const now = performance.now();
    const known = new Set(this.#builds().map(({ number }) => number));
    const claimed = builds.filter((build) => {
      if (!known.has(build)) return false;
      this.#used.add(build);
      const held = this.#holders.get(build);
      if (held !== undefined && held.holder !== holder && held.until > now) return false;
      this.#holders.set(build, { holder, until: now + forMs });
      return true;
    });
    this.#noteOthers((build) => this.#isHeld(build));
    return claimed;
  }

  release(holder: string): void {
    this.#noteOthers((build) => this.#holders.get(build)?.holder === holder);
    for (const [build, held] of this.#holders) if (held.holder === holder) this.#holders.delete(build);
  }

  /** Who knows states of these builds may know them up to now, and come to where another build of the entity is served. */
  #noteOthers(isServed: (build: number) => boolean): void {
    const builds = this.#builds().filter(({ isComplete }) => isComplete);
    const others = builds.filter(({ entity, number }) =>
      builds.some((other) => other.entity === entity && other.number !== number && isServed(other.number)),
    );
    if (others.length === 0) return;
    const { head } = this.#host.bounds();
    const note = this.#statements.of('UPDATE state_build SET built_seq = ? WHERE number = ?');
    this.#host.transaction(() => {
      for (const { number } of others) note.run(head, number);
    });
  }

  /** Of a build that is used again after another was: whoever wrote that may have ended without a word. */
  #noteReturned(entities: readonly { readonly entity: string; readonly version: number }[]): void {
    const builds = this.#builds().filter(({ isComplete }) => isComplete);
    const note = this.#statements.of('UPDATE state_build SET built_seq = ? WHERE number = ?');
    const { head } = this.#host.bounds();
    for (const { number, entity, version, seq } of builds) {
      if (!entities.some((each) => each.entity === entity && each.version === version)) continue;
      const isReturned = builds.some((other) => other.entity === entity && (other.seq - seq || other.number - number) > 0);
      if (isReturned) note.run(head, number);
    }
  }

  count(builds: readonly number[]): readonly { readonly build: number; readonly open: number; readonly closed: number }[] {
    const statement = this.#statements.of(
      'SELECT condition, count(*) FROM state INDEXED BY state_by_family WHERE build = ? GROUP BY family, condition',
    );
    return builds.map((build) => {
      const counts = { build, open: 0, closed: 0 };
      for (const [condition, count] of statement.all(build) as unknown as [number, number][]) {
        const name = STATE_CONDITIONS[condition];
        if (name === 'open' || name === 'closed') counts[name] += count;
      }
      return counts;
    });
  }

  find(names: readonly StateName[]): readonly FoundState[] {
    const statement = this.#statements.of(`SELECT ${STATE_COLUMNS}, forgotten_seq FROM state WHERE build = ? AND key = ? AND channel = ?`);
    const removal = this.#statements.of('SELECT max(seq) FROM state_removal WHERE build = ? AND key = ? AND channel = ?');
    return names.map(({ build, key, channel }) => {
      const columns = statement.get(build, key, channel) as unknown as readonly unknown[] | undefined;
      if (columns !== undefined) {
        const { row, isIntact } = readRow(columns);
        return isIntact ? { row, forgottenSeq: Number(columns.at(-1)) } : { row: undefined, forgottenSeq: 0, isDamaged: true };
      }
      const [removed] = removal.get(build, key, channel) as unknown as [number | null];
      return { row: undefined, forgottenSeq: removed ?? 0 };
    });
  }

  read(query: StateQuery): StateRows {
    const { builds, channels, afterSeq, limit, keys } = query;
    const known = this.#builds().filter(({ number }) => builds.includes(number));
    const writtenSeq = Math.max(0, ...known.map((build) => build.writtenSeq));
    const stored = query.isAhead === true ? writtenSeq : Math.min(...known.map(({ seq }) => seq));
    const checkpoint = known.length === 0 ? afterSeq : stored;
    const endSeq = Math.max(afterSeq, checkpoint);
    const most = limit + MAX_ROWS_OF_EVENT;
    let isCut = false;
    const damaged = new Set<StateRow>();
    const found = (keys === undefined ? channelRanges(query, this.#host.families) : keyRanges(query, [...new Set(keys)])).flatMap(
      ({ sql, values }) => {
        const rows: StateRow[] = [];
        let units = 0;
        let isFull = false;
        for (const columns of this.#statements.of(sql).iterate(...values, most) as unknown as Iterable<unknown[]>) {
          const { row, isIntact } = readRow(columns);
          // What comes behind the checkpoint is not all stored.
          if (row.seq > checkpoint) break;
          if (!isIntact) damaged.add(row);
          isFull = units > PAGE_BYTES && rows.at(-1)?.seq !== row.seq;
          if (isFull) break;
          rows.push(row);
          units += row.body.length;
        }
        isCut ||= isFull || rows.length === most;
        return rows;
      },
    );
    const page = cutRows(
      found.sort((a, b) => a.seq - b.seq),
      limit,
      PAGE_BYTES,
    );
    const leadsOn = isCut || page.length < found.length;
    const rows = page.filter((row) => !damaged.has(row) && includesChannel(channels, row.family, row.channel));
    return {
      rows,
      endSeq: leadsOn ? (page.at(-1)?.seq ?? endSeq) : endSeq,
      leadsOn,
      damaged: page.filter((row) => damaged.has(row)).map(({ build, channel, key }) => ({ build, channel, key })),
      writtenSeq,
    };
  }

  write({ rows, builds, writtenSeq, checkpoint, nowMs }: Parameters<StateStore['write']>[0]): void {
    this.#host.transaction(() => {
      const put = this.#statements.of(
        `INSERT INTO state (build, key, channel, family, condition, seq, since_seq, ended_ms, body, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (build, key, channel) DO UPDATE SET condition = excluded.condition, seq = excluded.seq, since_seq = excluded.since_seq,
           ended_ms = excluded.ended_ms, body = excluded.body, checksum = excluded.checksum, forgotten_seq = NULL WHERE excluded.seq > state.seq`,
      );
      const there = new Set(this.#builds().map(({ number }) => number));
      for (const row of rows) {
        if (!there.has(row.build)) continue;
        const { build, key, channel, family, condition, seq, sinceSeq, body } = row;
        const ended = condition === 'open' ? null : nowMs;
        const number = this.#host.families.numberOf(family);
        put.run(build, key, channel, number, STATE_CONDITIONS.indexOf(condition), seq, sinceSeq, ended, body, checksumOf(row));
      }
      const note = this.#statements.of('UPDATE state_build SET written_seq = max(written_seq, ?), seq = max(seq, ?) WHERE number = ?');
      for (const build of builds) if (there.has(build)) note.run(writtenSeq, checkpoint ?? 0, build);
    });
  }

  complete(builds: readonly number[]): void {
    const { first, head } = this.#host.bounds();
    // Where there was none before nobody has a state of another. That there was may be forgotten once events are.
    const complete = this.#statements.of(
      `UPDATE state_build SET is_complete = 1, built_seq = CASE WHEN ? > 1 OR EXISTS (
         SELECT 1 FROM state_build other WHERE other.entity = state_build.entity AND other.is_complete = 1
       ) THEN ? ELSE 0 END WHERE number = ? AND is_complete = 0`,
    );
    this.#host.transaction(() => {
      for (const build of builds) complete.run(first, head, build);
    });
  }

  rebuild({ entity, version }: { readonly entity: string; readonly version: number }): void {
    this.#host.transaction(() => {
      const isBegun = this.#builds().some((build) => build.entity === entity && build.version === version && !build.isComplete);
      if (!isBegun) this.#used.add(this.#begin(entity, version, this.#host.bounds().first - 1));
    });
  }

  forget({ keepMs, limit, nowMs }: Parameters<StateStore['forget']>[0]): boolean {
    const { bounds, families } = this.#host;
    return this.#host.transaction(() => {
      const isMoreEnded = forgetEnded(this.#statements, {
        builds: this.#builds(),
        families,
        head: bounds().head,
        keepMs,
        nowMs,
        limit,
      });
      return this.#forgetOldBuild(limit) || isMoreEnded;
    });
  }

  removals({ builds, channels, after, seq = 0, limit }: Parameters<StateStore['removals']>[0]): {
    readonly removals: readonly StateRemoval[];
    readonly next: number | undefined;
  } {
    const found = this.#statements
      .of(
        `SELECT number, build, channel, key, seq FROM state_removal
       WHERE number >= (SELECT number FROM state_removal INDEXED BY state_removal_by_until WHERE until_seq >= ? ORDER BY until_seq LIMIT 1) AND number > ?
       ORDER BY number LIMIT ?`,
      )
      .all(seq, after, limit) as unknown as [number, number, string, string, number][];
    const removals = found
      .map(([number, build, channel, key, at]) => ({ number, build, channel, family: familyIn(channel) ?? channel, key, seq: at }))
      .filter(({ build, family, channel }) => builds.includes(build) && includesChannel(channels, family, channel));
    return { removals, next: found.length === limit ? found.at(-1)?.[0] : undefined };
  }

  /** A step of removing a build that is of no more use: its rows, then itself. Returns whether there was one. */
  #forgetOldBuild(limit: number): boolean {
    const builds = this.#builds();
    const isReplaced = (build: StateBuild) =>
      builds.some(
        (other) => other.entity === build.entity && other.isComplete && this.#used.has(other.number) && other.number > build.number,
      );
    const isUsable = (build: StateBuild) => builds.some(({ number }) => number === build.number) && !isReplaced(build);
    const old = this.#all().find((build) => !isUsable(build) && !this.#isHeld(build.number));
    if (old === undefined) return false;
    // It is before every event, and so none any more, from the first step on.
    this.#statements.of('UPDATE state_build SET seq = -1 WHERE number = ?').run(old.number);
    const { changes } = this.#statements
      .of('DELETE FROM state WHERE id IN (SELECT id FROM state WHERE build = ? LIMIT ?)')
      .run(old.number, limit);
    if (Number(changes) === limit) return true;
    this.#statements.of('DELETE FROM state_removal WHERE build = ?').run(old.number);
    this.#statements.of('DELETE FROM state_build WHERE number = ?').run(old.number);
    this.#used.delete(old.number);
    return true;
  }

  #isHeld(build: number): boolean {
    return (this.#holders.get(build)?.until ?? 0) > performance.now();
  }

  #begin(entity: string, version: number, seq: number): number {
    const insert = this.#statements.of('INSERT INTO state_build (entity, version, start_seq, seq, written_seq) VALUES (?, ?, ?, ?, ?)');
    return Number(insert.run(entity, version, seq, seq, seq).lastInsertRowid);
  }

  /** Those that have missed no event: nobody used the others, and so retention did not spare what they had yet to fold. */
  #builds(): StateBuild[] {
    const { first } = this.#host.bounds();
    return this.#all().filter(({ seq }) => seq >= first - 1);
  }

  #all(): StateBuild[] {
    return (this.#statements.of(`SELECT ${BUILD_COLUMNS} FROM state_build ORDER BY number`).all() as unknown as unknown[][]).map(buildOf);
  }
}
