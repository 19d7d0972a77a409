/**
 * Publishes in the background, so that a gateway that is slow or away never holds up or breaks the service that publishes.
 *
 * Events are published one after another, in the order in which they were submitted, each again and again until the gateway
 * has it or refuses it. At most `maxQueued` wait. Beyond that events are lost, which is counted and told: the oldest by
 * default, so that what gets through is what is news.
 */
import type { AnyCourierClient } from './client.ts';
import { CourierError } from './errors.ts';
import type { EventDraft } from './events.ts';
import { randomKey } from './idempotency.ts';
import { sleep } from './retry.ts';

/** Before an event is tried again that a publish has given up. */
const MIN_PAUSE_MS = 1000;

export interface BackgroundPublisherOptions {
  /** Events that wait, at most; 1,000 by default. */
  readonly maxQueued?: number;
  /** Which events are lost when more would wait; the oldest by default. */
  readonly whenFull?: 'drop-oldest' | 'drop-newest';
  /** Told of every event that was lost (QUEUE_FULL, CLOSED) or refused (BAD_REQUEST, FORBIDDEN ...). What it throws is ignored. */
  readonly onError?: (error: CourierError, event: EventDraft) => void;
}

export interface BackgroundPublisherCounts {
  readonly published: number;
  readonly dropped: number;
  readonly refused: number;
  readonly queued: number;
}

export class BackgroundPublisher implements AsyncDisposable {
  readonly #client: AnyCourierClient;
  readonly #options: BackgroundPublisherOptions;
  readonly #queue: EventDraft[] = [];
  readonly #closed = new AbortController();
  #sending: Promise<void> | undefined;
  #published = 0;
  #dropped = 0;
  #refused = 0;

  constructor(client: AnyCourierClient, options: BackgroundPublisherOptions = {}) {
    this.#client = client;
    this.#options = options;
  }

  get counts(): BackgroundPublisherCounts {
    return { published: this.#published, dropped: this.#dropped, refused: this.#refused, queued: this.#queue.length };
  }

  /** Takes an event to publish. It never throws and never waits. */
  submit(event: EventDraft): void {
    const { maxQueued = 1000, whenFull = 'drop-oldest' } = this.#options;
    if (this.#closed.signal.aborted) {
      this.#drop(event, 'CLOSED', 'the publisher was closed');
      return;
    }
    // What happened when it was submitted happened then, however late it is published.
    const metadata = { timestamp: new Date(), ...event.metadata };
    this.#queue.push({ ...event, metadata, idempotency_key: event.idempotency_key ?? randomKey() });
    if (this.#queue.length > maxQueued) {
      const lost = whenFull === 'drop-oldest' ? this.#queue.shift() : this.#queue.pop();
      this.#drop(lost as EventDraft, 'QUEUE_FULL', `${maxQueued} events wait to be published`);
    }
    this.#sending ??= this.#send();
  }

  /** Resolves once nothing waits, or after `timeoutMs`; to whether nothing waits. */
  async flush({ timeoutMs = 5000 }: { timeoutMs?: number } = {}): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#sending, timeUp]);
    clearTimeout(timer);
    return this.#sending === undefined;
  }

  /** Publishes what waits, for so long, and drops the rest. The client stays open. */
  async close({ timeoutMs = 5000 }: { timeoutMs?: number } = {}): Promise<void> {
    await this.flush({ timeoutMs });
    this.#closed.abort();
    for (const event of this.#queue.splice(0)) this.#drop(event, 'CLOSED', 'the publisher was closed');
    await this.#sending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #send(): Promise<void> {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) await this.#publish(event);
    this.#sending = undefined;
  }

  /** For as long as it takes: a single publish is given up earlier. */
  async #publish(event: EventDraft): Promise<void> {
    const { signal } = this.#closed;
    for (;;) {
      try {
        await this.#client.publishBatch([event], { signal });
        this.#published += 1;
        return;
      } catch (thrown) {
        const error = thrown instanceof CourierError ? thrown : new CourierError('CLOSED', 'the publisher was closed');
        if (!error.retryable && error.code !== 'TIMEOUT' && error.code !== 'QUEUE_FULL') {
          this.#fail(event, error);
          return;
        }
        await sleep(Math.max(MIN_PAUSE_MS, error.retryAfterMs ?? 0), signal).catch(() => undefined);
      }
    }
  }

  #fail(event: EventDraft, error: CourierError): void {
    if (error.code === 'CLOSED') this.#dropped += 1;
    else this.#refused += 1;
    this.#tell(error, event);
  }

  #drop(event: EventDraft, code: 'QUEUE_FULL' | 'CLOSED', message: string): void {
    this.#dropped += 1;
    this.#tell(new CourierError(code, message), event);
  }

  #tell(error: CourierError, event: EventDraft): void {
    try {
      this.#options.onError?.(error, event);
    } catch {
      // The service goes on, whatever becomes of its events.
    }
  }
}
