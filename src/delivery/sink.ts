/** What a subscriber delivers to: a socket, or the bounded queue behind an async iterator. */
import type { Delivery } from './delivery.ts';

export interface Sink {
  /** Hands over one event or notice, in order. Never waits and never throws; the sink reports through `writable`. */
  deliver(delivery: Delivery): void;
  /** False from the moment that the sink holds its high-water mark, until it has drained. */
  readonly writable: boolean;
  /**
   * Resolves when the sink can take more; rejects with the signal's reason when that aborts first. Called only while
   * `writable` is false.
   */
  drained(signal: AbortSignal): Promise<void>;
}
