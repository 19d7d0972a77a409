/**
 * One subscription, and what the components that share it see of it, from `start` to `close`.
 *
 * Events go to the members' `onEvent` as they come; what is shown of them changes only in `flush`, so that any number of
 * them costs one render.
 */
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import { type CourierError, courierErrorFrom } from '../errors.ts';
import type { CourierEvent, Gap } from '../events.ts';
import type { Subscription } from '../subscription.ts';
import type { Interest } from './interest.ts';
import { CONNECTING, type Condition, conditionOf, type Snapshot } from './state.ts';

/** A component that is mounted. */
export interface Member {
  readonly onChange: () => void;
  readonly onEvent: (event: CourierEvent) => void;
  readonly onGap: (gap: Gap) => void;
}

export class ChannelStore {
  readonly #client: AnyCourierClient;
  readonly #interest: Interest;
  /** Asks for `flush`. */
  readonly #changed: () => void;
  readonly #members = new Set<Member>();
  #unwatch: (() => void) | undefined;
  /** The one that has not failed. */
  #subscription: Subscription | undefined;
  /** Where the next one begins. */
  #lastEventId: string | undefined;
  #isLive = false;
  /** Why the last one failed, until one is live again. */
  #failure: CourierError | undefined;
  #isClosed = false;
  readonly #events: CourierEvent[] = [];
  /** Are the events others than those that are shown? */
  #hasNews = false;
  #latest: CourierEvent | undefined;
  #gap: Gap | undefined;
  #snapshot: Snapshot = CONNECTING;

  constructor(client: AnyCourierClient, interest: Interest, changed: () => void) {
    this.#client = client;
    this.#interest = interest;
    this.#lastEventId = interest.lastEventId;
    this.#changed = changed;
  }

  start(): void {
    this.#unwatch = this.#client.connection.subscribe((connection) => this.#follow(connection));
    this.#subscribe();
    // The client may have been refused before.
    this.#changed();
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get isDeserted(): boolean {
    return this.#members.size === 0;
  }

  add(member: Member): void {
    this.#members.add(member);
  }

  remove(member: Member): void {
    this.#members.delete(member);
  }

  clear(): void {
    this.#events.length = 0;
    this.#hasNews = true;
    this.#latest = undefined;
    this.#gap = undefined;
    this.flush();
  }

  /** Shows what has come. */
  flush(): void {
    const events = this.#hasNews ? [...this.#events] : this.#snapshot.events;
    this.#hasNews = false;
    this.#show({ ...this.#condition(), events, latest: this.#latest, gap: this.#gap });
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch?.();
    this.#subscription?.unsubscribe();
  }

  #subscribe(): void {
    const { channels, types, from } = this.#interest;
    try {
      const subscription = this.#client.subscribe(channels, (event) => this.#receive(event), {
        types: types as CourierEvent['type'][] | undefined,
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
    if (this.#events.length > this.#interest.history) this.#events.shift();
    this.#hasNews = true;
    this.#changed();
    this.#tell((member) => member.onEvent(event));
  }

  #miss(gap: Gap): void {
    if (this.#isClosed) return;
    this.#gap = gap;
    this.#changed();
    this.#tell((member) => member.onGap(gap));
  }

  #fail(error: CourierError): void {
    this.#failure = error;
    this.#lastEventId = this.#subscription?.lastEventId ?? this.#lastEventId;
    this.#subscription = undefined;
    this.#changed();
  }

  /** Where the rights of a token were in the way, each token that is accepted is worth a try. */
  #follow({ status }: ConnectionState): void {
    this.#changed();
    const mayPass = this.#failure?.code === 'FORBIDDEN' || this.#failure?.code === 'UNAUTHORIZED';
    if (status === 'connected' && mayPass && this.#subscription === undefined) this.#subscribe();
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
    for (const member of [...this.#members]) member.onChange();
  }

  /** A component that fails is no reason for the others not to be told, nor for the subscription to end. */
  #tell(call: (member: Member) => void): void {
    for (const member of [...this.#members]) {
      try {
        call(member);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
