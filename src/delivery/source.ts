/** What subscribers are served from. That of events is the log; that of states has each thing once, where it changed last. */
import type { Filter } from '../contract/filter.ts';
import type { Turns } from '../limits/turns.ts';
import type { Meter } from '../observe/meter.ts';
import type { Batch, Delivery } from './batch.ts';
import type { Group, LiveSubscriber } from './groups.ts';
import type { SharedPage } from './shared-reads.ts';

export interface Source {
  /** The number up to which everything was given to the hub. */
  readonly seq: number;
  /** Whether everything after a number is in memory. */
  covers(seq: number): boolean;
  /** What of that the filter selects, in order. */
  recent(filter: Filter, afterSeq: number): Iterable<Delivery>;
  /** Resolves when `seq` has come so far; rejects with the signal's reason when that aborts first. */
  reached(seq: number, signal: AbortSignal): Promise<void>;
  /** What is stored, in pages. @throws what the storage throws, or the signal's reason. */
  read(filter: Filter, afterSeq: number, signal: AbortSignal): Promise<SharedPage>;
  /** What is given from now on. */
  readonly hub: { readonly batchUnits: number; join(filter: Filter, subscriber: LiveSubscriber, seq: number): Group };
  /** Cut-overs of subscribers, some in each turn of the event loop. */
  readonly cutOvers: Turns;
  /** After so many numbers for others a subscriber that was handed nothing is told its position. */
  readonly quietEvents: number;
  /** Says that everything up to a number has been given. @param count how much of it was not live. */
  caughtUp(seq: number, count: number): Batch;
  /** Says that what lies between two numbers cannot be given. */
  missing(afterSeq: number, resumedSeq: number): Batch;
  readonly meter: Pick<Meter, 'catchingUp' | 'replayed' | 'gap'>;
}
