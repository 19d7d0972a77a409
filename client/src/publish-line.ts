/**
 * The line in which the publishes of one client go to the gateway, one call at a time.
 *
 * A publish goes at once when none is on its way. Those that are made in one microtask, and those that are made while one is on its way, go
 * together, each with its own outcome. A batch is a call of its own, beside which others go.
 *
 * Order: what was made first goes first. What has failed and will come again holds back the later publishes of its channels, so that
 * these are stored in the order in which they were made. A batch comes after the publishes that were made before it; a publish does
 * not wait for the answer to a batch.
 *
 * Those that wait are as many as their callers may have under way. A caller that gives up one that waits takes it out of the line; one that
 * is on its way is no longer waited for, and when all of a call's are given up, the next call goes.
 */
import type { TRPCClient } from '@trpc/client';
import { MAX_CALL_BYTES, MAX_CALL_EVENTS } from './arguments.ts';
import type { Connection } from './connection.ts';
import { CourierError, clientClosed, courierErrorFrom, refusalError } from './errors.ts';
import type { EventDraft, PublishOutcome, Receipt } from './events.ts';
import { plain } from './links.ts';
import { isObjects } from './option-checks.ts';
import type { Ending } from './retry.ts';
import type { AppRouter } from './router.ts';

/** A publish in the order of all, from its first attempt until it is over. */
export interface Place {
  readonly number: number;
  readonly channels: readonly string[];
}

/** What is sent in one attempt. */
export interface Sendable {
  readonly place: Place;
  readonly drafts: readonly EventDraft[];
  /** Of the drafts as JSON. */
  readonly bytes: number;
  readonly isBatch: boolean;
}

/** One attempt. */
export interface Attempt {
  readonly receipts: Promise<Receipt[]>;
  /** Whether it may have been sent. */
  readonly isSent: () => boolean;
}

interface Item extends Sendable {
  readonly answer: PromiseWithResolvers<Receipt[]>;
  /** Undefined while it waits. */
  call: Call | undefined;
  /** Whether it has its answer, or was given up. */
  isOver: boolean;
}

interface Call {
  readonly items: readonly Item[];
  readonly wasSent: () => boolean;
  /** Aborts when nobody waits for its answer any more. */
  readonly abandoned: AbortController;
  /** Of the items, those that are not over. */
  left: number;
}

/** Has events published, each by itself. A single one goes as what it is; its refusal is thrown. */
export async function publishEach(
  { events }: TRPCClient<AppRouter>,
  drafts: readonly EventDraft[],
  signal: AbortSignal,
): Promise<readonly PublishOutcome[]> {
  const [only] = drafts;
  const outcomes: unknown =
    only !== undefined && drafts.length === 1
      ? [await events.publish.mutate(plain(only), { signal })]
      : await events.publishEach.mutate(plain([...drafts]), { signal });
  const isWhole = Array.isArray(outcomes) && outcomes.length === drafts.length && isObjects(outcomes) === undefined;
  if (isWhole) return outcomes;
  throw new CourierError('INTERNAL_SERVER_ERROR', 'the gateway has not said what came of each event');
}

export interface PublishLineOptions {
  readonly trpc: TRPCClient<AppRouter>;
  readonly connection: Pick<Connection, 'watch'>;
}

export class PublishLine {
  readonly #options: PublishLineOptions;
  #places = 0;
  /** In the order of their places. */
  #waiting: Item[] = [];
  /** The call on its way, but for batches. */
  #onWay: Call | undefined;
  /** By channel: those that will come, or come again. */
  readonly #held = new Map<string, Set<Place>>();
  #isDue = false;

  constructor(options: PublishLineOptions) {
    this.#options = options;
  }

  enter(channels: readonly string[]): Place {
    this.#places += 1;
    return { number: this.#places, channels };
  }

  /** Keeps later publishes of its channels back until it is sent or leaves. */
  hold(place: Place): void {
    for (const channel of place.channels) {
      const held = this.#held.get(channel);
      if (held === undefined) this.#held.set(channel, new Set([place]));
      else held.add(place);
    }
  }

  /** It is over, and holds nobody back any more. */
  leave(place: Place): void {
    if (this.#held.size === 0) return;
    for (const channel of place.channels) {
      const held = this.#held.get(channel);
      if (held?.delete(place) && held.size === 0) this.#held.delete(channel);
    }
    this.#goSoon();
  }

  send(sendable: Sendable, ending: Ending): Attempt {
    this.leave(sendable.place);
    const item: Item = { ...sendable, answer: Promise.withResolvers(), call: undefined, isOver: false };
    const at = this.#indexOf(item.place);
    if (at === this.#waiting.length) this.#waiting.push(item);
    else this.#waiting.splice(at, 0, item);
    ending.onEnd(() => this.#giveUp(item));
    this.#goSoon();
    return { receipts: item.answer.promise, isSent: () => item.call?.wasSent() === true };
  }

  /** Those that wait are never sent. */
  close(): void {
    for (const item of this.#waiting.splice(0)) this.#fail(item, clientClosed());
  }

  /** Where a place is among those that wait, or would be. */
  #indexOf({ number }: Place): number {
    let [from, to] = [0, this.#waiting.length];
    if (to === 0 || (this.#waiting[to - 1] as Item).place.number < number) return to;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#waiting[middle] as Item).place.number < number) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** What is published in one microtask, as by a loop or by those whose answers came together, goes together. */
  #goSoon(): void {
    if (this.#isDue || this.#waiting.length === 0) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#go();
    });
  }

  #go(): void {
    const together: Item[] = [];
    // The brackets around the events, and a comma behind each.
    let bytes = 2;
    const stay: Item[] = [];
    const passedOver = new Set<string>();
    let index = 0;
    for (const item of this.#waiting) {
      const { channels } = item.place;
      if (this.#isHeld(item.place) || channels.some((channel) => passedOver.has(channel))) {
        for (const channel of channels) passedOver.add(channel);
        stay.push(item);
      } else if (item.isBatch) {
        if (together.length > 0 || this.#onWay !== undefined) break;
        this.#call([item]);
      } else {
        bytes += item.bytes + 1;
        const fits = together.length < MAX_CALL_EVENTS && bytes <= MAX_CALL_BYTES;
        if (this.#onWay !== undefined || (together.length > 0 && !fits)) break;
        together.push(item);
      }
      index += 1;
    }
    if (index > stay.length) this.#waiting = stay.concat(this.#waiting.slice(index));
    if (together.length === 0) return;
    this.#onWay = this.#call(together);
    // A batch may be next.
    this.#goSoon();
  }

  #isHeld({ number, channels }: Place): boolean {
    if (this.#held.size === 0) return false;
    return channels.some((channel) => {
      for (const held of this.#held.get(channel) ?? []) if (held.number < number) return true;
      return false;
    });
  }

  #call(items: readonly Item[]): Call {
    const call: Call = { items, wasSent: this.#options.connection.watch(), abandoned: new AbortController(), left: items.length };
    for (const item of items) item.call = call;
    void this.#answer(call);
    return call;
  }

  async #answer(call: Call): Promise<void> {
    try {
      const outcomes = await this.#ask(call);
      for (const [index, item] of call.items.entries()) {
        const outcome = outcomes[index] as PublishOutcome | Receipt[];
        if (!('error' in outcome)) this.#settle(item, Array.isArray(outcome) ? outcome : [outcome]);
        else this.#fail(item, refusalError(outcome.error));
      }
    } catch (thrown) {
      const error = courierErrorFrom(thrown);
      for (const item of call.items) this.#fail(item, error);
    }
    this.#free(call);
  }

  /** What came of each item. */
  async #ask({ items, abandoned: { signal } }: Call): Promise<readonly (PublishOutcome | Receipt[])[]> {
    const { trpc } = this.#options;
    const [first] = items as [Item];
    if (first.isBatch) return [await trpc.events.publishBatch.mutate(plain([...first.drafts]), { signal })];
    return publishEach(
      trpc,
      items.map((item) => item.drafts[0] as EventDraft),
      signal,
    );
  }

  #settle(item: Item, receipts: Receipt[]): void {
    item.isOver = true;
    item.answer.resolve(receipts);
  }

  #fail(item: Item, error: CourierError): void {
    if (item.isOver) return;
    item.isOver = true;
    // Before anything else goes: its caller repeats it, or leaves.
    if (error.retryable) this.hold(item.place);
    item.answer.reject(error);
  }

  #giveUp(item: Item): void {
    if (item.isOver) return;
    item.isOver = true;
    const { call } = item;
    if (call === undefined) {
      this.#waiting.splice(this.#indexOf(item.place), 1);
      this.#goSoon();
      return;
    }
    call.left -= 1;
    if (call.left > 0) return;
    call.abandoned.abort();
    this.#free(call);
  }

  #free(call: Call): void {
    if (this.#onWay === call) this.#onWay = undefined;
    this.#goSoon();
  }
}
