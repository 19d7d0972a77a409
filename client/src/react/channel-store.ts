/**
 * One subscription, and the state that the components with equal options show of it, from `start` to `close`.
 *
 * The store calls `onEvent` of its subscribers with each event at once. It changes the snapshot only in `flush`, so that any
 * number of events costs one render.
 */
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import { type CourierError, courierErrorFrom } from '../errors.ts';
import type { CourierEvent, Gap } from '../events.ts';
import type { Filter } from '../filter.ts';
import { callForEvent, callUser } from '../observable.ts';
import type { Subscription } from '../subscription.ts';
import { CONNECTING, type Condition, conditionOf, mayPass, type Snapshot } from './state.ts';

/** What a store shows: the events that a filter selects, from a position on. */
export interface StoreOptions extends Filter {
  readonly lastEventId?: string | undefined;
  /** Events to keep, at most. */
  readonly history: number;
  /** Whether it starts with the latest event that is stored. */
  readonly startsWithLatest: boolean;
}

/** A mounted component. */
export interface Subscriber {
  readonly onChange: () => void;
  readonly onEvent: (event: CourierEvent) => void;
  readonly onGap: (gap: Gap) => void;
}

export class ChannelStore {
  readonly #client: AnyCourierClient;
  readonly #options: StoreOptions;
  /** Called when `flush` has something to show. */
  readonly #changed: () => void;
  readonly #subscribers = new Set<Subscriber>();
  #unwatch: (() => void) | undefined;
  /** The present subscription; undefined once it has failed. */
  #subscription: Subscription | undefined;
  /** Ends the present read of the latest event. */
  #reading: AbortController | undefined;
  /** The position that the next subscription starts after. */
  #lastEventId: string | undefined;
  #isLive = false;
  /** The error of the last subscription, until another one is live. */
  #failure: CourierError | undefined;
  #isClosed = false;
  readonly #events: CourierEvent[] = [];
  /** Whether the events differ from those of the snapshot. */
  #hasNews = false;
  #latest: CourierEvent | undefined;
  #gap: Gap | undefined;
  #snapshot: Snapshot = CONNECTING;

  constructor(client: AnyCourierClient, options: StoreOptions, changed: () => void) {
    this.#client = client;
    this.#options = options;
    this.#lastEventId = options.lastEventId;
    this.#changed = changed;
  }

  start(): void {
    this.#unwatch = this.#client.connection.subscribe((connection) => this.#follow(connection));
    this.#begin();
    // The gateway may have refused the client before.
    this.#changed();
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get hasSubscribers(): boolean {
    return this.#subscribers.size > 0;
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
  }

  remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  clear(): void {
    this.#events.length = 0;
    this.#hasNews = true;
    this.#latest = undefined;
    this.#gap = undefined;
    this.flush();
  }

  /** Shows the events and the state of now. */
  flush(): void {
    const events = this.#hasNews ? [...this.#events] : this.#snapshot.events;
    this.#hasNews = false;
    this.#show({ ...this.#condition(), events, latest: this.#latest, gap: this.#gap });
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch?.();
    this.#reading?.abort();
    this.#subscription?.unsubscribe();
  }

  #begin(): void {
    if (this.#options.startsWithLatest && this.#lastEventId === undefined) void this.#startWithLatest();
    else this.#subscribe(this.#options.from);
  }

  /** The subscription goes on behind the event that was read, so nothing is missed in between. Where there is none, it is from the first. */
  async #startWithLatest(): Promise<void> {
    const reading = new AbortController();
    this.#reading = reading;
    try {
      const latest = await this.#readLatest(reading.signal);
      if (this.#isClosed) return;
      this.#reading = undefined;
      this.#latest = latest ?? this.#latest;
      this.#lastEventId = latest?.id;
      this.#changed();
      this.#subscribe('earliest');
    } catch (error) {
      this.#reading = undefined;
      if (!this.#isClosed) this.#fail(courierErrorFrom(error));
    }
  }

  /** Waits for the gateway as a subscription does. */
  async #readLatest(signal: AbortSignal): Promise<CourierEvent | undefined> {
    const { channels, types } = this.#options;
    const timeoutMs = Number.POSITIVE_INFINITY;
    for (let before: string | undefined; ; ) {
      const page = await this.#client.history(channels, { types, order: 'newest', limit: 1, before, signal, timeoutMs });
      const [latest] = page.events as CourierEvent[];
      if (latest !== undefined || !page.has_more) return latest;
      before = page.next;
    }
  }

  #subscribe(from: 'now' | 'earliest'): void {
    const { channels, types } = this.#options;
    try {
      const subscription = this.#client.subscribe(channels, (event) => this.#receive(event as CourierEvent), {
        types,
        from,
        lastEventId: this.#lastEventId,
        whenRefused: 'wait',
        onGap: (gap) => this.#miss(gap),
        onError: (error) => this.#fail(courierErrorFrom(error)),
      });
      this.#subscription = subscription;
      subscription.live.then(
        () => {
          this.#isLive = true;
          this.#failure = undefined;
          this.#changed();
        },
        () => undefined,
      );
    } catch (error) {
      this.#fail(courierErrorFrom(error));
    }
  }

  #receive(event: CourierEvent): void {
    if (this.#isClosed) return;
    this.#latest = event;
    this.#events.push(event);
    if (this.#events.length > this.#options.history) this.#events.shift();
    this.#hasNews = true;
    this.#changed();
    // The subscription calls this for the event.
    for (const subscriber of [...this.#subscribers]) callForEvent(() => subscriber.onEvent(event));
  }

  #miss(gap: Gap): void {
    if (this.#isClosed) return;
    this.#gap = gap;
    this.#changed();
    for (const subscriber of [...this.#subscribers]) callUser(() => subscriber.onGap(gap));
  }

  #fail(error: CourierError): void {
    this.#failure = error;
    this.#lastEventId = this.#subscription?.lastEventId ?? this.#lastEventId;
    this.#subscription = undefined;
    this.#changed();
  }

  /**
   * Subscribes again once the gateway that was away is back, and with each token that the gateway accepts, when the rights of an
   * earlier token did not suffice.
   */
  #follow({ status }: ConnectionState): void {
    this.#changed();
    const isUnderWay = this.#subscription !== undefined || this.#reading !== undefined;
    if (status === 'connected' && mayPass(this.#failure) && !isUnderWay) this.#begin();
  }

  #condition(): Condition {
    if (this.#failure !== undefined) return { status: 'failed', error: this.#failure };
    const condition = conditionOf(this.#client.connection.get());
    return condition.status === 'live' && !this.#isLive ? CONNECTING : condition;
  }

  #show({ events, latest, status, gap, error }: Snapshot): void {
    const shown = this.#snapshot;
    const isSame =
      events === shown.events && latest === shown.latest && status === shown.status && gap === shown.gap && error === shown.error;
    if (isSame) return;
    this.#snapshot = { events, latest, status, gap, error };
    for (const subscriber of [...this.#subscribers]) subscriber.onChange();
  }
}
