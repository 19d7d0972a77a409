/**
 * Publishes in the background, so that a slow or absent gateway never delays or breaks the service that publishes.
 *
 * The publisher publishes events one after another, in the order of `submit`, and repeats each until the gateway stores or
 * refuses it. At most `maxQueued` events wait. When more come, the publisher drops events, counts them, and reports each to
 * `onError`. By default it drops the oldest, so that recent events get through.
 */
import type { CourierClient } from './client.ts';
import type { Contract } from './contract.ts';
import { CourierError } from './errors.ts';
import type { AnyContract, EventDraft, TypeIn } from './events.ts';
import { inTime, randomKey, sleep } from './retry.ts';

/** The shortest pause before the publisher repeats a publish that failed. */
const MIN_PAUSE_MS = 1000;

/** What the publisher queues. */
type Queued<C extends AnyContract> = EventDraft<TypeIn<C>, C>;

export interface BackgroundPublisherOptions<C extends AnyContract = Contract> {
  /** Events that may wait; 1,000 by default. */
  readonly maxQueued?: number;
  /** Which events to drop when more would wait; the oldest by default. */
  readonly whenFull?: 'drop-oldest' | 'drop-newest';
  /** Called with every event that was dropped (QUEUE_FULL, CLOSED) or refused (BAD_REQUEST, FORBIDDEN ...). Its errors are ignored. */
  readonly onError?: (error: CourierError, event: Queued<C>) => void;
}

export interface BackgroundPublisherCounts {
  readonly published: number;
  readonly dropped: number;
  readonly refused: number;
  readonly queued: number;
}

/** @typeParam C the contract of the client. */
export class BackgroundPublisher<C extends AnyContract = Contract> implements AsyncDisposable {
  readonly #client: CourierClient<C>;
  readonly #options: BackgroundPublisherOptions<C>;
  readonly #queue: Queued<C>[] = [];
  readonly #closed = new AbortController();
  #sending: Promise<void> | undefined;
  #published = 0;
  #dropped = 0;
  #refused = 0;

  constructor(client: CourierClient<C>, options: BackgroundPublisherOptions<C> = {}) {
    this.#client = client;
    this.#options = options;
  }

  get counts(): BackgroundPublisherCounts {
    return { published: this.#published, dropped: this.#dropped, refused: this.#refused, queued: this.#queue.length };
  }

  /** Queues an event. It never throws and never waits. */
  submit(event: Queued<C>): void {
    const { maxQueued = 1000, whenFull = 'drop-oldest' } = this.#options;
    if (this.#closed.signal.aborted) {
      this.#drop(event, publisherClosed());
      return;
    }
    // The event happened now, however late it is published.
    const metadata = { timestamp: new Date(), ...event.metadata };
    this.#queue.push({ ...event, metadata, idempotency_key: event.idempotency_key ?? randomKey() });
    if (this.#queue.length > maxQueued) {
      const lost = whenFull === 'drop-oldest' ? this.#queue.shift() : this.#queue.pop();
      this.#drop(lost as Queued<C>, new CourierError('QUEUE_FULL', `${maxQueued} events wait to be published`));
    }
    this.#sending ??= this.#send();
  }

  /** Resolves once no event waits, or after `timeoutMs`, to whether no event waits. */
  async flush({ timeoutMs = 5000 }: { timeoutMs?: number } = {}): Promise<boolean> {
    if (this.#sending !== undefined) await inTime(this.#sending, timeoutMs, () => undefined).catch(() => undefined);
    return this.#sending === undefined;
  }

  /** Publishes the events that wait, for up to `timeoutMs`, and drops the rest. The client stays open. */
  async close({ timeoutMs = 5000 }: { timeoutMs?: number } = {}): Promise<void> {
    await this.flush({ timeoutMs });
    this.#closed.abort();
    for (const event of this.#queue.splice(0)) this.#drop(event, publisherClosed());
    await this.#sending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #send(): Promise<void> {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) await this.#publish(event);
    this.#sending = undefined;
  }

  /** Publishes an event, for as long as it takes: a publish of the client gives up earlier. */
  async #publish(event: Queued<C>): Promise<void> {
    const { signal } = this.#closed;
    for (;;) {
      try {
        await this.#client.publishBatch([event], { signal });
        this.#published += 1;
        return;
      } catch (thrown) {
        const error = thrown instanceof CourierError ? thrown : publisherClosed();
        if (!error.retryable && error.code !== 'TIMEOUT' && error.code !== 'QUEUE_FULL') {
          this.#fail(event, error);
          return;
        }
        await sleep(Math.max(MIN_PAUSE_MS, error.retryAfterMs ?? 0), signal).catch(() => undefined);
      }
    }
  }

  #fail(event: Queued<C>, error: CourierError): void {
    if (error.code === 'CLOSED') this.#dropped += 1;
    else this.#refused += 1;
    this.#tell(error, event);
  }

  #drop(event: Queued<C>, error: CourierError): void {
    this.#dropped += 1;
    this.#tell(error, event);
  }

  #tell(error: CourierError, event: Queued<C>): void {
    try {
      this.#options.onError?.(error, event);
    } catch {
      // The service must not fail for its events.
    }
  }
}

function publisherClosed(): CourierError {
  return new CourierError('CLOSED', 'the publisher was closed');
}
