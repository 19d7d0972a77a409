/**
 * Reading the log for subscribers that catch up. Those that want the same channels share reads: one at a time sweeps
 * upwards through the positions that are waited for, and each page serves everyone whose position it covers, those too
 * who come a little later. A crowd that comes back at once costs as many reads as there are pages to read, not as there
 * are readers.
 */
import { upTo } from '../limits/bytes.ts';
import type { EventLog } from '../log/log.ts';
import { BATCH_LENGTH, type Batch, batchesOf } from './batch.ts';
import { Delivery } from './delivery.ts';
import { type Interest, keyOf } from './interest.ts';
import { PageCache } from './page-cache.ts';

/** Every match after `after` and up to `through`, when it was read. */
export interface SharedPage {
  readonly batches: readonly Batch[];
  readonly after: number;
  readonly through: number;
  /** The first number that was still retained. */
  readonly first: number;
}

/** Rows read from the log at once. */
const PAGE_ROWS = 500;
/** Reads in flight, at most, each of a page: bounds the memory that reading ahead of sockets can take. */
const MAX_READS_IN_FLIGHT = 8;
/** Bytes of memory that pages which are kept take, and at most which part of the heap. */
const KEPT_BYTES = 16 * 1024 * 1024;
const KEPT_PART = 1 / 16;

interface Waiting {
  readonly after: number;
  resolve(page: SharedPage): void;
  reject(error: unknown): void;
}

/** Those who want the same. */
interface Sweep {
  readonly key: string;
  readonly interest: Interest;
  readonly waiting: Set<Waiting>;
  /** How far the last page reached. */
  through: number;
}

export class SharedReads implements Disposable {
  readonly #log: EventLog;
  readonly #batchLength: number;
  readonly #stop = new AbortController();
  readonly #sweeps = new Map<string, Sweep>();
  /** Sweeps that wait for their turn to read. */
  readonly #ready: Sweep[] = [];
  readonly #kept = new PageCache(upTo(KEPT_BYTES, KEPT_PART));
  #inFlight = 0;
  #count = 0;

  constructor(log: EventLog, { batchLength = BATCH_LENGTH }: { batchLength?: number } = {}) {
    this.#log = log;
    this.#batchLength = batchLength;
  }

  /** Pages read from the log so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * A page that begins at `after` or before, and whose `through` lies beyond `after` where there is more.
   *
   * @throws what the log throws, or the signal's reason.
   */
  read(interest: Interest, after: number, signal: AbortSignal): Promise<SharedPage> {
    signal.throwIfAborted();
    const key = keyOf(interest);
    const kept = this.#kept.get(key, after);
    if (kept !== undefined) return Promise.resolve(kept);
    return new Promise<SharedPage>((resolve, reject) => {
      const sweep = this.#sweepFor(key, interest);
      const onAbort = () => {
        sweep.waiting.delete(waiting);
        reject(signal.reason);
      };
      const settled = () => signal.removeEventListener('abort', onAbort);
      const waiting: Waiting = {
        after,
        resolve: (page) => {
          settled();
          resolve(page);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort);
      sweep.waiting.add(waiting);
      this.#next();
    });
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #sweepFor(key: string, interest: Interest): Sweep {
    let sweep = this.#sweeps.get(key);
    if (sweep === undefined) {
      sweep = { key, interest, waiting: new Set(), through: 0 };
      this.#sweeps.set(key, sweep);
      this.#ready.push(sweep);
    }
    return sweep;
  }

  /** Begins reads while there may be more of them. */
  #next(): void {
    while (this.#inFlight < MAX_READS_IN_FLIGHT) {
      const sweep = this.#ready.shift();
      if (sweep === undefined) return;
      this.#inFlight += 1;
      void this.#readFor(sweep).finally(() => {
        this.#inFlight -= 1;
        if (sweep.waiting.size > 0) this.#ready.push(sweep);
        else this.#sweeps.delete(sweep.key);
        this.#next();
      });
    }
  }

  async #readFor(sweep: Sweep): Promise<void> {
    const after = nextPosition(sweep);
    if (after === undefined) return;
    const { selector, types } = sweep.interest;
    try {
      this.#count += 1;
      const page = await this.#log.read({ after, selector, types, limit: PAGE_ROWS }, this.#stop.signal);
      const deliveries = page.events.map((event) => new Delivery(this.#log.positions.at(event.seq), event));
      const { first, head, through } = page;
      const shared = { batches: [...batchesOf(deliveries, this.#batchLength)], after, through, first };
      this.#kept.put(sweep.key, shared);
      sweep.through = through;
      for (const waiting of [...sweep.waiting]) {
        if (waiting.after < after || (waiting.after >= through && through < head)) continue;
        sweep.waiting.delete(waiting);
        waiting.resolve(shared);
      }
    } catch (error) {
      for (const waiting of sweep.waiting) waiting.reject(error);
      sweep.waiting.clear();
    }
  }
}

/** The nearest position that is waited for upwards from the last page; then the lowest again, so that nobody starves. */
function nextPosition({ waiting, through }: Sweep): number | undefined {
  let lowest: number | undefined;
  let nearest: number | undefined;
  for (const { after } of waiting) {
    if (lowest === undefined || after < lowest) lowest = after;
    if (after >= through && (nearest === undefined || after < nearest)) nearest = after;
  }
  return nearest ?? lowest;
}
