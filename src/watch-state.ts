/** The way of a watch: select, authorise, wait for the state, give what is, then what changes. */
import type { Connection } from './connections/connection.ts';
import type { StateResetReason } from './contract/envelope.ts';
import type { Filter } from './contract/filter.ts';
import type { Position } from './contract/position.ts';
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
  const requested = lastEventId === undefined ? undefined : positionFrom('lastEventId', lastEventId);
  return eventStream(async (sink, ended) => {
    const watch = new Watch(pipeline, pipeline.states, filter, sink, requested && { position: requested, text: lastEventId as string });
    let lost: CourierError | undefined;
    const release = connection.subscribe(filter, watch, (error) => {
      lost = error;
      watch.stop();
    });
    try {
      await watch.run(ended);
    } finally {
      release();
    }
    if (lost !== undefined) throw lost;
  }, signal);
}

/** A watch, whatever serves it meanwhile. */
class Watch {
  readonly #pipeline: Pipeline;
  readonly #states: LiveState;
  readonly #filter: Filter;
  readonly #sink: Sink;
  readonly #stop = new AbortController();
  #requested: { readonly position: Position; readonly text: string } | undefined;
  #subscriber: Subscriber | undefined;
  /** What it was served from last. */
  #builds: string | undefined;
  readonly startSeq: number;

  constructor(
    pipeline: Pipeline,
    states: LiveState,
    filter: Filter,
    sink: Sink,
    requested: { position: Position; text: string } | undefined,
  ) {
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
    const isBroken = this.#builds === undefined && this.#hasParts(requested?.position);
    const isReplaced = this.#builds !== undefined && this.#builds !== builds;
    this.#builds = builds;
    const reason = isReplaced
      ? 'rebuilt'
      : requested && (resetReason(serving, this.#pipeline, requested.position, this.#filter) ?? (isBroken ? 'expired' : undefined));
    if (requested !== undefined && reason !== undefined) this.#sink.deliver(resetNotice(positions, reason, requested.text));
    const isFresh = requested === undefined || reason !== undefined || requested.position.seq === 0;
    const cursor = isFresh ? 0 : requested.position.seq;
    const source = serving.source(isFresh ? serving.storedSeq : undefined, (...since) => this.#tellRemovals(serving, ...since));
    this.#subscriber = new Subscriber(source, this.#filter, cursor, this.#sink);
    await this.#subscriber.run(signal);
    // What it goes on behind where it is served anew.
    const { cursor: seq } = this.#subscriber;
    const text = positions.at(seq);
    this.#requested = { position: { epoch: positions.epoch, seq }, text };
  }

  /** Whether a client may have parts of what it selects, and nothing to say how far: it has to know which of them are given again. */
  #hasParts(position: Position | undefined): boolean {
    const { open, fields } = this.#filter.states ?? {};
    return position?.seq === 0 && (open !== undefined || fields !== undefined);
  }

  /** What was forgotten since then. */
  async #tellRemovals(serving: Serving, seq: number, signal: AbortSignal): Promise<void> {
    for (let after: number | undefined = 0; after !== undefined && !signal.aborted; ) {
      const { removals, next } = await serving.removalsSince(this.#filter, seq, after);
      if (removals.length > 0) this.#sink.deliver(new Batch(removals));
      if (!this.#sink.writable) await this.#sink.drained(signal).catch(() => undefined);
      after = next;
    }
  }
}

/** Why a client has to begin anew that has the state at a position. */
export function resetReason(
  serving: Serving,
  { log, tail }: Pipeline,
  position: Position,
  { types }: Filter,
): StateResetReason | undefined {
  const { gap } = log.positions.resume(position, Math.max(tail.seq, serving.seq));
  if (gap === 'epoch' || gap === 'ahead') return gap;
  const { seq } = position;
  if (seq === 0) return undefined;
  const { builtSeq, forgottenSeq } = serving.limitsOf(types);
  if (seq <= builtSeq) return 'rebuilt';
  return seq < forgottenSeq ? 'expired' : undefined;
}
