/**
 * The broker tells other instances what this one has appended. It may lose, repeat and reorder messages: the tail puts
 * that right from the log, so correctness never depends on a broker, only how soon an event arrives.
 */
import type { StoredEvent } from '../log/log.ts';

export interface BrokerListener {
  /** Another instance has appended these. */
  onEvents(events: readonly StoredEvent[]): void;
  /** Another instance has appended something, or messages may have been lost: the log knows. */
  onHint(): void;
}

export interface Broker extends AsyncDisposable {
  readonly kind: 'local' | 'redis';
  /**
   * Why it cannot be used, or not for everything, and what to do, in plain words that anybody may read; undefined when it can.
   * Events then arrive with the tail's look at the log's head at the latest.
   */
  readonly problem: string | undefined;
  /** Asks its server for an answer. Rejects where that is away. Absent where there is no server. */
  ping?(): Promise<void>;
  /** Tells the other instances of one commit. Never throws and never waits; what cannot be sent is dropped. */
  publish(events: readonly StoredEvent[]): void;
  /** Returns the function that ends it. */
  listen(listener: BrokerListener): () => void;
}

/** The broker of a gateway of one instance: there is nobody else to tell. */
export function localBroker(): Broker {
  return {
    kind: 'local',
    problem: undefined,
    publish: () => undefined,
    listen: () => () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
