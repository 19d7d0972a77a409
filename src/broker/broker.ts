/**
 * The broker tells other instances what this one has appended. It may lose, repeat and reorder messages: the tail puts
 * that right from the log, so correctness never depends on a broker, only how soon an event arrives.
 */
import type { StoredEvent } from '../log/log.ts';

export interface Broker extends AsyncDisposable {
  /** Tells the other instances of one commit. Never throws and never waits; a failure is the broker's to report. */
  publish(events: readonly StoredEvent[]): void;
  /** Called with what other instances have appended. Returns the function that ends it. */
  onEvents(listener: (events: readonly StoredEvent[]) => void): () => void;
}
