/**
 * One subscription on its way through the log, in three phases:
 *
 * - **Catching up.** Pages of the log, shared with others who want the same, are handed to the sink from the cursor on.
 * - **Cut-over.** Once the rest is in memory it is handed over and the subscriber joins the hub, all in one synchronous
 *   step, so that nothing can be appended in between.
 * - **Live.** As a member of an audience it is given what comes. When its sink is full it is out and, once the sink has
 *   drained, catches up again: it holds no queue of its own. Where nothing comes for long, it is told its position.
 *
 * Invariant: every matching event up to the cursor has been handed over once, in order, and none after it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { selects } from '../contract/channels.ts';
import { CourierError } from '../errors.ts';
import type { EventLog } from '../log/log.ts';
import type { Meter } from '../observe/meter.ts';
import type { Trail } from '../observe/trail.ts';
import type { Audience, Member } from './audience.ts';
import { type Batch, batchesOf } from './batch.ts';
import type { Delivery } from './delivery.ts';
import type { Hub } from './hub.ts';
import type { Interest } from './interest.ts';
import { gapNotice, liveNotice } from './notices.ts';
import type { SharedReads } from './shared-reads.ts';
import type { Sink } from './sink.ts';
import { QUIET_LOOKS, type Tail } from './tail.ts';

/** Where events come from. */
export interface Feed {
  readonly log: EventLog;
  readonly reads: SharedReads;
  readonly tail: Tail;
  readonly hub: Hub;
  /** Aborted when the gateway begins to shut down: nothing more is published here. */
  readonly draining: AbortSignal;
  readonly meter: Meter;
  readonly trail: Trail;
}

/** What joining the hub costs beside looking through the latest events, in events that are looked through, about. */
const CUT_OVER_EVENTS = 5000;

export class Subscriber implements Member {
  readonly sink: Sink;
  /** The number after which it began. */
  readonly start: number;
  readonly #feed: Feed;
  readonly #interest: Interest;
  #cursor: number;
  #replayed = 0;
  #announced = false;
  /** The number that its client knows to be at: that of the last event or notice that was handed over behind it. */
  #toldSeq: number;
  #stopped = false;
  #isLive = false;
  #audience: Audience | undefined;
  /** Ends what is waited for. */
  #out: () => void = () => undefined;

  /** @param cursor everything after this number is wanted. */
  constructor(feed: Feed, interest: Interest, cursor: number, sink: Sink) {
    this.#feed = feed;
    this.#interest = interest;
    this.start = cursor;
    this.#cursor = cursor;
    this.#toldSeq = cursor;
    this.sink = sink;
  }

  get types(): ReadonlySet<string> | undefined {
    return this.#interest.types;
  }

  /** The number up to which it has been given everything. */
  get position(): number {
    return this.#isLive ? this.#feed.tail.position : this.#cursor;
  }

  /** Delivers until `signal` aborts or it is stopped. Rejects with what made it impossible to go on. */
  async run(signal: AbortSignal): Promise<void> {
    const { tail, meter } = this.#feed;
    meter.catchingUp(1);
    // What has changed meanwhile is looked at once it is there.
    let hasTurn = false;
    try {
      while (!signal.aborted && !this.#stopped) {
        const turn: Promise<void> | undefined = hasTurn ? undefined : this.#turn();
        hasTurn = turn !== undefined;
        if (!this.sink.writable) await this.#wait(signal, (ended) => this.sink.drained(ended));
        // The log was read further than the tail has come: what follows comes with it.
        else if (this.#cursor > tail.position) await this.#wait(signal, (ended) => tail.reached(this.#cursor, ended));
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

  /** Hands over a notice of where it is, when it is live and what it was given last does not say so. */
  tellPosition(): void {
    const { tail, log } = this.#feed;
    if (this.#isLive) this.#audience?.tell(this, liveNotice(log.positions, tail.position, 0));
  }

  /** Delivers nothing more, and lets `run` resolve, whatever it waits for. */
  stop(): void {
    this.#stopped = true;
    this.#audience?.leave(this);
    this.#out();
  }

  /** Waits for what hears a signal, until `signal` aborts or `stop`. Only those that are behind need a signal of their own. */
  async #wait<T>(signal: AbortSignal, wait: (ended: AbortSignal) => Promise<T>): Promise<T> {
    const ended = new AbortController();
    const end = () => ended.abort();
    this.#out = end;
    signal.addEventListener('abort', end);
    try {
      return await wait(ended.signal);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const page = await this.#wait(signal, (ended) => this.#feed.reads.read(this.#interest, this.#cursor, ended)).catch((error: unknown) =>
      this.#waitForLog(signal, error),
    );
    if (this.#stopped || page === undefined) return;
    if (page.first > this.#cursor + 1) this.#skipTo(page.first - 1);
    if (this.#handAll(page.batches)) this.#cursor = Math.max(this.#cursor, page.through);
  }

  /** A log that cannot be read now will be again, and the subscriber is still where it was. */
  async #waitForLog(signal: AbortSignal, error: unknown): Promise<undefined> {
    const pauseMs = error instanceof CourierError ? error.retryAfterMs : undefined;
    if (pauseMs === undefined || signal.aborted || this.#stopped) throw error;
    await this.#wait(signal, (ended) => wait(pauseMs, undefined, { signal: ended, ref: false }));
  }

  /** The events between the cursor and `seq` are gone from the log. */
  #skipTo(seq: number): void {
    const {
      log: { positions },
      meter,
    } = this.#feed;
    meter.gap('expired');
    this.sink.deliver(gapNotice(positions, 'expired', positions.at(this.#cursor), seq));
    this.#cursor = seq;
    this.#toldSeq = seq;
  }

  /** Resolves when it may come to the latest events; undefined when that is now, or it is not as far. */
  #turn(): Promise<void> | undefined {
    const { tail } = this.#feed;
    if (!this.sink.writable || !tail.recent.covers(this.#cursor, tail.position)) return undefined;
    return tail.cutOvers.take(CUT_OVER_EVENTS + Math.max(0, tail.position - this.#cursor));
  }

  /** Hands over what is in memory and joins the hub, when the cursor has come that far. Never waits. */
  #tryCutOver(): boolean {
    const { tail, hub, log } = this.#feed;
    if (!tail.recent.covers(this.#cursor, tail.position)) return false;
    if (!this.#handAll(batchesOf(this.#recent(), hub.batchLength))) return false;
    this.#cursor = tail.position;
    if (!this.#announced || this.#cursor - this.#toldSeq > tail.quietEvents / QUIET_LOOKS) {
      this.sink.deliver(liveNotice(log.positions, this.#cursor, this.#announced ? 0 : this.#replayed));
      this.#toldSeq = this.#cursor;
      this.#announced = true;
    }
    this.#audience = hub.join(this.#interest, this, this.#toldSeq);
    return true;
  }

  *#recent(): Generator<Delivery, void> {
    const { selector, types } = this.#interest;
    for (const delivery of this.#feed.tail.recent.after(this.#cursor)) {
      if (delivery.family === undefined || !selects(selector, delivery.family, delivery.channel)) continue;
      if (types === undefined || types.has(delivery.type)) yield delivery;
    }
  }

  /** Hands over what comes after the cursor; false when the sink was full before the end. */
  #handAll(batches: Iterable<Batch>): boolean {
    for (const whole of batches) {
      const batch = whole.after(this.#cursor);
      if (batch === undefined) continue;
      if (!this.sink.writable) return false;
      this.sink.deliver(batch);
      this.#cursor = batch.lastSeq;
      this.#toldSeq = batch.lastSeq;
      this.#feed.meter.replayed(batch.deliveries.length);
      if (!this.#announced) this.#replayed += batch.deliveries.length;
    }
    return true;
  }

  /** Resolves when the subscriber is out of its audience. */
  #live(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const leave = () => {
        this.#audience?.leave(this);
        this.#out();
      };
      this.#out = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      signal.addEventListener('abort', leave);
    });
  }

  onBehind(seq: number): void {
    this.#cursor = Math.max(this.#cursor, seq);
    this.#toldSeq = Math.max(this.#toldSeq, seq);
    this.#out();
  }
}
