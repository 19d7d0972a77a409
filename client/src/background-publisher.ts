/**
 * Publishes in the background, so that a slow or absent gateway never delays or breaks the service that publishes.
 *
 * The publisher publishes events in the order of `submit`, and repeats each until the gateway stores or refuses it. What waits
 * goes in batches, one after another, in which each event is stored or refused by itself. What may be repeated returns to the head of the
 * queue; UNAUTHORIZED refuses the client, and so the whole batch. While the limit of a channel is reached, batches pass over that
 * channel, so that others do not wait for it. In the same way they pass over a channel with a direct publish under way.
 * The order is that of each channel.
 *
 * A bounded number of events waits, of a bounded size together. When more come, the publisher drops events, counts them, and reports
 * each to `onError`. By default it drops the oldest, so that recent events get through.
 */
import { bytesOf, copyOf } from './arguments.ts';
import { BackgroundQueue, type QueueBounds, type Queued, type Submitted } from './background-queue.ts';
import { withItsOrigin } from './cause.ts';
import type { CourierClient } from './client.ts';
import type { Contract } from './contract.ts';
import { CourierError, invalidArgument, messageOf, possiblyStored } from './errors.ts';
import type { AnyContract, EventDraft } from './events.ts';
import { callUser } from './observable.ts';
import { assertOptions, BACKGROUND_CHECKS, CLOSE_CHECKS, METADATA_CHECKS } from './option-checks.ts';
import { type Held, type Publishing, publishingOf } from './publishing.ts';
import { askedDelayMs, inTime, randomKey, sleep } from './retry.ts';

const FLUSH_TIMEOUT_MS = 5000;
const BOUNDS = { maxQueued: 1000, maxQueuedBytes: 16 * 1024 * 1024, whenFull: 'drop-oldest' } as const;

export interface BackgroundPublisherOptions<C extends AnyContract = Contract> {
  /** Events that may wait; 1,000 by default. */
  readonly maxQueued?: number | undefined;
  /** Bytes of the JSON of events that may wait; 16 MiB by default. An event that is larger by itself is dropped. */
  readonly maxQueuedBytes?: number | undefined;
  /** Which events to drop when more would wait; the oldest by default. */
  readonly whenFull?: 'drop-oldest' | 'drop-newest' | undefined;
  /** Called with every event that was dropped (QUEUE_FULL, CLOSED) or refused (BAD_REQUEST, FORBIDDEN ...). Its own errors go to the console. */
  readonly onError?: ((error: CourierError, event: Submitted<C>) => void) | undefined;
}

export interface BackgroundPublisherCounts {
  /** Events that the gateway has stored. */
  readonly published: number;
  /** Events that were dropped, because too many waited or the publisher was closed. What was on its way then may have been stored. */
  readonly dropped: number;
  /** Events that are invalid, or that the gateway refused for good. */
  readonly refused: number;
  /** Events that wait, with those that are being published. */
  readonly pending: number;
}

/** @typeParam C the contract of the client. */
export class BackgroundPublisher<C extends AnyContract = Contract> implements AsyncDisposable {
  readonly #publishing: Publishing;
  readonly #options: BackgroundPublisherOptions<C>;
  readonly #bounds: QueueBounds;
  readonly #queue: BackgroundQueue<C>;
  /** Ends the wait for an event that may be published when it aborts. */
  #news = new AbortController();
  readonly #closed = new AbortController();
  #isClosing = false;
  /** What the last attempt failed with; undefined once an event is stored. */
  #failure: CourierError | undefined;
  #sending: Promise<void> | undefined;
  /** Attempts that failed since events were stored, except for the limits of channels. */
  #failures = 0;
  #submitted = 0;
  #published = 0;
  #dropped = 0;
  #refused = 0;

  /**
   * @param client publishes the events; the publisher does not close it. Give the events of a channel to one publisher.
   * @throws {CourierError} INVALID_ARGUMENT, naming what is wrong.
   */
  constructor(client: CourierClient<C>, options: BackgroundPublisherOptions<C> = {}) {
    assertOptions(options, BACKGROUND_CHECKS);
    this.#publishing = publishingOf(client);
    this.#options = options;
    const { maxQueued = BOUNDS.maxQueued, maxQueuedBytes = BOUNDS.maxQueuedBytes, whenFull = BOUNDS.whenFull } = options;
    this.#bounds = { maxQueued, maxQueuedBytes, whenFull };
    this.#queue = new BackgroundQueue(this.#bounds);
  }

  get counts(): BackgroundPublisherCounts {
    const [published, dropped, refused] = [this.#published, this.#dropped, this.#refused];
    return { published, dropped, refused, pending: this.#submitted - published - dropped - refused };
  }

  /** Queues a copy of an event. It never throws and never waits. */
  submit(event: Submitted<C>): void {
    this.#submitted += 1;
    if (this.#isClosing) {
      this.#drop(event, publisherClosed(undefined));
      return;
    }
    let queued: Queued<C>;
    try {
      queued = this.#queued(event);
    } catch (error) {
      this.#refuse(event, error instanceof CourierError ? error : invalidArgument('event', messageOf(error), error));
      return;
    }
    for (const lost of this.#queue.add(queued)) this.#dropQueued(lost, queueFull(this.#bounds));
    this.#news.abort();
    this.#sending ??= this.#send();
  }

  /**
   * Resolves once no event waits and none is being published, or after `timeoutMs` (5,000 by default), to whether that is so.
   *
   * @throws {CourierError} INVALID_ARGUMENT
   */
  async flush(options: { readonly timeoutMs?: number | undefined } = {}): Promise<boolean> {
    const timeoutMs = flushTimeout(options);
    if (this.#sending !== undefined) await inTime(this.#sending, timeoutMs, () => undefined).catch(() => undefined);
    return this.#sending === undefined;
  }

  /** Takes no more events, publishes those that wait, for up to `timeoutMs` as `flush`, and drops the rest. The client stays open. */
  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    const timeoutMs = flushTimeout(options);
    this.#isClosing = true;
    await this.flush({ timeoutMs });
    this.#closed.abort(publisherClosed(this.#failure));
    await this.#sending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #queued(given: Submitted<C>): Queued<C> {
    assertOptions(given.metadata ?? {}, METADATA_CHECKS);
    // The event happened now, and for what the caller does now, however late it is published.
    const copy = withItsOrigin(copyOf(given as EventDraft)) as Submitted<C>;
    const metadata = { ...copy.metadata, timestamp: new Date(copy.metadata?.timestamp ?? Date.now()) };
    const event = { ...copy, metadata, idempotency_key: copy.idempotency_key ?? randomKey() };
    const bytes = bytesOf(JSON.stringify(event));
    const { before, settle } = this.#publishing.hold(event.channel);
    const queued: Queued<C> = { event, bytes, isHeld: before !== undefined, mayBeStored: false, settle };
    before?.then(() => {
      queued.isHeld = false;
      this.#news.abort();
    });
    return queued;
  }

  async #send(): Promise<void> {
    // Events that are submitted together go together.
    await Promise.resolve();
    const { signal } = this.#closed;
    while (this.#queue.length > 0 && !signal.aborted) {
      const batch = this.#queue.takeBatch();
      if (batch.length > 0) await this.#publish(batch);
      else await this.#change();
    }
    for (const queued of this.#queue.clear()) this.#dropQueued(queued, publisherClosed(this.#failure));
    this.#sending = undefined;
  }

  /** Resolves once an event may be published that could not before: another one, one that was held, or one of a channel that has rested. */
  async #change(): Promise<void> {
    this.#news = new AbortController();
    await sleep(this.#queue.restMs, AbortSignal.any([this.#news.signal, this.#closed.signal])).catch(() => undefined);
  }

  /** Resolves once each event is stored, refused, returned to the queue or, when the publisher or its client is closed, dropped. */
  async #publish(batch: readonly Queued<C>[]): Promise<void> {
    const { signal } = this.#closed;
    const errors = await this.#publishing.held(batch as readonly { readonly mayBeStored: boolean }[] as readonly Held[], signal);
    const again: Queued<C>[] = [];
    let failure: CourierError | undefined;
    for (const [index, queued] of batch.entries()) {
      const error = errors[index];
      if (error === undefined) this.#store(queued);
      else if (error.code === 'CLOSED') this.#dropQueued(queued, signal.aborted ? error : clientFirst(error));
      else if (error.retryable) {
        queued.mayBeStored = error.mayBeStored;
        this.#failure = error;
        again.push(queued);
        const { channel } = queued.event;
        if (error.channel === channel) this.#queue.rest(channel, askedDelayMs(error));
        else failure = error;
      } else this.#refuseQueued(queued, error);
    }
    this.#queue.giveBack(again);
    if (failure === undefined) return;
    await sleep(this.#publishing.delayMs(failure, this.#failures), signal).catch(() => undefined);
    this.#failures += 1;
  }

  #store({ settle }: Queued<C>): void {
    this.#failures = 0;
    this.#failure = undefined;
    this.#published += 1;
    settle();
  }

  #refuseQueued({ event, settle }: Queued<C>, error: CourierError): void {
    settle();
    this.#refuse(event, error);
  }

  /** Drops an event that waited or was on its way. */
  #dropQueued({ event, mayBeStored, settle }: Queued<C>, error: CourierError): void {
    settle();
    this.#drop(event, mayBeStored && !error.mayBeStored ? possiblyStored(error) : error);
  }

  #drop(event: Submitted<C>, error: CourierError): void {
    this.#dropped += 1;
    this.#tell(error, event);
  }

  #refuse(event: Submitted<C>, error: CourierError): void {
    this.#refused += 1;
    this.#tell(error, event);
  }

  #tell(error: CourierError, event: Submitted<C>): void {
    callUser(() => this.#options.onError?.(error, event));
  }
}

function flushTimeout(options: { readonly timeoutMs?: number | undefined }): number {
  assertOptions(options, CLOSE_CHECKS);
  return options.timeoutMs ?? FLUSH_TIMEOUT_MS;
}

function queueFull({ maxQueued, maxQueuedBytes }: QueueBounds): CourierError {
  return new CourierError('QUEUE_FULL', `at most ${maxQueued} events, and ${maxQueuedBytes} bytes of them, may wait to be published`);
}

/** @param cause what the last attempt failed with. */
function publisherClosed(cause: CourierError | undefined): CourierError {
  if (cause === undefined) return new CourierError('CLOSED', 'the publisher was closed', { hint: 'make another publisher' });
  const hint = 'see to that, or give `close` more `timeoutMs`';
  return new CourierError('CLOSED', `the publisher was closed; its last attempt failed: ${cause.message}`, { cause, hint });
}

/** The error of an event whose publisher was left without its client. */
function clientFirst(error: CourierError): CourierError {
  return error.with({ hint: 'close the publisher before its client' });
}
