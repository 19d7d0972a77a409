/**
 * What the states of a set of builds are served from: where they are stored, the changes in memory, and a hub. A watch is a subscriber
 * of that, as it would be of the log: each thing is in it once, at its last change, so whoever is behind misses nothing but what was
 * replaced.
 */
import { crc32 } from 'node:zlib';
import { type Filter, includesChannelOf } from '../contract/filter.ts';
import { statePositionOf } from '../contract/position.ts';
import { type Batch, batchesOf, type Delivery } from '../delivery/batch.ts';
import { Hub } from '../delivery/hub.ts';
import { readyNotice } from '../delivery/notices.ts';
import { type ReadPage, type SharedPage, SharedReads } from '../delivery/shared-reads.ts';
import type { Source } from '../delivery/source.ts';
import { Turns } from '../limits/turns.ts';
import type { Positions } from '../log/positions.ts';
import type { StateRemoval as Removal, StateBuild, StateCondition, StateRow, StateStore } from '../log/state-store.ts';
import type { Meter } from '../observe/meter.ts';
import { bodyOf, type FoldTarget, type Thing, thingName } from './changes.ts';
import { Folding, type FoldingOptions } from './folding.ts';
import { type Before, type ItemName, type ItemPositions, StateDelivery, StateRemoval, type StateView } from './state-delivery.ts';
import { unavailable } from './unavailable.ts';

/** How long a page of what is stored may be given again, in ms. */
const KEEP_PAGES_MS = 1000;
/** Removals in one step. */
const REMOVALS = 500;
/** Changes that cut-overs read in one turn of the event loop, about. */
const CUT_OVERS_PER_TURN = 50_000;

export interface ServingOptions extends Omit<FoldingOptions, 'onChange'> {
  /** Of subscribers. */
  readonly meter: Meter;
  /** The number of the last removal before it began. */
  readonly toldRemovals: number;
  /** Told of each snapshot that was given whole. */
  readonly onSnapshot: () => void;
  /** Told when it cannot go on. */
  readonly onEnd: (error: unknown) => void;
}

/** `builtSeq`: positions up to it are of an earlier build. `forgottenSeq`: of what was removed before it is told no more. */
type PositionLimits = Pick<StateBuild, 'builtSeq' | 'forgottenSeq'>;

export interface SourceOptions {
  /** Whether the client that had nothing has got a part, from what served it before. */
  readonly isBegun?: boolean;
  /** Tells the client what was forgotten since a number, where it was not live when the others were told. */
  readonly tellRemovals?: (sinceSeq: number, signal: AbortSignal) => Promise<void>;
  /** Told when the client has got all that there is. */
  readonly onGiven?: () => void;
}

export class Serving implements AsyncDisposable {
  readonly targets: readonly FoldTarget[];
  /** Names the builds. */
  readonly builds: string;
  readonly folding: Folding;
  readonly hub: Hub;
  readonly reads: SharedReads;
  /** Positions up to here may be of other builds. */
  #builtSeq = 0;
  /** By entity: which positions say nothing of its states. */
  readonly #limits = new Map<string, PositionLimits>();
  /** Aborted when another takes its place, or the gateway ends. */
  readonly ended = new AbortController();
  /** Changes since it began. */
  changed = 0;
  /** The number of the last removal that those who are live were told of. */
  toldRemovals: number;
  readonly #positions: Positions;
  readonly #store: StateStore;
  readonly #meter: Meter;
  readonly #onSnapshot: () => void;
  readonly #onDamaged: ServingOptions['onDamaged'];
  readonly #cutOvers = new Turns(CUT_OVERS_PER_TURN);

  constructor(options: ServingOptions) {
    const { pipeline, targets, meter } = options;
    this.targets = targets;
    this.builds = crc32(targets.map(({ build }) => build).join()).toString(36);
    this.toldRemovals = options.toldRemovals;
    this.#positions = pipeline.log.positions;
    this.#store = pipeline.log.states;
    this.#meter = meter;
    this.#onSnapshot = options.onSnapshot;
    this.#onDamaged = options.onDamaged;
    this.hub = new Hub({ meter });
    this.folding = new Folding({ ...options, onChange: (thing, before, isLast) => this.#tell(thing, before, isLast) });
    this.reads = new SharedReads(
      {
        read: (filter, afterSeq, limit, signal) => this.#read(filter, afterSeq, limit, signal),
        onPublished: (listener) => pipeline.log.onCommit(({ length }) => listener(length)),
      },
      { keepMs: KEEP_PAGES_MS },
    );
    this.folding.start(options.onEnd);
  }

  get seq(): number {
    return this.folding.seq;
  }

  /** Where a client goes on that has the states at a number: where it may have those of other builds there, these are named. */
  positionAt(seq: number): string {
    const position = this.#positions.at(seq);
    return seq > this.#builtSeq || this.#builtSeq === 0 ? position : statePositionOf(position, { builds: this.builds });
  }

  /** Notes which positions say nothing of the states of an entity. */
  limit(entity: string, { builtSeq, forgottenSeq }: PositionLimits): void {
    const known = this.#limits.get(entity);
    this.#limits.set(entity, {
      builtSeq: Math.max(builtSeq, known?.builtSeq ?? 0),
      forgottenSeq: Math.max(forgottenSeq, known?.forgottenSeq ?? 0),
    });
    this.#builtSeq = Math.max(this.#builtSeq, builtSeq);
  }

  /** Which positions say nothing of some of these entities' states. */
  limitsOf(entities: ReadonlySet<string> | undefined): PositionLimits {
    const limits = [...this.#limits].filter(([entity]) => entities?.has(entity) !== false);
    return {
      builtSeq: Math.max(0, ...limits.map(([, { builtSeq }]) => builtSeq)),
      forgottenSeq: Math.max(0, ...limits.map(([, { forgottenSeq }]) => forgottenSeq)),
    };
  }

  /** The builds of some entities. */
  buildsOf(entities: ReadonlySet<string> | undefined): number[] {
    return this.targets.filter(({ entity }) => entities?.has(entity.name) !== false).map(({ build }) => build);
  }

  /** Up to here everything is stored: where who begins now has to look for what it missed while it read. */
  get storedSeq(): number {
    return this.folding.changes.floor;
  }

  /**
   * The source of one watch.
   *
   * A client that has nothing yet is not told what is not selected. That holds of what is stored, as far as it was stored when the client
   * began: what has changed since may be read in an earlier state, so that it has to be told when it is not selected any more.
   *
   * @param freshSeq `storedSeq` when a client began that had nothing; undefined for one that comes back.
   */
  source(freshSeq: number | undefined, { isBegun = false, tellRemovals, onGiven }: SourceOptions = {}): Source {
    const { hub, reads } = this;
    const fresh = (filter: Filter): Filter => ({ ...filter, states: { ...filter.states, freshSeq: freshSeq ?? 0 } });
    const positions = this.#positions;
    const serving = this;
    let isGiven = freshSeq === undefined;
    const isResumed = freshSeq === undefined || isBegun;
    let told: { removals: number; seq: number | undefined } = { removals: isResumed ? -1 : this.toldRemovals, seq: freshSeq };
    const hasRemovals = () => told.removals !== serving.toldRemovals;
    return {
      get seq() {
        return serving.seq;
      },
      reached: (seq, signal) => this.folding.reached(seq, signal),
      covers: (seq) => !hasRemovals() && seq >= this.storedSeq,
      // Who has nothing gets all of it at once.
      recent: (filter, afterSeq) => this.#recent(freshSeq !== undefined && afterSeq === 0 ? fresh(filter) : filter, afterSeq),
      read: async ({ maxPerSecond: _, ...filter }, afterSeq, signal) => {
        if (hasRemovals()) {
          const now = { removals: serving.toldRemovals, seq: serving.seq };
          // Who has nothing misses nothing.
          if (isResumed || afterSeq > 0) await tellRemovals?.(Math.min(told.seq ?? afterSeq, afterSeq), signal);
          told = now;
          return { batches: [], afterSeq, endSeq: afterSeq, first: 0, leadsOn: true };
        }
        if (freshSeq === undefined || afterSeq >= freshSeq) return reads.read(filter, afterSeq, signal);
        return upTo(freshSeq, await reads.read(fresh(filter), afterSeq, signal));
      },
      hub: {
        batchUnits: hub.batchUnits,
        join: (filter, subscriber) => {
          // From here on it is told as the others are: of what comes when it has left it is told from there on.
          told = { ...told, seq: undefined };
          return hub.join(filter, subscriber, this.seq);
        },
      },
      cutOvers: this.#cutOvers,
      quietEvents: Number.POSITIVE_INFINITY,
      caughtUp: (seq, count) => {
        if (!isGiven) this.#onSnapshot();
        isGiven = true;
        onGiven?.();
        return readyNotice(positions, serving.positionAt(seq), seq, count);
      },
      missing: () => {
        throw new RangeError('no state is missing');
      },
      meter: this.#meter,
    };
  }

  /** Tells those who watch of what was forgotten. */
  tellRemovals(removals: readonly Removal[]): void {
    const { seq } = this;
    const entities = new Map(this.targets.map(({ entity, build }) => [build, entity.name]));
    for (const { number, build, channel, family, key, seq: removedSeq } of removals) {
      this.toldRemovals = Math.max(this.toldRemovals, number);
      const entity = entities.get(build);
      if (entity === undefined) continue;
      const { changes } = this.folding;
      const name = thingName(build, channel, key);
      const changedSeq = changes.get(name)?.seq ?? 0;
      // It has come again: behind the removal, or it is yet to be stored.
      if (changedSeq > removedSeq || changedSeq > changes.floor) continue;
      changes.forget(name, removedSeq);
      const position = this.#positions.at(seq);
      this.hub.dispatch(new StateRemoval({ id: this.positionAt(seq), position }, { seq, channel, family, entity, key }, true));
    }
    if (removals.length > 0) this.reads.forget();
  }

  /** What the filter selects of what was forgotten after a client had the state at a number, and is not there now. `next` is where to go on. */
  async removalsSince(
    filter: Filter,
    seq: number,
    after: number,
  ): Promise<{ readonly removals: Delivery[]; readonly next: number | undefined }> {
    const query = { builds: this.buildsOf(filter.types), channels: filter.channels, after, seq, limit: REMOVALS };
    const { removals: all, next } = await this.#store.removals(query);
    const removals = await this.#gone(all);
    const entities = new Map(this.targets.map(({ entity, build }) => [build, entity.name]));
    // Who comes back on the way through them is told them all again.
    const id = this.positionAt(seq);
    const told = removals.flatMap(({ build, channel, family, key, seq: removedSeq }) => {
      const name = { seq, channel, family, entity: entities.get(build) as string, key };
      return new StateRemoval({ id, position: this.#positions.at(removedSeq) }, name, true).under(filter) ?? [];
    });
    return { removals: told, next };
  }

  /** Those that have not come again. */
  async #gone(removals: readonly Removal[]): Promise<readonly Removal[]> {
    if (removals.length === 0) return removals;
    // Memory first: what goes from there while the storage is read is stored.
    const inMemory = removals.filter(({ build, channel, key, seq }) => {
      const changedSeq = this.folding.changes.get(thingName(build, channel, key))?.seq ?? 0;
      return changedSeq <= seq && changedSeq <= this.folding.changes.floor;
    });
    const found = await this.#store.find(inMemory);
    // What was forgotten went from the storage: what is there came later.
    return inMemory.filter((_, index) => found[index]?.row === undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended.abort();
    this.reads[Symbol.dispose]();
    await this.folding[Symbol.asyncDispose]();
  }

  #tell(thing: Thing, before: Before, isLast: boolean): void {
    this.changed += 1;
    if (this.hub.subscribers === 0) return;
    this.hub.dispatch(this.#deliveryOf(nameOf(thing), bodyOf(thing), { isOpen: thing.isOpen, state: thing.state }, before, isLast));
  }

  /** What has changed after a number and is selected. @param afterSeq not below `storedSeq`. */
  *#recent(filter: Filter, afterSeq: number): Generator<Delivery, void> {
    const { changes } = this.folding;
    let last: Thing | undefined;
    for (const thing of changes.after(afterSeq)) {
      if (last !== undefined) yield* this.#selected(filter, last, thing.seq !== last.seq);
      last = thing;
    }
    if (last !== undefined) yield* this.#selected(filter, last, true);
  }

  *#selected(filter: Filter, thing: Thing, isLast: boolean): Generator<Delivery, void> {
    if (!includesChannelOf(filter, thing)) return;
    const before = filter.states?.freshSeq !== undefined ? 'none' : 'unknown';
    const delivery = this.#deliveryOf(nameOf(thing), bodyOf(thing), { isOpen: thing.isOpen, state: thing.state }, before, isLast).under(
      filter,
    );
    if (delivery !== undefined) yield delivery;
  }

  async #read(filter: Filter, afterSeq: number, limit: number, signal: AbortSignal): Promise<ReadPage> {
    const { channels, types, states = {} } = filter;
    const { rows, endSeq, leadsOn, damaged, writtenSeq } = await this.#store.read({
      builds: this.buildsOf(types),
      channels,
      afterSeq,
      conditions: conditionsOf(states.freshSeq !== undefined, states.open),
      keys: states.keys && [...states.keys],
      limit,
    });
    for (const each of damaged) this.#onDamaged(each);
    if (damaged.length > 0) throw unavailable('some of it is damaged, and is made anew of the log');
    // What was stored since the checkpoint is in memory then.
    await this.folding.reached(writtenSeq, signal);
    const entities = new Map(this.targets.map(({ entity, build }) => [build, entity.name]));
    const deliveries = rows.flatMap((row, index) => {
      const entity = entities.get(row.build) as string;
      const isLast = rows[index + 1]?.seq !== row.seq;
      return this.#ofRow(filter, row, entity, isLast) ?? [];
    });
    return { deliveries, first: 0, endSeq, head: leadsOn ? Number.MAX_SAFE_INTEGER : endSeq };
  }

  #ofRow(filter: Filter, row: StateRow, entity: string, isLast: boolean): Delivery | undefined {
    const { channel, family, key, seq, body, condition } = row;
    const { freshSeq, open, fields } = filter.states ?? {};
    const isFresh = freshSeq !== undefined;
    const view = { isOpen: condition === 'open', state: condition === 'gone' ? undefined : fields === undefined ? {} : stateIn(body) };
    const name = { seq, channel, family, entity, key };
    // Who comes back on its way through a selection begins anew: it would have to be told all that is not selected.
    const isSelection = isFresh && (open !== undefined || fields !== undefined);
    const positions = this.#positionsOf(seq, isLast);
    const told = isSelection ? { ...positions, id: statePositionOf(positions.id, { isUnfinished: true }) } : positions;
    return new StateDelivery(told, name, body, view, isFresh ? 'none' : 'unknown').under(filter);
  }

  #deliveryOf(name: ItemName, body: string, view: StateView, before: Before, isLast: boolean): StateDelivery {
    return new StateDelivery(this.#positionsOf(name.seq, isLast), name, body, view, before);
  }

  /** What a client goes on behind: it may not have what the same event has changed and comes next. */
  #positionsOf(seq: number, isLast: boolean): ItemPositions {
    const position = this.#positions.at(seq);
    return { id: this.positionAt(isLast ? seq : seq - 1), position };
  }
}

function nameOf({ seq, channel, family, key, target }: Thing): ItemName {
  return { seq, channel, family, key, entity: target.entity.name };
}

function stateIn(body: string): object | undefined {
  return JSON.parse(body).state ?? undefined;
}

function conditionsOf(isFresh: boolean, open: boolean | undefined): StateCondition[] {
  if (!isFresh) return ['open', 'closed', 'gone'];
  if (open === undefined) return ['open', 'closed'];
  return [open ? 'open' : 'closed'];
}

/** The part of a page up to a number. */
function upTo(seq: number, page: SharedPage): SharedPage {
  if (page.endSeq <= seq) return page;
  const batches: Batch[] = page.batches.flatMap((batch) => {
    if (batch.lastSeq <= seq) return batch;
    return [
      ...batchesOf(
        batch.deliveries.filter((delivery) => delivery.seq <= seq),
        Number.POSITIVE_INFINITY,
      ),
    ];
  });
  return { ...page, batches, endSeq: seq };
}
