/**
 * The subscriptions on the wire. Consumers that want the same from now on share one; one that begins in the past has its
 * own until it ends.
 */
import type { TRPCClient } from '@trpc/client';
import type { Consumer, Interest, Received } from './consumer.ts';
import type { EventType } from './contract.ts';
import { CourierError, courierErrorFrom } from './errors.ts';
import { jitter, type RetryOptions, sleep } from './retry.ts';
import type { AppRouter } from './router.ts';

export interface WiresOptions {
  readonly trpc: TRPCClient<AppRouter>;
  readonly retry: RetryOptions;
  /** Told of failures that are tried again. */
  readonly onRetry: (error: CourierError) => void;
}

export class Wires {
  readonly #options: WiresOptions;
  /** Those that may be joined. */
  readonly #shared = new Map<string, Wire>();

  constructor(options: WiresOptions) {
    this.#options = options;
  }

  /** Lets `consumer` have what comes after the last event that it has received. Returns the function that ends that. */
  attach(consumer: Consumer): () => void {
    const key = keyOf(consumer.interest);
    const wire = (consumer.lastReceivedId === undefined && this.#shared.get(key)) || this.#open(key, consumer);
    wire.add(consumer);
    return () => wire.remove(consumer);
  }

  #open(key: string, { interest, lastReceivedId }: Consumer): Wire {
    const share = () => {
      // What begins at the oldest event is not what somebody joins for.
      if (interest.from === 'now' && !this.#shared.has(key)) this.#shared.set(key, wire);
    };
    const wire = new Wire(this.#options, interest, lastReceivedId, {
      onLive: share,
      onClosed: () => {
        if (this.#shared.get(key) === wire) this.#shared.delete(key);
      },
    });
    if (lastReceivedId === undefined) share();
    return wire;
  }
}

/** The same for the same channels and types, in whatever order they are named. */
function keyOf({ channels, types, from }: Interest): string {
  return JSON.stringify([from, [...new Set(channels)].sort(), types && [...new Set(types)].sort()]);
}

class Wire {
  readonly #options: WiresOptions;
  readonly #interest: Interest;
  readonly #on: { readonly onLive: () => void; readonly onClosed: () => void };
  readonly #consumers = new Set<Consumer>();
  readonly #closed = new AbortController();
  #lastEventId: string | undefined;
  #isLive = false;
  #attempt = 0;
  #stop: (() => void) | undefined;

  constructor(
    options: WiresOptions,
    interest: Interest,
    lastEventId: string | undefined,
    on: { onLive: () => void; onClosed: () => void },
  ) {
    this.#options = options;
    this.#interest = interest;
    this.#lastEventId = lastEventId;
    this.#on = on;
    this.#subscribe();
  }

  add(consumer: Consumer): void {
    this.#consumers.add(consumer);
    // Others were told already; this one has missed nothing that it asked for.
    if (this.#isLive && this.#lastEventId !== undefined) consumer.push(liveAt(this.#lastEventId));
  }

  remove(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    if (this.#consumers.size === 0) this.#close();
  }

  #close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#on.onClosed();
    this.#stop?.();
  }

  #subscribe(): void {
    const { channels, types, from } = this.#interest;
    const input = {
      channels: [...channels],
      types: types as EventType[] | undefined,
      from,
      ...(this.#lastEventId !== undefined && { lastEventId: this.#lastEventId }),
    };
    const subscription = this.#options.trpc.events.subscribe.subscribe(input, {
      onData: ({ id, data }) => {
        this.#attempt = 0;
        this.#lastEventId = id;
        if (data.type === 'courier.live') this.#live();
        for (const consumer of [...this.#consumers]) consumer.push(data);
      },
      onError: (thrown) => this.#failed(courierErrorFrom(thrown)),
      onConnectionStateChange: ({ state }) => {
        // Who joins now must not be given what others missed.
        if (state !== 'connecting' || !this.#isLive) return;
        this.#isLive = false;
        this.#on.onClosed();
      },
      onComplete: () => {
        if (!this.#closed.signal.aborted) this.#failed(new CourierError('UNREACHABLE', 'the gateway ended the subscription'));
      },
    });
    this.#stop = () => subscription.unsubscribe();
  }

  #live(): void {
    if (this.#isLive) return;
    this.#isLive = true;
    this.#on.onLive();
  }

  #failed(error: CourierError): void {
    if (this.#closed.signal.aborted) return;
    if (!error.retryable) {
      const consumers = [...this.#consumers];
      this.#close();
      for (const consumer of consumers) consumer.fail(error);
      return;
    }
    this.#options.onRetry(error);
    const delayMs = (error.retryAfterMs ?? 0) + jitter(this.#options.retry, this.#attempt);
    this.#attempt += 1;
    sleep(delayMs, this.#closed.signal).then(
      () => this.#subscribe(),
      () => undefined,
    );
  }
}

function liveAt(position: string): Received {
  return {
    id: position,
    channel: 'courier',
    type: 'courier.live',
    metadata: { timestamp: new Date(), source: 'courier' },
    data: { position, replayed: 0 },
  };
}
