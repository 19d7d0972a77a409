/**
 * The states of the contract's entities in one gateway: who writes them, what they are served from, and what is made anew.
 *
 * One of all who use the storage writes at a time; each of them folds as long as it writes, or somebody here watches. Where the contract
 * has another version of an entity than what is stored, a build of that version is made beside the others, and takes its place when it
 * is complete.
 */
import { randomUUID } from 'node:crypto';
import { before } from '../before.ts';
import type { Contract } from '../contract/contract.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import { CourierError } from '../errors.ts';
import { upTo } from '../limits/bytes.ts';
import { REMOVAL_SETTLES_MS, type StateName } from '../log/state-store.ts';
import type { Failures } from '../observe/failures.ts';
import type { Logger } from '../observe/logger.ts';
import { type Meter, noMeter } from '../observe/meter.ts';
import { Outage } from '../observe/outage.ts';
import { Builder, SHORT_LOG } from './builder.ts';
import type { BuildPart } from './building.ts';
import type { FoldTarget } from './changes.ts';
import { writeChanges } from './checkpoint.ts';
import type { StateFigures } from './figures.ts';
import type { FoldingOptions } from './folding.ts';
import { Forgetter } from './forgetter.ts';
import { type Known, knownOf, sharesBuilt } from './known.ts';
import { Rounds } from './rounds.ts';
import { Serving } from './serving.ts';
import { unavailable } from './unavailable.ts';

export interface LiveStateOptions {
  readonly contract: Contract;
  readonly pipeline: Pipeline;
  /** How long what has ended is kept, in ms. */
  readonly keepMs: number;
  readonly failures: Failures;
  readonly logger: Logger;
  readonly settings?: Partial<StateSettings> | undefined;
}

/** How the states are kept. */
export interface StateSettings {
  /** How often changes are stored, in ms. */
  readonly storeMs: number;
  /** For how long one writes who is not heard of, in ms. */
  readonly claimMs: number;
  /** For how long who serves may not have looked at what is stored, in ms: then nothing is folded until it has. */
  readonly lookMs: number;
  /** For how long states are folded though nobody watches, in ms. */
  readonly idleMs: number;
  /** How often what has ended long ago is looked for, in ms. */
  readonly forgetMs: number;
  /** Bytes of states that are stored and in memory, at most, about. */
  readonly cachedBytes: number;
}

/** How long the last changes may take to be stored at the end, in ms. */
const CLOSE_MS = 2000;
/** Removals in one page. */
const REMOVALS = 500;
/** Bytes of states that are stored and in memory, and of those that are not stored yet; and the part of the heap that either takes, at most. */
const CACHED_BYTES = 32 * 1024 * 1024;
const PENDING_BYTES = 128 * 1024 * 1024;
const MAX_PART = 1 / 12;

const SETTINGS: StateSettings = {
  storeMs: 1000,
  claimMs: 5000,
  lookMs: REMOVAL_SETTLES_MS / 2,
  idleMs: 60_000,
  forgetMs: 60_000,
  cachedBytes: upTo(CACHED_BYTES, MAX_PART),
};

export class LiveState implements AsyncDisposable {
  readonly #options: LiveStateOptions;
  readonly #settings: StateSettings;
  readonly #holder = randomUUID();
  readonly #stop = new AbortController();
  #known = new Map<string, Known>();
  #serving: Serving | undefined;
  #usedAt = Number.NEGATIVE_INFINITY;
  /** Watches and calls, those too that wait. */
  #users = 0;
  #lookedAt = performance.now();
  #removals = 0;
  /** Builds that are written here. */
  #claimed: ReadonlySet<number> = new Set();
  readonly #builder: Builder;
  #problem: string | undefined;
  /** Resolves when something is served that was not. */
  #changed = Promise.withResolvers<void>();
  readonly #rounds: Rounds;
  readonly #forgetter: Forgetter;
  /** Changes that were told of by what served before. */
  #changedBefore = 0;
  #delivered = 0;
  #snapshots = 0;
  #failed = 0;
  /** Builds of which something is damaged, and which others are to replace. */
  readonly #damaged = new Set<number>();

  readonly #outage: Outage;

  private constructor(options: LiveStateOptions) {
    this.#options = options;
    const { logger, settings } = options;
    this.#settings = { ...SETTINGS, ...settings };
    this.#outage = new Outage({ logger, goesOn: 'the states still do not follow the log', over: 'the states follow the log again' });
    const building = {
      building: this.#foldingOptions(),
      logger,
      onMade: () => this.#rounds.soon(),
      onFailure: (error: unknown) => this.#fail('states cannot be made of the log', error),
    };
    const { storeMs, forgetMs } = this.#settings;
    this.#rounds = new Rounds(() => this.#tend(), storeMs);
    this.#forgetter = new Forgetter(options.pipeline.log, { keepMs: options.keepMs, everyMs: forgetMs });
    this.#builder = new Builder(building, this.#stop.signal);
  }

  /** Begins. @throws what the storage throws. */
  static async open(options: LiveStateOptions): Promise<LiveState> {
    const live = new LiveState(options);
    if (options.contract.entities.size === 0) return live;
    const { log } = options.pipeline;
    await log.states.register(declared(options.contract));
    live.#removals = (await log.states.look([])).removals;
    await live.#begin();
    return live;
  }

  get figures(): StateFigures {
    const { contract, pipeline } = this.#options;
    const serving = this.#serving;
    const stored = Math.min(...[...this.#known.values()].map(({ current }) => current?.seq ?? Number.POSITIVE_INFINITY));
    return {
      entities: contract.entities.size,
      unserved: [...this.#known].flatMap(([name, { current }]) => (current === undefined ? [name] : [])),
      building: sharesBuilt(this.#known, this.#builder.seq, pipeline.tail.seq),
      behind: serving === undefined ? null : Math.max(0, pipeline.tail.seq - serving.seq),
      unstored: Number.isFinite(stored) ? Math.max(0, pipeline.tail.seq - Math.max(stored, serving?.folding.changes.floor ?? 0)) : 0,
      inMemory: serving?.folding.changes.size ?? 0,
      watches: serving?.hub.subscribers ?? 0,
      changed: this.#changedBefore + (serving?.changed ?? 0),
      delivered: this.#delivered,
      snapshots: this.#snapshots,
      failed: this.#failed,
      things: this.#forgetter.things,
      problem: this.#problem ?? this.#builder.problem,
    };
  }

  /** States are folded here until the function that this returns is called. */
  use(): () => void {
    this.#users += 1;
    return () => {
      this.#users -= 1;
      this.#usedAt = performance.now();
    };
  }

  /**
   * What serves some entities, once it has folded all that this gateway knows of now. Called within a use.
   *
   * @param waitMs how long it may take; without an end when absent.
   * @throws {CourierError} SERVICE_UNAVAILABLE where that takes too long, or the gateway ends; the signal's reason.
   */
  async serving(entities: ReadonlySet<string>, signal: AbortSignal, waitMs?: number): Promise<Serving> {
    const { seq } = this.#options.pipeline.tail;
    const serving = this.#servingOf(entities);
    if (serving !== undefined && serving.seq >= seq) return serving;
    const late = new AbortController();
    const timer = waitMs === undefined ? undefined : setTimeout(() => late.abort(), waitMs).unref();
    try {
      return await this.#waitFor(entities, seq, AbortSignal.any([signal, this.#stop.signal, late.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
      if (this.#stop.signal.aborted) throw unavailable('the gateway ends');
      throw late.signal.aborted ? unavailable(this.#problem ?? 'it is being made of the log') : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #waitFor(entities: ReadonlySet<string>, seq: number, ended: AbortSignal): Promise<Serving> {
    for (;;) {
      const changed = this.#changed.promise;
      const serving = this.#servingOf(entities);
      if (serving === undefined) {
        if (this.#serving === undefined) this.#rounds.soon();
        await before(ended, changed);
        continue;
      }
      await serving.folding.reached(seq, AbortSignal.any([ended, serving.ended.signal])).catch((error: unknown) => {
        if (ended.aborted || !serving.ended.signal.aborted) throw error;
      });
      if (!serving.ended.signal.aborted) return serving;
    }
  }

  /** What serves them now. */
  #servingOf(entities: ReadonlySet<string>): Serving | undefined {
    const serving = this.#serving;
    if (serving === undefined) return undefined;
    for (const entity of entities) if (!serving.targets.some((target) => target.entity.name === entity)) return undefined;
    return serving;
  }

  /** Makes an entity's states anew. @throws {RangeError} where there is no such entity; what the storage throws. */
  async rebuild(entity: string): Promise<void> {
    const { version } = this.#options.contract.entities.get(entity) ?? {};
    if (version === undefined) throw new RangeError(`there is no entity ${entity}`);
    await this.#options.pipeline.log.states.rebuild({ entity, version });
    this.#rounds.soon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rounds[Symbol.dispose]();
    this.#stop.abort();
    this.#outage[Symbol.dispose]();
    // A storage that does not answer is not waited for.
    await before(AbortSignal.timeout(CLOSE_MS), this.#close()).catch(() => undefined);
  }

  async #close(): Promise<void> {
    await this.#rounds.settled;
    await this.#builder.making;
    const serving = this.#serving;
    this.#serving = undefined;
    const { states } = this.#options.pipeline.log;
    // The next one has less to fold.
    if (serving !== undefined) await this.#write(serving).catch(() => undefined);
    await serving?.[Symbol.asyncDispose]();
    if (this.#options.contract.entities.size > 0) await states.release(this.#holder).catch(() => undefined);
  }

  /** What is made of a short log is there at once. */
  async #begin(): Promise<void> {
    await this.#rounds.take();
    const { seq } = this.#options.pipeline.tail;
    const isShort = [...this.#known.values()].every(({ next }) => next === undefined || seq - next.seq <= SHORT_LOG);
    if (this.#builder.making === undefined || !isShort) return;
    await this.#builder.making;
    await this.#rounds.settled;
    await this.#rounds.take();
  }

  /** One step of everything that is done from time to time. Never rejects. */
  async #tend(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { ended } = this.#builder;
    try {
      await this.#look();
      await this.#claim();
      await this.#follow();
      const serving = this.#serving;
      if (serving !== undefined) await this.#write(serving);
      // What was looked at before it ended is not to be made again.
      if (ended === this.#builder.ended) this.#builder.begin(this.#parts());
      if (this.#claimed.size > 0 && this.#forgetter.isDue) await this.#forget();
      this.#problem = undefined;
      if (serving === this.#serving && serving !== undefined) this.#outage.end();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#problem = error instanceof CourierError ? error.message : 'the states cannot be stored';
      // The log tells of its own outages.
      if (!(error instanceof CourierError)) this.#fail('states cannot be stored', error);
    }
  }

  /** What is stored now. */
  async #look(): Promise<void> {
    const { contract, pipeline } = this.#options;
    const { states } = pipeline.log;
    const names = [...contract.entities.keys()];
    const askedAt = performance.now();
    const looked = await states.look(names);
    const { removals } = looked;
    let known = knownOf(contract, looked.builds);
    // Who was stopped for so long that nobody spared its builds begins others.
    if ([...known.values()].some(({ current, next }) => current === undefined && next === undefined)) {
      known = knownOf(contract, await states.register(declared(contract)));
    }
    this.#known = known;
    const serving = this.#serving;
    if (serving === undefined) {
      this.#removals = removals;
      this.#lookedAt = askedAt;
      return;
    }
    for (const [entity, { current }] of known) if (current !== undefined) serving.limit(entity, current);
    if (removals > this.#removals) await this.#tellRemovals(serving, removals);
    this.#lookedAt = askedAt;
    // What serves may be about to be replaced.
    const stored = Math.min(...serving.targets.map(({ build }) => looked.builds.find(({ number }) => number === build)?.seq ?? 0));
    if (Number.isFinite(stored)) serving.folding.stored(Math.min(stored, serving.seq));
  }

  /** @param upTo the number of the last removal. */
  async #tellRemovals(serving: Serving, upTo: number): Promise<void> {
    const { contract, pipeline } = this.#options;
    const builds = serving.targets.map(({ build }) => build);
    for (let after: number | undefined = this.#removals; after !== undefined; ) {
      const page = await pipeline.log.states.removals({ builds, channels: contract.channels.everything, after, limit: REMOVALS });
      serving.tellRemovals(page.removals);
      this.#removals = Math.max(this.#removals, page.next ?? 0, page.removals.at(-1)?.number ?? 0);
      after = page.next;
    }
    this.#removals = Math.max(this.#removals, upTo);
    serving.toldRemovals = Math.max(serving.toldRemovals, this.#removals);
  }

  async #claim(): Promise<void> {
    const builds = [...this.#known.values()].flatMap(({ current, next }) => [current, next].flatMap((build) => build?.number ?? []));
    if (builds.length === 0) return;
    this.#claimed = new Set(await this.#options.pipeline.log.states.claim({ holder: this.#holder, builds, forMs: this.#settings.claimMs }));
  }

  /** Serves what is complete, as long as that is needed here. */
  async #follow(): Promise<void> {
    const complete = [...this.#known].flatMap(([name, { current }]) => (current === undefined ? [] : [{ name, current }]));
    const serving = this.#serving;
    const isWriter = complete.some(({ current }) => this.#claimed.has(current.number));
    const isNeeded = isWriter || performance.now() - this.#usedAt < this.#settings.idleMs || this.#users > 0;
    const isSame =
      serving !== undefined &&
      serving.targets.length === complete.length &&
      complete.every(({ current }) => serving.targets.some(({ build }) => build === current.number));
    if (isSame && isNeeded) return;
    if (serving !== undefined) await this.#write(serving).catch(() => undefined);
    this.#serving = undefined;
    this.#changedBefore += serving?.changed ?? 0;
    await serving?.[Symbol.asyncDispose]();
    if (!isNeeded || complete.length === 0) return;
    const { contract, pipeline } = this.#options;
    const { builds } = await pipeline.log.states.look(complete.map(({ name }) => name));
    const seqOf = (number: number) => builds.find((build) => build.number === number)?.seq ?? 0;
    const targets = complete.map(({ name, current }): FoldTarget => ({ entity: entityOf(contract, name), build: current.number }));
    const following = new Serving({
      ...this.#foldingOptions(),
      targets,
      afterSeq: Math.min(...targets.map(({ build }) => seqOf(build))),
      meter: this.#meter,
      isCurrent: () => performance.now() - this.#lookedAt < this.#settings.lookMs,
      toldRemovals: this.#removals,
      onSnapshot: () => {
        this.#snapshots += 1;
      },
      onEnd: (error) => {
        this.#fail('the log cannot be folded into states', error);
        this.#drop();
      },
    });
    for (const { name, current } of complete) following.limit(name, current);
    this.#serving = following;
    this.#tell();
  }

  /** Tells of the first of several failures. */
  #fail(message: string, error: unknown): void {
    const { failures } = this.#options;
    if (failures.take('state', error) && this.#outage.meet()) failures.tell('state', `${message}; that is tried again`, error, {});
  }

  #drop(): void {
    const serving = this.#serving;
    this.#serving = undefined;
    this.#changedBefore += serving?.changed ?? 0;
    void serving?.[Symbol.asyncDispose]();
  }

  #foldingOptions(): Pick<FoldingOptions, 'pipeline' | 'maxCachedBytes' | 'maxPendingBytes' | 'onProblem' | 'onDamaged'> {
    const { pipeline, logger } = this.#options;
    return {
      pipeline,
      maxCachedBytes: this.#settings.cachedBytes,
      maxPendingBytes: upTo(PENDING_BYTES, MAX_PART * 2),
      onProblem: (entity, { id, type }, problem) => {
        this.#failed += 1;
        logger.warn('a reducer failed: the event changes nothing', { entity, event: id, type, reason: problem });
      },
      onDamaged: (damaged) => this.#mend(damaged),
    };
  }

  /** Has the entity's states made anew of which one is not as it was stored. */
  #mend({ build, channel, key }: StateName): void {
    const [entity] = [...this.#known].find(([, { current, next }]) => current?.number === build || next?.number === build) ?? [];
    if (entity === undefined || this.#damaged.has(build)) return;
    this.#damaged.add(build);
    const { failures } = this.#options;
    const error = new Error(`what is stored of ${entity} ${JSON.stringify(key)} in ${channel} is not what was stored`);
    failures.report('state', 'a stored state is damaged: its entity is made anew of the log', error, { entity });
    this.rebuild(entity).catch((failed: unknown) => {
      this.#damaged.delete(build);
      this.#fail('states cannot be made anew', failed);
    });
  }

  async #write(serving: Serving): Promise<void> {
    const { log } = this.#options.pipeline;
    const builds = serving.targets.map(({ build }) => build);
    const own = builds.filter((build) => this.#claimed.has(build));
    if (own.length === 0) return;
    const stored = await writeChanges(serving.folding, log.states, own, log.now.latest);
    // Of what others write the next look tells.
    if (own.length === builds.length) serving.folding.stored(stored);
  }

  /** What is to be made here. */
  #parts(): BuildPart[] {
    const { contract } = this.#options;
    return [...this.#known].flatMap(([name, { next, earlier }]): BuildPart[] => {
      if (next === undefined || !this.#claimed.has(next.number)) return [];
      return [{ target: { entity: entityOf(contract, name), build: next.number }, build: next, earlier }];
    });
  }

  /** Items are counted apart from events. */
  get #meter(): Meter {
    const delivered = (copies: number) => {
      this.#delivered += copies;
    };
    return { ...noMeter, delivered, replayed: delivered };
  }

  async #forget(): Promise<void> {
    const isDone = await this.#forgetter.forget(this.#stop.signal);
    // What is in memory here does not outlive it.
    await this.#look();
    // What is left has its turn with the next round.
    if (isDone) await this.#forgetter.count(this.#known);
  }

  /** Wakes those who wait for something to be served. */
  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function declared({ entities }: Contract) {
  return [...entities.values()].map(({ name, version }) => ({ entity: name, version }));
}

function entityOf(contract: Contract, name: string) {
  return contract.entities.get(name) as NonNullable<ReturnType<Contract['entities']['get']>>;
}
