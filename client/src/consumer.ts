/**
 * One subscriber within the client: takes what its subscription on the wire gives it, in order, and hands it out one at
 * a time, as fast as it is taken.
 *
 * What it holds is bounded. When it is full it leaves the wire, remembering the last event that it holds; when half of it
 * is taken it comes back and goes on after that one. The log keeps what comes meanwhile, so a slow consumer misses nothing.
 */
import type { Cursor } from './cursor.ts';
import { CourierError } from './errors.ts';
import type { CourierEvent, Gap, Notice } from './events.ts';

/**
 * What to do when events are missing, which is never kept silent: go on with the next ones, end with a CourierError
 * (GAP), or call a function that is waited for, and go on.
 */
export type OnGap = 'continue' | 'fail' | ((gap: Gap) => unknown);

export type Received = CourierEvent | Notice;

export interface Interest {
  readonly channels: readonly string[];
  readonly types: readonly string[] | undefined;
  readonly from: 'now' | 'earliest';
}

export interface ConsumerOptions extends Interest {
  readonly onGap: OnGap;
  readonly lastEventId: string | undefined;
  readonly cursor: Cursor | undefined;
  readonly maxBufferedEvents: number;
  /** Joins a subscription on the wire; returns the function that leaves it. */
  readonly attach: (consumer: Consumer) => () => void;
}

export class Consumer {
  readonly interest: Interest;
  /** Everything up to here was taken from the wire. */
  lastReceivedId: string | undefined;
  /** Everything up to here was handled. */
  lastEventId: string | undefined;
  readonly #options: ConsumerOptions;
  readonly #queue: Received[] = [];
  readonly #live = Promise.withResolvers<void>();
  #leave: (() => void) | undefined;
  #wake: (() => void) | undefined;
  /** Given out and not handled yet. */
  #current: string | undefined;
  /** Each call of next waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What it is to end with when the queue is empty. */
  #failure: { readonly error: unknown } | undefined;
  #ended: { readonly error?: unknown } | undefined;
  readonly #onEnd = new Set<() => void>();

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.interest = { channels: options.channels, types: options.types, from: options.from };
    this.#live.promise.catch(() => undefined);
    void this.#start();
  }

  /** Resolves once everything that was stored before has been taken; rejects when it ends before. */
  get live(): Promise<void> {
    return this.#live.promise;
  }

  /** Takes one item from the wire. */
  push(item: Received): void {
    if (this.#ended !== undefined || this.#failure !== undefined) return;
    this.lastReceivedId = item.id;
    this.#queue.push(item);
    if (this.#queue.length >= this.#options.maxBufferedEvents) this.#detach();
    this.#notify();
  }

  /** The next event; undefined at the end. @throws what it was ended with. */
  next(): Promise<CourierEvent | undefined> {
    const turn = this.#turn.then(() => this.#next());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Ends it in peace: what is queued is not given any more. */
  end(): void {
    this.#finish({});
  }

  /** Ends it with an error, once what is queued was given. */
  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#ended !== undefined) return;
    this.#failure = { error };
    this.#detach();
    this.#notify();
  }

  /** Ends it with an error at once. */
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
    if (this.#ended === undefined && this.#failure === undefined) this.#leave ??= this.#options.attach(this);
  }

  #detach(): void {
    this.#leave?.();
    this.#leave = undefined;
  }

  async #next(): Promise<CourierEvent | undefined> {
    if (this.#current !== undefined) await this.#handled(this.#current);
    this.#current = undefined;
    for (;;) {
      const item = await this.#take();
      if (item === undefined) {
        if (this.#ended !== undefined && 'error' in this.#ended) throw this.#ended.error;
        return undefined;
      }
      if (item.type === 'courier.live') this.#live.resolve();
      else if (item.type === 'courier.gap') await this.#gap(item.data);
      else {
        this.#current = item.id;
        return item;
      }
      // A gap that ended it is to be told again.
      if (this.#ended === undefined) await this.#handled(item.id);
    }
  }

  async #take(): Promise<Received | undefined> {
    while (this.#queue.length === 0 && this.#ended === undefined) {
      if (this.#failure !== undefined) this.#finish(this.#failure);
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const item = this.#queue.shift();
    if (this.#leave === undefined && this.lastReceivedId !== undefined && this.#queue.length <= this.#options.maxBufferedEvents / 2) {
      this.#attach();
    }
    return item;
  }

  async #gap(gap: Gap): Promise<void> {
    const { onGap } = this.#options;
    if (onGap === 'fail') {
      const message = `events after ${gap.requested} are missing (${gap.reason}); what follows begins after ${gap.resumed_from}`;
      this.abandon(new CourierError('GAP', message, { gap }));
    } else if (onGap !== 'continue') await this.#own(() => onGap(gap));
  }

  /** Also when it was ended meanwhile: what was handled must not be given again. */
  async #handled(position: string): Promise<void> {
    this.lastEventId = position;
    await this.#own(() => this.#options.cursor?.save(position));
  }

  /** Code of the user that fails ends the subscription. */
  async #own(call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.abandon(error);
    }
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
