/**
 * One subscription on its way through the log, in three phases:
 *
 * - **Catching up.** Pages of the log, shared with others who want the same, are handed to the sink from the cursor on.
 * - **Cut-over.** Once the rest is in memory it is handed over and the subscriber joins the hub, all in one synchronous
 *   step, so that nothing can be appended in between.
 * - **Live.** The hub hands over each event as it comes. When the sink is full the subscriber leaves the hub and, once
 *   the sink has drained, catches up again: it holds no queue of its own.
 *
 * Invariant: every matching event up to the cursor has been handed over once, in order, and none after it.
 */
import { type Selector, selects } from '../contract/channels.ts';
import type { EventLog } from '../log/log.ts';
import type { Delivery } from './delivery.ts';
import type { Hub, Listener } from './hub.ts';
import { gapNotice, liveNotice } from './notices.ts';
import type { Interest, SharedReads } from './shared-reads.ts';
import type { Sink } from './sink.ts';
import type { Tail } from './tail.ts';

/** Where events come from. */
export interface Feed {
  readonly log: EventLog;
  readonly reads: SharedReads;
  readonly tail: Tail;
  readonly hub: Hub;
  /** Aborted when the gateway begins to shut down: nothing more is published here. */
  readonly draining: AbortSignal;
}

export class Subscriber implements Listener {
  readonly selector: Selector;
  readonly #types: ReadonlySet<string> | undefined;
  readonly #feed: Feed;
  readonly #sink: Sink;
  #cursor: number;
  #replayed = 0;
  #announced = false;
  /** Ends the live phase; undefined in the others. */
  #leaveLive: (() => void) | undefined;

  /** @param cursor everything after this number is wanted. */
  constructor(feed: Feed, interest: Interest, cursor: number, sink: Sink) {
    this.#feed = feed;
    this.selector = interest.selector;
    this.#types = interest.types;
    this.#cursor = cursor;
    this.#sink = sink;
  }

  /** Delivers until `signal` aborts. Rejects with what made it impossible to go on. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        if (!this.#sink.writable) await this.#sink.drained(signal);
        else if (this.#tryCutOver()) await this.#live(signal);
        else await this.#catchUp(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const page = await this.#feed.reads.read({ selector: this.selector, types: this.#types }, this.#cursor, signal);
    if (page.first > this.#cursor + 1) this.#skipTo(page.first - 1);
    for (const delivery of page.deliveries) {
      if (delivery.seq <= this.#cursor) continue;
      if (!this.#sink.writable) return;
      this.#hand(delivery);
    }
    this.#cursor = Math.max(this.#cursor, page.through);
  }

  /** The events between the cursor and `seq` are gone from the log. */
  #skipTo(seq: number): void {
    const { positions } = this.#feed.log;
    this.#sink.deliver(gapNotice(positions, 'expired', positions.at(this.#cursor), seq));
    this.#cursor = seq;
  }

  /** Hands over what is in memory and joins the hub, when the cursor has come that far. Never waits. */
  #tryCutOver(): boolean {
    const { tail, hub, log } = this.#feed;
    if (!tail.recent.covers(this.#cursor, tail.position)) return false;
    for (const delivery of tail.recent.after(this.#cursor)) {
      if (!this.#sink.writable) return false;
      if (delivery.family !== undefined && selects(this.selector, delivery.family, delivery.channel) && this.#wants(delivery)) {
        this.#hand(delivery);
      }
      this.#cursor = delivery.seq;
    }
    if (!this.#announced) {
      this.#announced = true;
      this.#sink.deliver(liveNotice(log.positions, this.#cursor, this.#replayed));
    }
    hub.add(this);
    return true;
  }

  #live(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const leave = () => {
        this.#leaveLive = undefined;
        this.#feed.hub.remove(this);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      this.#leaveLive = leave;
      signal.addEventListener('abort', leave);
    });
  }

  onEvent(delivery: Delivery): void {
    // The log may have been read further than the tail had come.
    if (delivery.seq <= this.#cursor || !this.#wants(delivery)) return;
    if (this.#sink.writable) this.#hand(delivery);
    else {
      this.#cursor = delivery.seq - 1;
      this.#leaveLive?.();
    }
  }

  onInterrupted(seq: number): void {
    this.#cursor = Math.max(this.#cursor, seq);
    this.#leaveLive?.();
  }

  #wants(delivery: Delivery): boolean {
    return this.#types === undefined || this.#types.has(delivery.type);
  }

  #hand(delivery: Delivery): void {
    this.#sink.deliver(delivery);
    this.#cursor = delivery.seq;
    if (!this.#announced) this.#replayed += 1;
  }
}
