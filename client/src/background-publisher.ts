/**
 * Publishes in the background, so that a slow or absent gateway never delays or breaks the service that publishes.
 *
 * The publisher publishes events in the order of `submit`, and repeats each until the gateway stores or refuses it. What waits
 * goes in batches, one after another; a batch that is refused goes again in halves, so that a refused event does not take others
 * with it; UNAUTHORIZED refuses the client, and so the whole batch. At most `maxQueued` events wait, besides the batch that is being
 * published. When more come, the publisher drops events, counts them, and reports each to `onError`. By default it drops the oldest,
 * so that recent events get through.
 */
import { bytesOf, jsonOf, MAX_CALL_BYTES } from './arguments.ts';
import type { CourierClient } from './client.ts';
import type { Contract } from './contract.ts';
import { CourierError, courierErrorFrom, invalidArgument, messageOf } from './errors.ts';
import type { AnyContract, EventDraft, TypeIn } from './events.ts';
import { assertOptions, BACKGROUND_CHECKS, CLOSE_CHECKS, METADATA_CHECKS } from './option-checks.ts';
import { type Publishing, publishingOf } from './publishing.ts';
import { inTime, orAborted, randomKey, sleep } from './retry.ts';

/** The shortest pause before the publisher repeats a publish that failed. */
const MIN_PAUSE_MS = 1000;
/** Events of a batch, at most: the gateway takes no more. */
const MAX_BATCH = 500;
const FLUSH_TIMEOUT_MS = 5000;

/** What a caller submits. */
type Submitted<C extends AnyContract> = EventDraft<TypeIn<C>, C>;

/** An event that waits. */
interface Queued<C extends AnyContract> {
  /** What `submit` was given, as it was then. */
  readonly event: Submitted<C>;
  /** Its size in a message. */
  readonly bytes: number;
  /** What was published directly before, while it is under way. */
  before: Promise<unknown> | undefined;
  /** Tells that it is stored, refused or dropped. */
  readonly settle: () => void;
}

export interface BackgroundPublisherOptions<C extends AnyContract = Contract> {
  /** Events that may wait; 1,000 by default. */
  readonly maxQueued?: number | undefined;
  /** Which events to drop when more would wait; the oldest by default. */
  readonly whenFull?: 'drop-oldest' | 'drop-newest' | undefined;
  /** Called with every event that was dropped (QUEUE_FULL, CLOSED) or refused (BAD_REQUEST, FORBIDDEN ...). Its errors are ignored. */
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
  readonly #queue: Queued<C>[] = [];
  readonly #closed = new AbortController();
  #isClosing = false;
  #sending: Promise<void> | undefined;
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
  }

  get counts(): BackgroundPublisherCounts {
    const [published, dropped, refused] = [this.#published, this.#dropped, this.#refused];
    return { published, dropped, refused, pending: this.#submitted - published - dropped - refused };
  }

  /** Queues a copy of an event. It never throws and never waits. */
  submit(event: Submitted<C>): void {
    this.#submitted += 1;
    if (this.#isClosing) {
      this.#drop(event, publisherClosed());
      return;
    }
    try {
      this.#queue.push(this.#queued(event));
    } catch (error) {
      this.#refuse(event, error instanceof CourierError ? error : invalidArgument('event', messageOf(error), error));
      return;
    }
    const { maxQueued = 1000, whenFull = 'drop-oldest' } = this.#options;
    if (this.#queue.length > maxQueued) {
      const lost = (whenFull === 'drop-oldest' ? this.#queue.shift() : this.#queue.pop()) as Queued<C>;
      lost.settle();
      this.#drop(lost.event, new CourierError('QUEUE_FULL', `${maxQueued} events wait to be published`));
    }
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
    this.#closed.abort(publisherClosed());
    await this.#sending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #queued(given: Submitted<C>): Queued<C> {
    const { promise, resolve: settle } = Promise.withResolvers<void>();
    assertOptions(given.metadata ?? {}, METADATA_CHECKS);
    const json = jsonOf(given.data);
    // The event happened now, however late it is published.
    const metadata = { ...given.metadata, timestamp: new Date(given.metadata?.timestamp ?? Date.now()) };
    const event = { ...given, data: JSON.parse(json), metadata, idempotency_key: given.idempotency_key ?? randomKey() };
    const bytes = bytesOf(JSON.stringify(event));
    const before = this.#publishing.hold(event.channel, promise);
    const queued: Queued<C> = { event, bytes, before, settle };
    before?.then(() => (queued.before = undefined));
    return queued;
  }

  async #send(): Promise<void> {
    // Events that are submitted together go together.
    await Promise.resolve();
    const { signal } = this.#closed;
    while (this.#queue.length > 0 && !signal.aborted) {
      const batch = this.#nextBatch();
      if (batch.length > 0) await this.#publish(batch);
      else await orAborted(this.#queue[0]?.before as Promise<unknown>, signal).catch(() => undefined);
    }
    for (const queued of this.#queue.splice(0)) this.#dropUnstored(queued, publisherClosed());
    this.#sending = undefined;
  }

  /** Takes the first events that wait for nothing and fit one message. */
  #nextBatch(): Queued<C>[] {
    let bytes = 0;
    let count = 0;
    for (const queued of this.#queue.slice(0, MAX_BATCH)) {
      // The brackets around the events, and a comma behind each.
      bytes += queued.bytes + 1;
      if (queued.before !== undefined || (count > 0 && bytes + 2 > MAX_CALL_BYTES)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Resolves once each event is stored, refused or, when the publisher or its client is closed, dropped. */
  async #publish(batch: readonly Queued<C>[], mayBeStored = false): Promise<void> {
    const error = await this.#stored(batch, mayBeStored);
    if (error === undefined) {
      this.#published += batch.length;
      for (const { settle } of batch) settle();
    } else if (error.code === 'CLOSED') for (const queued of batch) this.#dropUnstored(queued, error);
    else if (batch.length > 1 && error.code !== 'UNAUTHORIZED') {
      const half = Math.ceil(batch.length / 2);
      await this.#publish(batch.slice(0, half), error.mayBeStored);
      await this.#publish(batch.slice(half), error.mayBeStored);
    } else {
      for (const { event, settle } of batch) {
        settle();
        this.#refuse(event, error);
      }
    }
  }

  /** Publishes events for as long as it takes: a publish of the client gives up earlier. Returns why they will not be stored. */
  async #stored(batch: readonly Queued<C>[], mayBeAlready: boolean): Promise<CourierError | undefined> {
    const { signal } = this.#closed;
    const drafts = batch.map(({ event }) => event) as readonly unknown[] as readonly EventDraft[];
    for (let mayBeStored = mayBeAlready; ; ) {
      try {
        await this.#publishing.held(drafts, signal, mayBeStored);
        return undefined;
      } catch (thrown) {
        const error = courierErrorFrom(thrown);
        if (!error.retryable) return error;
        ({ mayBeStored } = error);
        await sleep(Math.max(MIN_PAUSE_MS, error.retryAfterMs ?? 0), signal).catch(() => undefined);
      }
    }
  }

  #dropUnstored({ event, settle }: Queued<C>, error: CourierError): void {
    settle();
    this.#drop(event, error);
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
    try {
      this.#options.onError?.(error, event);
    } catch {
      // The service must not fail for its events.
    }
  }
}

function flushTimeout(options: { readonly timeoutMs?: number | undefined }): number {
  assertOptions(options, CLOSE_CHECKS);
  return options.timeoutMs ?? FLUSH_TIMEOUT_MS;
}

function publisherClosed(): CourierError {
  return new CourierError('CLOSED', 'the publisher was closed', { hint: 'make another publisher' });
}
