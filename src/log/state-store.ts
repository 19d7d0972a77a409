/**
 * Where the states of entities are kept: in the log's storage, so that both are lost or restored together. What is kept is what the
 * events up to a checkpoint made; everything after it is folded again.
 *
 * What every implementation guarantees:
 * - **Exact.** A row is only ever replaced by one of a later change, so that two who write the same do no harm. Every change up to a
 *   build's `seq` is stored; rows of later changes may be.
 * - **In order.** Reading gives rows by their last changes, oldest first, and those of one event together: who has read to a number has
 *   every row whose last change came up to there.
 * - **Proportional.** Reading costs in proportion to the rows of the builds that the channels have, whatever else is kept.
 * - **Never behind the log.** Retention removes no event that a build in use has yet to fold.
 */
import type { ChannelSet } from '../contract/channels.ts';

/** Whether the thing goes on, has ended, or is gone. */
export type StateCondition = 'open' | 'closed' | 'gone';
/** As storages number them. */
export const STATE_CONDITIONS: readonly StateCondition[] = ['open', 'closed', 'gone'];

/** What is kept of one entity in one version: made of the log from its first event that was retained. */
export interface StateBuild {
  readonly number: number;
  readonly entity: string;
  readonly version: number;
  /** It was begun with the event after this number. */
  readonly startSeq: number;
  /** Every change up to here is stored. */
  readonly seq: number;
  /** No row of a later change than this has been stored. */
  readonly writtenSeq: number;
  /** It has come to the end of the log once, and is what is served. */
  readonly isComplete: boolean;
  /** Where the log ended when another complete build of the entity was held last: what was known up to there may be of that one. Else 0. */
  readonly builtSeq: number;
  /** What was removed before this number may not be told of any more. */
  readonly forgottenSeq: number;
}

/** What names a row. */
export interface StateName {
  readonly build: number;
  readonly channel: string;
  readonly key: string;
}

/** What is found of one thing. */
export interface FoundState {
  /** Undefined where nothing is stored. */
  readonly row: StateRow | undefined;
  /**
   * The thing was forgotten behind this number; 0 where it was not. To later events there is no such thing. Where there is no row any
   * more, the events up to here change nothing: they have been folded.
   */
  readonly forgottenSeq: number;
  /** What there is, is not as it was stored. */
  readonly isDamaged?: boolean;
}

/** The state of one thing. */
export interface StateRow extends StateName {
  readonly family: string;
  /** The number of its last change. */
  readonly seq: number;
  /** The number of the event that it began with. */
  readonly sinceSeq: number;
  readonly condition: StateCondition;
  /** The item as JSON text without its `id`: `{"channel":…,"entity":…,"key":…,"open":…,"state":…}`. */
  readonly body: string;
}

export interface StateQuery {
  readonly builds: readonly number[];
  readonly channels: ChannelSet;
  /** Rows whose last change came after this number. */
  readonly afterSeq: number;
  readonly conditions: readonly StateCondition[];
  /** Only rows with these keys. */
  readonly keys?: readonly string[] | undefined;
  /** Rows, at most, beside those of the last row's event. */
  readonly limit: number;
  /** Rows of later changes than the checkpoint, too, of which not all are stored. */
  readonly isAhead?: boolean | undefined;
}

export interface StateRows {
  /** Up to the builds' checkpoint, oldest change first. */
  readonly rows: readonly StateRow[];
  /** How far they reach: the checkpoint of the builds when nothing more is stored; never less than `afterSeq`. */
  readonly endSeq: number;
  /** Whether more is stored. */
  readonly leadsOn: boolean;
  /** What else there is, but is not as it was stored. */
  readonly damaged: readonly StateName[];
  /** Rows may have been replaced by those of changes up to here: the reader must have folded them. */
  readonly writtenSeq: number;
}

/** A thing that was forgotten, some time after it had ended. */
export interface StateRemoval {
  /** Numbers removals in their order. */
  readonly number: number;
  readonly build: number;
  readonly channel: string;
  readonly family: string;
  readonly key: string;
  /** Behind this number there is no such thing. */
  readonly seq: number;
}

/**
 * After so long, in ms, everybody who serves states has heard of a removal, or serves nothing: who does not look at the store within half
 * of it waits until it has. Until then a removal is told to whoever comes back, whatever it knows.
 */
export const REMOVAL_SETTLES_MS = 60_000;

export interface StateStore {
  /**
   * Adds a build, which is empty and begins with the first retained event, of each entity that has none of its version. From then on
   * retention spares what they have yet to fold. Of a build that is used again after another was, `builtSeq` is now.
   *
   * Resolves to all builds of these entities, of other versions too. A build that nobody used while retention removed what it had yet to
   * fold is none any more, here and everywhere.
   */
  register(entities: readonly { readonly entity: string; readonly version: number }[]): Promise<readonly StateBuild[]>;

  /** All builds of these entities as they are now, and the number of the last removal. */
  look(entities: readonly string[]): Promise<{ readonly builds: readonly StateBuild[]; readonly removals: number }>;

  /**
   * Makes `holder` the one who writes these builds, for so long, unless somebody else is. Resolves to those that it is to write. Retention
   * goes on sparing all of them. Where somebody holds another complete build of the entity of one of them, its `builtSeq` is now.
   */
  claim(claim: { readonly holder: string; readonly builds: readonly number[]; readonly forMs: number }): Promise<readonly number[]>;

  /** Lets others write what `holder` has claimed. The `builtSeq` of other builds of the entities of what was complete is now. */
  release(holder: string): Promise<void>;

  /** How many things go on, and how many have ended, by build. It looks at all of them. */
  count(builds: readonly number[]): Promise<readonly { readonly build: number; readonly open: number; readonly closed: number }[]>;

  /** What is found under these names, in their order. */
  find(names: readonly StateName[]): Promise<readonly FoundState[]>;

  read(query: StateQuery): Promise<StateRows>;

  /**
   * Stores rows of these builds, all or none, where they are later than what is stored; nothing of a build that there is no more.
   *
   * @param checkpoint with the last of several writes: the builds have every change up to `seq`. @param writtenSeq of no row is a later
   * change.
   */
  write(write: {
    readonly rows: readonly StateRow[];
    readonly builds: readonly number[];
    readonly writtenSeq: number;
    readonly checkpoint?: number | undefined;
    /** When it is, in ms since 1970, where the storage has no clock of its own. */
    readonly nowMs: number;
  }): Promise<void>;

  /** The builds have come to the end of the log. Builds that they replace go with `forget`, once nobody uses them. */
  complete(builds: readonly number[]): Promise<void>;

  /** Begins another build of an entity, unless one is being made. */
  rebuild(entity: { readonly entity: string; readonly version: number }): Promise<void>;

  /**
   * One short step of forgetting, of each kind at most `limit`. What ended more than `keepMs` ago is forgotten behind the present end of the
   * log, as `find` says it; a change by an event before that keeps it. Once its build has folded all up to there, its row becomes a removal,
   * which is kept for as long again. Resolves to whether more may be left that could be done now.
   */
  forget(step: { readonly keepMs: number; readonly limit: number; readonly nowMs: number }): Promise<boolean>;

  /**
   * Removals after a number, in their order; with `seq` those that whoever has the states at that number may not have heard of. `next` is
   * where to go on; undefined at the end.
   */
  removals(query: {
    readonly builds: readonly number[];
    readonly channels: ChannelSet;
    readonly after: number;
    readonly seq?: number | undefined;
    readonly limit: number;
  }): Promise<{ readonly removals: readonly StateRemoval[]; readonly next: number | undefined }>;
}

/** Entities of one event, at most: rows of one event stay together beyond the limit of a read. */
export const MAX_ROWS_OF_EVENT = 64;

/** One method of a store with what it is given, on its way to where the storage is. */
export type StateCall = { [M in keyof StateStore]: { readonly method: M; readonly input: Parameters<StateStore[M]>[0] } }[keyof StateStore];
export type StateAnswer = Awaited<ReturnType<StateStore[keyof StateStore]>>;

/** A store whose methods are called elsewhere. */
export function remoteStates(call: (call: StateCall) => Promise<StateAnswer>): StateStore {
  const method =
    <M extends keyof StateStore>(name: M) =>
    (input: Parameters<StateStore[M]>[0]) =>
      call({ method: name, input } as StateCall) as ReturnType<StateStore[M]>;
  return {
    register: method('register'),
    look: method('look'),
    claim: method('claim'),
    release: method('release'),
    count: method('count'),
    find: method('find'),
    read: method('read'),
    write: method('write'),
    complete: method('complete'),
    rebuild: method('rebuild'),
    forget: method('forget'),
    removals: method('removals'),
  } as StateStore;
}

/** Cuts rows, of which there may be more, to a page: at a limit, or at so many UTF-16 units, and never between rows of one event. */
export function cutRows(rows: readonly StateRow[], limit: number, maxUnits: number): readonly StateRow[] {
  let units = 0;
  for (const [index, { seq, body }] of rows.entries()) {
    if ((index >= limit || units > maxUnits) && rows[index - 1]?.seq !== seq) return rows.slice(0, index);
    units += body.length;
  }
  return rows;
}
