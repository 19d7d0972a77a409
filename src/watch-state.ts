/** The way of a watch: select, authorise, wait for the state, give what is, then what changes. */
import type { Connection } from './connections/connection.ts';
import type { StateResetReason } from './contract/envelope.ts';
import type { Filter } from './contract/filter.ts';
import { parseStatePosition, type StatePosition } from './contract/position.ts';
import type { Sink } from './delivery/batch.ts';
import { Batch } from './delivery/batch.ts';
import { type EventStream, eventStream } from './delivery/event-stream.ts';
import { resetNotice } from './delivery/notices.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { Subscriber } from './delivery/subscriber.ts';
import type { CourierError } from './errors.ts';
import type { LiveState } from './state/live-state.ts';
import type { Served } from './state/served.ts';
import type { Serving } from './state/serving.ts';
import { type StateSelection, selectionFrom } from './state-selection.ts';
import { positionFrom } from './subscribe.ts';

export interface WatchRequest extends StateSelection {
  /** How often a change of one thing is told in a second, at most: then the latest. As it comes when absent. */
  readonly max_per_second?: number | undefined;
  /** What was had already: the state at this position. */
  readonly lastEventId?: string | undefined;
}

/**
 * Opens a watch: an item for each thing that is selected, `state.ready` with the position that they are the state at, and from then on
 * each change. With a position it begins with what has changed since. Where that says nothing of the client's state, `state.reset` comes
 * first, and everything follows. Who reads too slowly is told of the latest changes only; nothing else is lost.
 *
 * The stream fails as that of `subscribe`.
 *
 * @throws {CourierError} BAD_REQUEST for a malformed channel, pattern, position or condition; FORBIDDEN.
 */
export function watchState(pipeline: Served, connection: Connection, request: WatchRequest, signal?: AbortSignal): EventStream {
  const { lastEventId, max_per_second } = request;
  const filter: Filter = { ...selectionFrom(pipeline.contract, connection.principal, request), maxPerSecond: max_per_second };
  const requested = lastEventId === undefined ? undefined : requestedFrom(lastEventId);
  return eventStream(async (sink, ended) => {
    const watch = new Watch(pipeline, pipeline.states, filter, sink, requested);
    let lost: CourierError | undefined;
    const release = connection.subscribe(filter, watch, (error) => {
      lost = error;
      watch.stop();
    });
    const endUse = pipeline.states.use();
    try {
      await watch.run(ended);
    } finally {
      endUse();
      release();
    }
    if (lost !== undefined) throw lost;
  }, signal);
}

/** What a client has. */
interface Requested extends StatePosition {
  /** As it says it. */
  readonly text: string;
}

function requestedFrom(text: string): Requested {
  return { ...(parseStatePosition(text) ?? { position: positionFrom('lastEventId', text), isUnfinished: false }), text };
}

/** A watch, whatever serves it meanwhile. */
class Watch {
  readonly #pipeline: Pipeline;
  readonly #states: LiveState;
  readonly #filter: Filter;
  readonly #sink: Sink;
  readonly #stop = new AbortController();
  #requested: Requested | undefined;
  #subscriber: Subscriber | undefined;
  /** What it was served from last. */
  #builds: string | undefined;
  /** Of a client that had nothing and has yet to get all: as `Serving.source` says it. */
  #freshSeq: number | undefined;
  readonly startSeq: number;

  constructor(pipeline: Pipeline, states: LiveState, filter: Filter, sink: Sink, requested: Requested | undefined) {
    this.#pipeline = pipeline;
    this.#states = states;
    this.#filter = filter;
    this.#sink = sink;
    this.#requested = requested;
    this.startSeq = requested?.position.seq ?? 0;
  }

  get cursor(): number {
    return this.#subscriber?.cursor ?? this.startSeq;
  }

  tellPosition(): void {
    this.#subscriber?.tellPosition();
  }

  stop(): void {
    this.#stop.abort();
    this.#subscriber?.stop();
  }

  async run(signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, this.#stop.signal]);
    while (!ended.aborted) {
      const serving = await this.#states.serving(this.#filter.types as ReadonlySet<string>, ended).catch((error: unknown) => {
        if (!ended.aborted) throw error;
      });
      if (serving === undefined) return;
      await this.#serve(serving, AbortSignal.any([ended, serving.ended.signal]));
    }
  }

  /** Until another takes the place of what serves it. */
  async #serve(serving: Serving, signal: AbortSignal): Promise<void> {
    const { positions } = this.#pipeline.log;
    const requested = this.#requested;
    const builds = serving.buildsOf(this.#filter.types).join();
    const isServedAnew = this.#builds !== undefined;
    const isReplaced = isServedAnew && this.#builds !== builds;
    this.#builds = builds;
    const reason = isReplaced
      ? 'rebuilt'
      : requested && this.#reasonFor(serving, isServedAnew ? { ...requested, builds: serving.builds } : requested);
    if (requested !== undefined && reason !== undefined) this.#sink.deliver(resetNotice(positions, reason, requested.text));
    const isFresh = requested === undefined || reason !== undefined;
    const cursor = isFresh ? 0 : requested.position.seq;
    if (isFresh) this.#freshSeq = serving.storedSeq;
    const source = serving.source(this.#freshSeq, {
      isBegun: !isFresh,
      tellRemovals: (...since) => this.#tellRemovals(serving, ...since),
      onGiven: () => {
        this.#freshSeq = undefined;
      },
    });
    this.#subscriber = new Subscriber(source, this.#filter, cursor, this.#sink);
    await this.#subscriber.run(signal);
    // What it goes on behind where it is served anew.
    const { cursor: seq } = this.#subscriber;
    const text = positions.at(seq);
    this.#requested = { position: { epoch: positions.epoch, seq }, text, isUnfinished: false };
  }

  /** Why a client has to begin anew. One that was not given all of a selection may have what has left it since. */
  #reasonFor(serving: Serving, requested: StatePosition): StateResetReason | undefined {
    return resetReason(serving, this.#pipeline, requested, this.#filter) ?? (requested.isUnfinished ? 'unfinished' : undefined);
  }

  /** What was forgotten since then. */
  async #tellRemovals(serving: Serving, seq: number, signal: AbortSignal): Promise<void> {
    for (let after: number | undefined = 0; after !== undefined && !signal.aborted; ) {
      const { removals, next } = await serving.removalsSince(this.#filter, seq, after);
      if (removals.length > 0) this.#subscriber?.tell(new Batch(removals));
      if (!this.#sink.writable) await this.#sink.drained(signal).catch(() => undefined);
      after = next;
    }
  }
}

/** Why a client has to begin anew that has the state at a position. @param seq when it had what it has. */
export function resetReason(
  serving: Serving,
  { log, tail }: Pipeline,
  { position, builds }: Pick<StatePosition, 'position' | 'builds'>,
  { types }: Filter,
  seq = position.seq,
): StateResetReason | undefined {
  const { gap } = log.positions.resume(position, Math.max(tail.seq, serving.seq));
  if (gap === 'epoch' || gap === 'ahead') return gap;
  const { builtSeq, forgottenSeq } = serving.limitsOf(types);
  if (builtSeq > 0 && seq <= builtSeq && builds !== serving.builds) return 'rebuilt';
  return seq < forgottenSeq ? 'expired' : undefined;
}
