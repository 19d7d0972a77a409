/**
 * The client's end of one subscription: receives events from a shared subscription, in order, and hands them out one at a time.
 *
 * Its queue is bounded. A consumer whose queue is full detaches from the shared subscription, and remembers the last event that
 * it has received. When half of the queue is empty, it attaches again and continues after that event. The log keeps the events
 * in between, so a slow consumer misses nothing.
 */
import { withoutCause } from './cause.ts';
import type { Cursor } from './cursor.ts';
import { CourierError } from './errors.ts';
import type { CourierEvent, Gap, Notice } from './events.ts';
import type { Filter } from './filter.ts';

/**
 * What to do when events are missing: continue with the next ones, fail with a CourierError (GAP), or call a function, wait for
 * it, and continue. The client never skips a gap silently.
 */
export type OnGap = 'continue' | 'fail' | ((gap: Gap) => unknown);

export type Received = CourierEvent | Notice;

export interface ConsumerOptions {
  readonly filter: Filter;
  /** The same as the caller wrote it, for errors. */
  readonly written: { readonly channels: string | readonly string[]; readonly types: readonly string[] | undefined };
  readonly onGap: OnGap;
  readonly lastEventId: string | undefined;
  readonly cursor: Cursor | undefined;
  readonly maxBufferedEvents: number;
  /** Attaches the consumer to a shared subscription; returns the function that detaches it. */
  readonly attach: (consumer: Consumer) => () => void;
}

export class Consumer {
  readonly filter: Filter;
  readonly written: ConsumerOptions['written'];
  /** The position up to which the consumer has received everything. */
  lastReceivedId: string | undefined;
  /** The position up to which the caller has handled everything. */
  lastEventId: string | undefined;
  readonly #options: ConsumerOptions;
  readonly #queue: Received[] = [];
  readonly #live = Promise.withResolvers<void>();
  #stop: (() => void) | undefined;
  #wake: (() => void) | undefined;
  /** The position of the event that the caller is handling. */
  #current: string | undefined;
  /** Each call of `next` waits for the call before. */
  #turn: Promise<unknown> = Promise.resolve();
  /** The error that ends the consumer once the queue is empty. */
  #failure: { readonly error: unknown } | undefined;
  #ended: { readonly error?: unknown } | undefined;
  readonly #onEnd = new Set<() => void>();

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.filter = options.filter;
    this.written = options.written;
    this.#live.promise.catch(() => undefined);
    void this.#start();
  }

  /** Resolves once the caller has taken every event stored before; rejects when the consumer ends first. */
  get live(): Promise<void> {
    return this.#live.promise;
  }

  /** Queues an event or a notice. */
  push(received: Received): void {
    if (this.#ended !== undefined || this.#failure !== undefined) return;
    this.lastReceivedId = received.id;
    this.#queue.push(received);
    if (this.#queue.length >= this.#options.maxBufferedEvents) this.#detach();
    this.#notify();
  }

  /** The next event; undefined at the end. @throws the error that ended the consumer. */
  next(): Promise<CourierEvent | undefined> {
    const turn = this.#turn.then(() => this.#next());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Ends without an error, and discards the queue. */
  end(): void {
    this.#finish({});
  }

  /** Ends with an error once the queue is empty. */
  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#ended !== undefined) return;
    this.#failure = { error };
    this.#detach();
    this.#notify();
  }

  /** Ends with an error at once. */
  abandon(error: unknown): void {
    this.#current = undefined;
    this.#finish({ error });
  }

  #finish(ended: { readonly error?: unknown }): void {
    if (this.#ended !== undefined) return;
    this.#ended = ended;
    this.#queue.length = 0;
    this.#detach();
    this.#live.reject(ended.error ?? new CourierError('CLOSED', 'the subscription has ended', { hint: 'subscribe again' }));
    this.#notify();
    for (const listener of this.#onEnd) listener();
    this.#onEnd.clear();
  }

  onEnd(listener: () => void): void {
    if (this.#ended === undefined) this.#onEnd.add(listener);
    else listener();
  }

  async #start(): Promise<void> {
    try {
      const { lastEventId, cursor } = this.#options;
      this.lastEventId = lastEventId ?? (await cursor?.load()) ?? undefined;
      this.lastReceivedId = this.lastEventId;
      this.#attach();
    } catch (error) {
      this.abandon(error);
    }
  }

  #attach(): void {
    if (this.#ended === undefined && this.#failure === undefined) this.#stop ??= this.#options.attach(this);
  }

  #detach(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  async #next(): Promise<CourierEvent | undefined> {
    if (this.#current !== undefined) await this.#handled(this.#current);
    this.#current = undefined;
    for (;;) {
      const received = await this.#take();
      if (received === undefined) {
        if (this.#ended !== undefined && 'error' in this.#ended) throw this.#ended.error;
        return undefined;
      }
      if (received.type === 'courier.live') this.#live.resolve();
      else if (received.type === 'courier.gap') await this.#gap(received.data);
      else {
        this.#current = received.id;
        return received;
      }
      // A subscription that a gap ended must report the gap again when it resumes.
      if (this.#ended === undefined) await this.#handled(received.id);
    }
  }

  async #take(): Promise<Received | undefined> {
    while (this.#queue.length === 0 && this.#ended === undefined) {
      if (this.#failure !== undefined) this.#finish(this.#failure);
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const received = this.#queue.shift();
    if (this.#stop === undefined && this.lastReceivedId !== undefined && this.#queue.length <= this.#options.maxBufferedEvents / 2) {
      this.#attach();
    }
    return received;
  }

  async #gap(gap: Gap): Promise<void> {
    const { onGap } = this.#options;
    if (onGap === 'fail') this.abandon(gapError(gap));
    else if (onGap !== 'continue') await this.#own(() => onGap(gap));
  }

  /** Saves the position, also of a consumer that has ended: nobody may receive a handled event again. */
  async #handled(position: string): Promise<void> {
    this.lastEventId = position;
    await this.#own(() => this.#options.cursor?.save(position));
  }

  /** Calls code of the user, for no event; its failure ends the consumer. */
  async #own(call: () => unknown): Promise<void> {
    try {
      await withoutCause(call);
    } catch (error) {
      this.abandon(error);
    }
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

export function gapError(gap: Gap): CourierError {
  const message = `events after ${gap.requested} are missing (${gap.reason}); what follows begins after ${gap.resumed_from}`;
  return new CourierError('GAP', message, { gap });
}
