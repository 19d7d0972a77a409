/** What a subscriber delivers to: a socket, or the bounded queue behind an async iterator. */
import type { Batch } from './batch.ts';

export interface Sink {
  /**
   * Hands over events or notices, in order. Never waits and never throws; the sink reports through `writable`, which is
   * looked at before each batch, so that a sink holds its high-water mark and one batch at the most.
   */
  deliver(batch: Batch): void;
  /** False from the moment that the sink holds its high-water mark, until it has drained. */
  readonly writable: boolean;
  /**
   * Resolves when the sink can take more; rejects with the signal's reason when that aborts first. Called only while
   * `writable` is false.
   */
  drained(signal: AbortSignal): Promise<void>;
}
