/**
 * One subscription on its way through its source, in three phases:
 *
 * - **Catching up.** The subscriber hands its sink stored pages from its cursor on; subscribers with equal filters share them.
 * - **Cut-over.** Once the rest is in memory, the subscriber hands that over and joins the hub, all in one
 *   synchronous step, so that nothing can be appended in between.
 * - **Live.** Its group hands it what comes. When its sink is full the group removes it; once the sink has drained, it
 *   catches up again: it holds no queue of its own. Where nothing comes for long, it is told its position.
 *
 * Invariant: everything up to the cursor that the filter selects has been handed over once, in order, and nothing after it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Filter } from '../contract/filter.ts';
import { CourierError } from '../errors.ts';
import { type Batch, batchesOf, type Sink } from './batch.ts';
import type { Group, LiveSubscriber } from './groups.ts';
import type { Source } from './source.ts';
import { QUIET_LOOKS } from './tail.ts';

/** What joining the hub costs beside reading the live window, in events that are read, about. */
const JOIN_COST_EVENTS = 5000;

export class Subscriber implements LiveSubscriber {
  readonly sink: Sink;
  /** The number after which it began. */
  readonly startSeq: number;
  readonly #source: Source;
  readonly #filter: Filter;
  #cursor: number;
  #replayed = 0;
  #announced = false;
  /** The `seq` of the last event or notice that was handed over. */
  #toldSeq: number;
  #stopped = false;
  #isLive = false;
  #group: Group | undefined;
  /** Ends the present wait. */
  #endWait: () => void = () => undefined;

  /** @param cursor the subscriber begins after this number. */
  constructor(source: Source, filter: Filter, cursor: number, sink: Sink) {
    this.#source = source;
    this.#filter = filter;
    this.startSeq = cursor;
    this.#cursor = cursor;
    this.#toldSeq = cursor;
    this.sink = sink;
  }

  /** The number up to which everything was handed over. */
  get cursor(): number {
    return this.#isLive ? this.#source.seq : this.#cursor;
  }

  /** Delivers until `signal` aborts or `stop` is called. Rejects with what made it impossible to go on. */
  async run(signal: AbortSignal): Promise<void> {
    const { meter } = this.#source;
    meter.catchingUp(1);
    // A turn may come late. The loop looks at the state again before the subscriber uses it.
    let hasTurn = false;
    try {
      while (!signal.aborted && !this.#stopped) {
        const turn: Promise<void> | undefined = hasTurn ? undefined : this.#turn();
        hasTurn = turn !== undefined;
        if (!this.sink.writable) await this.#wait(signal, (ended) => this.sink.drained(ended));
        // More was read than is live yet: what follows comes when it is.
        else if (this.#cursor > this.#source.seq) await this.#wait(signal, (ended) => this.#source.reached(this.#cursor, ended));
        else if (turn !== undefined) await turn;
        else if (this.#tryCutOver()) {
          meter.catchingUp(-1);
          this.#isLive = true;
          await this.#live(signal);
          this.#isLive = false;
          meter.catchingUp(1);
        } else await this.#catchUp(signal);
      }
    } catch (error) {
      if (!signal.aborted && !this.#stopped) throw error;
    } finally {
      meter.catchingUp(-1);
    }
  }

  /** Hands over a notice of its position, when it is live and what it was handed last does not say it. */
  tellPosition(): void {
    if (this.#isLive) this.#group?.tell(this, this.#source.caughtUp(this.#source.seq, 0));
  }

  /** Hands over what its source gives it beside the pages, while it is catching up. */
  tell(batch: Batch): void {
    this.sink.deliver(batch);
    this.#count(batch);
  }

  /** Delivers nothing more, and lets `run` resolve, whatever it waits for. */
  stop(): void {
    this.#stopped = true;
    this.#leave();
    this.#endWait();
  }

  /** Waits for `work`, until `signal` aborts or `stop` is called. Live subscribers, of which there are most, need no signal of their own. */
  async #wait<T>(signal: AbortSignal, work: (ended: AbortSignal) => Promise<T>): Promise<T> {
    const ended = new AbortController();
    const end = () => ended.abort();
    this.#endWait = end;
    signal.addEventListener('abort', end);
    try {
      return await work(ended.signal);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const page = await this.#wait(signal, (ended) => this.#source.read(this.#filter, this.#cursor, ended)).catch((error: unknown) =>
      this.#waitForLog(signal, error),
    );
    if (this.#stopped || page === undefined) return;
    if (page.first > this.#cursor + 1) this.#skipTo(page.first - 1);
    if (this.#handOver(page.batches)) this.#cursor = Math.max(this.#cursor, page.endSeq);
  }

  /** Waits before the next attempt to read: a log that cannot be read now will be again, and the cursor stays where it is. */
  async #waitForLog(signal: AbortSignal, error: unknown): Promise<undefined> {
    const pauseMs = error instanceof CourierError ? error.retryAfterMs : undefined;
    if (pauseMs === undefined || signal.aborted || this.#stopped) throw error;
    await this.#wait(signal, (ended) => wait(pauseMs, undefined, { signal: ended, ref: false }));
  }

  /** The events between the cursor and `seq` are gone from the log. */
  #skipTo(seq: number): void {
    this.#source.meter.gap('expired');
    this.sink.deliver(this.#source.missing(this.#cursor, seq));
    this.#cursor = seq;
    this.#toldSeq = seq;
  }

  /** Resolves when it may cut over. Undefined when it may do so now, or when it is not far enough yet. */
  #turn(): Promise<void> | undefined {
    const source = this.#source;
    if (!this.sink.writable || !source.covers(this.#cursor)) return undefined;
    return source.cutOvers.take(JOIN_COST_EVENTS + Math.max(0, source.seq - this.#cursor));
  }

  /** Hands over the rest and joins the hub, when the rest is in memory. Never waits. */
  #tryCutOver(): boolean {
    const source = this.#source;
    const { seq, hub } = source;
    if (!source.covers(this.#cursor)) return false;
    if (!this.#handOver(batchesOf(source.recent(this.#filter, this.#cursor), hub.batchUnits))) return false;
    this.#cursor = seq;
    if (!this.#announced || this.#cursor - this.#toldSeq > source.quietEvents / QUIET_LOOKS) {
      this.sink.deliver(source.caughtUp(this.#cursor, this.#announced ? 0 : this.#replayed));
      this.#toldSeq = this.#cursor;
      this.#announced = true;
    }
    this.#group = hub.join(this.#filter, this, this.#toldSeq);
    return true;
  }

  /** Hands over what comes after the cursor; false when the sink was full before the end. */
  #handOver(batches: Iterable<Batch>): boolean {
    for (const whole of batches) {
      const batch = whole.after(this.#cursor);
      if (batch === undefined) continue;
      if (!this.sink.writable) return false;
      this.sink.deliver(batch);
      this.#cursor = batch.lastSeq;
      this.#toldSeq = batch.lastSeq;
      this.#count(batch);
    }
    return true;
  }

  #count({ deliveries }: Batch): void {
    this.#source.meter.replayed(deliveries.length);
    if (!this.#announced) this.#replayed += deliveries.length;
  }

  /** Resolves when it is no longer in its group. */
  #live(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const leave = () => {
        this.#leave();
        this.#endWait();
      };
      this.#endWait = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      signal.addEventListener('abort', leave);
    });
  }

  #leave(): void {
    const seq = this.#group?.leave(this, this.#source.seq);
    if (seq !== undefined) this.#cursor = Math.max(this.#cursor, seq);
  }

  onBehind(seq: number): void {
    this.#cursor = Math.max(this.#cursor, seq);
    this.#toldSeq = Math.max(this.#toldSeq, seq);
    this.#endWait();
  }
}
