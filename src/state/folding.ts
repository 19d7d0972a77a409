/**
 * Folds the events of the log into states, in their order. Events wait while the states that they change are read from where they are
 * stored; all that are missing are read at once.
 *
 * Invariant: `changes` is what the events up to `seq` have made, and everything that changed was passed on.
 */
import { type FoldedEvent, MAX_KEY_UNITS } from '../contract/entities.ts';
import { Batch, Delivery, type Sink } from '../delivery/batch.ts';
import { eventSource } from '../delivery/event-source.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import { Subscriber } from '../delivery/subscriber.ts';
import type { FoundState, StateName, StateStore } from '../log/state-store.ts';
import { noMeter } from '../observe/meter.ts';
import { Changes, type FoldTarget, type Thing, thingName, thingOf } from './changes.ts';
import type { Before } from './state-delivery.ts';

export interface FoldingOptions {
  readonly pipeline: Pick<Pipeline, 'contract' | 'log' | 'tail' | 'reads' | 'own'>;
  readonly targets: readonly FoldTarget[];
  /** It folds what comes after this number; what is stored may be of later changes. */
  readonly afterSeq: number;
  readonly maxCachedBytes: number;
  /** Bytes of what has yet to be stored: with more it waits. */
  readonly maxPendingBytes: number;
  /** Whether it may go on: who serves states has to know what was forgotten. */
  readonly isCurrent?: () => boolean;
  /** Told of each change, in order. @param before the state before it. @param isLast whether its event changes nothing else. */
  readonly onChange?: (thing: Thing, before: Before, isLast: boolean) => void;
  /** Told that the reducer of an entity failed on an event, which then changes nothing. */
  readonly onProblem: (entity: string, event: Pick<FoldedEvent, 'id' | 'type'>, problem: string) => void;
  /** Told of what is stored, and is not as it was. */
  readonly onDamaged: (damaged: StateName) => void;
}

/** UTF-16 units of events that wait to be folded, about. */
const MAX_WAITING_UNITS = 4 * 1024 * 1024;
/** Events that are folded between two looks at what is missing. */
const EVENTS_AT_ONCE = 500;
/** How long it folds in one turn of the event loop, in ms. */
const TURN_MS = 10;
/** How often one that is behind is looked at by who waits for it, in ms. */
const LOOK_MS = 20;

/** An event of which something may change. */
interface Waiting {
  readonly event: FoldedEvent;
  readonly seq: number;
  readonly units: number;
  readonly family: string;
  /** What it changes. */
  readonly names: readonly { readonly target: FoldTarget; readonly key: string; readonly name: string }[];
}

/** Nobody reads notices here. */
const nothing = () => new Batch([new Delivery('', { seq: 0, channel: '', family: undefined, type: '', body: '{}' })]);

/** By name: what is to be read. */
type Missing = Map<string, { readonly target: FoldTarget; readonly channel: string; readonly family: string; readonly key: string }>;

export class Folding implements Sink {
  readonly changes: Changes;
  readonly #options: FoldingOptions;
  readonly #store: StateStore;
  readonly #targetsByType = new Map<string, FoldTarget[]>();
  readonly #subscriber: Subscriber;
  readonly #stop = new AbortController();
  #waiting: Waiting[] = [];
  #waitingUnits = 0;
  /** Whether it goes on by itself: once what is missing has been read, or others have had their turn. */
  #isHeld = false;
  #foldedSeq: number;
  /** Who waits, with the number that it waits for; undefined where it looks itself. */
  readonly #onMoved = new Map<() => void, number | undefined>();
  #isTelling = false;
  #looking: NodeJS.Timeout | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: FoldingOptions) {
    const { pipeline, targets, afterSeq, maxCachedBytes } = options;
    this.#options = options;
    this.#store = pipeline.log.states;
    this.#foldedSeq = afterSeq;
    this.changes = new Changes(afterSeq, maxCachedBytes);
    for (const target of targets) {
      for (const type of target.entity.types) this.#targetsByType.set(type, [...(this.#targetsByType.get(type) ?? []), target]);
    }
    const filter = { channels: pipeline.contract.channels.everything, types: new Set(this.#targetsByType.keys()) };
    const source = eventSource({ ...pipeline, hub: pipeline.own, meter: noMeter }, { caughtUp: nothing, missing: nothing });
    this.#subscriber = new Subscriber(source, filter, afterSeq, this);
  }

  /** Begins. @param onEnd told when it cannot go on. */
  start(onEnd: (error: unknown) => void): void {
    this.#ended = this.#subscriber.run(this.#stop.signal).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) onEnd(error);
    });
  }

  /** The number up to which all events have been folded. */
  get seq(): number {
    this.#options.pipeline.own.settle();
    if (this.#waiting.length === 0 && !this.#isHeld && this.#isCurrent)
      this.#foldedSeq = Math.max(this.#foldedSeq, this.#subscriber.cursor);
    return this.#foldedSeq;
  }

  /** Resolves when all events up to a number have been folded; rejects with the signal's reason, or with what keeps it from going on. */
  async reached(seq: number, signal: AbortSignal): Promise<void> {
    while (this.seq < seq) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#moved(signal, seq);
    }
  }

  get writable(): boolean {
    return this.#waitingUnits < MAX_WAITING_UNITS && this.changes.bytes < this.#options.maxPendingBytes && this.#isCurrent;
  }

  get #isCurrent(): boolean {
    return this.#options.isCurrent?.() ?? true;
  }

  deliver({ deliveries }: Batch): void {
    for (const delivery of deliveries) this.#take(delivery);
    if (!this.#isHeld) this.#fold();
  }

  async drained(signal: AbortSignal): Promise<void> {
    while (!this.writable) {
      signal.throwIfAborted();
      await this.#moved(signal);
    }
  }

  /** Up to a number everything is stored. */
  stored(seq: number): void {
    this.changes.stored(seq);
    this.#tellMoved();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#failure ??= { error: new Error('it was ended') };
    this.#tellMoved();
    await this.#ended;
  }

  #take(delivery: Delivery): void {
    const { type, family, seq, units } = delivery;
    // Notices say nothing of states; what has no present form changes nothing.
    const targets = delivery.isReadable && family !== undefined ? this.#targetsByType.get(type) : undefined;
    if (targets === undefined || family === undefined) return;
    const event: FoldedEvent = JSON.parse(delivery.json);
    const names = targets.flatMap((target) => {
      const key = target.entity.families.includes(family) ? target.entity.keyOf(event) : undefined;
      if (key === undefined) return [];
      if (key.length <= MAX_KEY_UNITS) return [{ target, key, name: thingName(target.build, event.channel, key) }];
      this.#options.onProblem(target.entity.name, event, `its key has more than ${MAX_KEY_UNITS} characters`);
      return [];
    });
    if (names.length === 0) return;
    this.#waiting.push({ event, seq, units, family, names });
    this.#waitingUnits += units;
  }

  /** Folds what can be folded, and reads what is missing for the rest. */
  #fold(): void {
    const until = performance.now() + TURN_MS;
    while (this.#waiting.length > 0) {
      const missing = this.#missing();
      if (missing.size > 0) {
        this.#isHeld = true;
        void this.#read(missing);
        return;
      }
      const some = Math.min(this.#waiting.length, EVENTS_AT_ONCE);
      let folded = 0;
      do {
        const waiting = this.#waiting[folded] as Waiting;
        this.#waitingUnits -= waiting.units;
        this.#apply(waiting);
        this.#foldedSeq = waiting.seq;
        folded += 1;
      } while (folded < some && performance.now() < until);
      this.#waiting.splice(0, folded);
      if (folded < some) {
        this.#isHeld = true;
        setImmediate(() => this.#goOn());
        break;
      }
    }
    this.#tellMoved();
  }

  #goOn(): void {
    this.#isHeld = false;
    if (!this.#stop.signal.aborted) this.#fold();
  }

  /** What the next events change and is not in memory. */
  #missing(): Missing {
    const missing: Missing = new Map();
    const upTo = Math.min(this.#waiting.length, EVENTS_AT_ONCE);
    for (let at = 0; at < upTo; at += 1) {
      const { event, seq, family, names } = this.#waiting[at] as Waiting;
      for (const { target, key, name } of names) {
        if (!this.#isKnown(this.changes.get(name), seq)) missing.set(name, { target, channel: event.channel, family, key });
      }
    }
    return missing;
  }

  /** What has ended and is stored may have been forgotten before an event that was committed after it was read. */
  #isKnown(thing: Thing | undefined, seq: number): boolean {
    if (thing === undefined) return false;
    return thing.isOpen || thing.state === undefined || thing.seq > this.changes.floor || thing.readSeq >= seq;
  }

  async #read(missing: Missing): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const all = [...missing];
        const readSeq = this.#waiting.at(-1)?.seq;
        const found = await this.#store.find(all.map(([, { target, channel, key }]) => ({ build: target.build, channel, key })));
        for (const [index, [, { target, channel, key }]] of all.entries())
          if (found[index]?.isDamaged) this.#options.onDamaged({ build: target.build, channel, key });
        for (const [index, [name, about]] of all.entries())
          this.changes.add(name, thingOf(about.target, about, found[index] as FoundState, readSeq));
        this.#goOn();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#failure = { error };
        this.#tellMoved();
        await this.#pause(RETRY_MS);
        if (!signal.aborted) this.#failure = undefined;
      }
    }
  }

  #apply({ event, seq, units, names }: Waiting): void {
    for (const [index, { target, name }] of names.entries()) {
      const thing = this.changes.get(name) as Thing;
      // What is stored may be of later changes; what was forgotten behind this event, and is stored no more, it has not changed.
      if (thing.isDamaged || seq < thing.seq || (thing.seq === 0 && seq <= thing.forgottenSeq)) continue;
      // What was stored meanwhile is as this event has made it.
      const before = seq === thing.seq ? 'unknown' : { isOpen: thing.isOpen, state: thing.state };
      if (seq > thing.seq) {
        const state = thing.forgottenSeq > 0 && seq > thing.forgottenSeq ? undefined : thing.state;
        const folded = target.entity.fold(state, event);
        if (folded.problem !== undefined) this.#options.onProblem(target.entity.name, event, folded.problem);
        if (folded.problem !== undefined || folded.state === state) continue;
        if (state === undefined) thing.sinceSeq = seq;
        thing.forgottenSeq = 0;
        thing.state = folded.state;
        thing.isOpen = folded.state !== undefined && target.entity.isOpen(folded.state);
        thing.body = undefined;
        thing.seq = seq;
      }
      this.changes.note(name, thing, units);
      this.#options.onChange?.(thing, before, index === names.length - 1);
    }
  }

  /** Wakes those who wait for what is there now, behind the present delivery. */
  #tellMoved(): void {
    if (this.#onMoved.size === 0 || this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => this.#wake());
  }

  #wake(): void {
    this.#isTelling = false;
    const { seq } = this;
    for (const [resolve, waited] of this.#onMoved) {
      if (this.#failure === undefined && waited !== undefined && waited > seq) continue;
      this.#onMoved.delete(resolve);
      resolve();
    }
  }

  /** Resolves when something has moved; what moves without an event is looked at now and then. @param seq that is waited for. */
  async #moved(signal: AbortSignal, seq?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const moved = () => resolve();
    this.#onMoved.set(moved, seq);
    this.#lookSoon();
    signal.addEventListener('abort', moved);
    try {
      await promise;
    } finally {
      this.#onMoved.delete(moved);
      signal.removeEventListener('abort', moved);
    }
  }

  #lookSoon(): void {
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined;
      this.#tellMoved();
      if (this.#onMoved.size > 0) this.#lookSoon();
    }, LOOK_MS).unref();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms).unref();
      this.#stop.signal.addEventListener('abort', done);
    });
  }
}

/** After how long reading is tried again where it failed, in ms. */
const RETRY_MS = 500;
