/**
 * Reading the log for subscribers that catch up. Subscribers with equal filters share reads: their sweep reads one page at a
 * time upwards through the numbers that they wait for, and each page serves every subscriber whose cursor it covers. Pages
 * stay in memory for a moment, for those that come to the same place a little later. A crowd that comes back at once costs
 * as many reads as there are pages to read, not as there are subscribers. While a page is on its way to sockets the next one is read.
 * While something is published here, reading rests after a page (`pacing.ts`).
 */
import { type Filter, filterKey } from '../contract/filter.ts';
import { bytesInMemory, upTo } from '../limits/bytes.ts';
import type { EventLog } from '../log/log.ts';
import { BATCH_UNITS, type Batch, batchesOf, type Delivery } from './batch.ts';
import { type PacedPage, Pacing } from './pacing.ts';
import type { DeliveryOf } from './present.ts';

/** Every event that the filter selects after `afterSeq` and up to `endSeq`, when it was read. */
export interface SharedPage {
  readonly batches: readonly Batch[];
  readonly afterSeq: number;
  readonly endSeq: number;
  /** The first number that was still retained. */
  readonly first: number;
  /** There were events behind it. */
  readonly leadsOn: boolean;
}

/** What is read of what is stored. */
export interface Reader {
  /** Everything that the filter selects after a number, at most so many rows. @throws what the storage throws, or the signal's reason. */
  read(filter: Filter, afterSeq: number, limit: number, signal: AbortSignal): Promise<ReadPage>;
  /** Told of how much is published here. Returns the function that ends it. */
  onPublished(listener: (events: number) => void): () => void;
}

export interface ReadPage extends Pick<SharedPage, 'endSeq' | 'first'> {
  readonly deliveries: readonly Delivery[];
  /** The last number that there is. */
  readonly head: number;
}

/** The events of a log. */
export function eventReader(log: EventLog, deliveryOf: DeliveryOf): Reader {
  return {
    read: async (filter, afterSeq, limit, signal) => {
      const { events, ...bounds } = await log.read({ afterSeq, ...filter, limit, givesWay: true }, signal);
      return { deliveries: events.map(deliveryOf), ...bounds };
    },
    onPublished: (listener) => log.onCommit(({ length }) => listener(length)),
  };
}

/** Rows read at once. */
const PAGE_ROWS = 500;
/** Reads in flight, at most, each of a page: bounds the memory that reading ahead of sockets can take. */
const MAX_READS_IN_FLIGHT = 8;
/** Bytes of memory that the cache takes, and at most which part of the heap. */
const CACHE_BYTES = 16 * 1024 * 1024;
const CACHE_PART = 1 / 16;
/** What a page without events takes in the cache, about. */
const PAGE_OVERHEAD_BYTES = 1000;

interface WaitingRead {
  readonly afterSeq: number;
  resolve(page: SharedPage): void;
  reject(error: unknown): void;
}

/** The reads for one filter. */
interface Sweep {
  readonly key: string;
  readonly filter: Filter;
  readonly waiting: Set<WaitingRead>;
  /** Where the last page ended. */
  endSeq: number;
  /** After which number a page is read though nobody waits for it. */
  aheadSeq: number | undefined;
}

export interface SharedReadsOptions {
  readonly batchUnits?: number;
  /** For how long a page may be given again, in ms: of what is stored some changes. */
  readonly keepMs?: number;
}

export class SharedReads implements Disposable {
  readonly #reader: Reader;
  readonly #batchUnits: number;
  readonly #stop = new AbortController();
  readonly #sweeps = new Map<string, Sweep>();
  /** Sweeps that wait for their turn to read. */
  readonly #ready: Sweep[] = [];
  readonly #cache: PageCache;
  #inFlight = 0;
  #count = 0;
  /** Times that pages were forgotten. */
  #forgotten = 0;
  readonly #pacing = new Pacing();
  readonly #forgetPublishers: () => void;
  /** There while nothing is read. */
  #rest: NodeJS.Timeout | undefined;

  constructor(reader: Reader, { batchUnits = BATCH_UNITS, keepMs = Number.POSITIVE_INFINITY }: SharedReadsOptions = {}) {
    this.#reader = reader;
    this.#batchUnits = batchUnits;
    this.#cache = new PageCache(upTo(CACHE_BYTES, CACHE_PART), keepMs);
    this.#forgetPublishers = reader.onPublished((events) => this.#pacing.notePublished(events));
  }

  /** Pages read from the log so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * A page that begins at `afterSeq` or before, and whose `endSeq` lies beyond `afterSeq` where there is more.
   *
   * @throws what the log throws, or the signal's reason.
   */
  read(filter: Filter, afterSeq: number, signal: AbortSignal): Promise<SharedPage> {
    signal.throwIfAborted();
    const key = filterKey(filter);
    const cached = this.#cache.get(key, afterSeq);
    if (cached !== undefined) {
      this.#readAhead(key, filter, cached);
      return Promise.resolve(cached);
    }
    return new Promise<SharedPage>((resolve, reject) => {
      const sweep = this.#sweepFor(key, filter);
      const onAbort = () => {
        sweep.waiting.delete(waiting);
        reject(signal.reason);
      };
      const settled = () => signal.removeEventListener('abort', onAbort);
      const waiting: WaitingRead = {
        afterSeq,
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

  /** Gives no page again that was read before, or is being read: who waits for one now gets it all the same. */
  forget(): void {
    this.#cache.clear();
    this.#sweeps.clear();
    this.#forgotten += 1;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#forgetPublishers();
    // Who waits hears that there is nothing more.
    if (this.#rest !== undefined) this.#endRest();
  }

  #sweepFor(key: string, filter: Filter): Sweep {
    let sweep = this.#sweeps.get(key);
    if (sweep === undefined) {
      sweep = { key, filter, waiting: new Set(), endSeq: 0, aheadSeq: undefined };
      this.#sweeps.set(key, sweep);
      this.#ready.push(sweep);
    }
    return sweep;
  }

  /** Reads what follows a page that is used, unless that is known, or as many others read as may at once. */
  #readAhead(key: string, filter: Filter, { leadsOn, endSeq }: SharedPage): void {
    if (!leadsOn || this.#sweeps.size > MAX_READS_IN_FLIGHT || this.#cache.get(key, endSeq) !== undefined) return;
    this.#sweepFor(key, filter).aheadSeq = endSeq;
    this.#next();
  }

  /** Begins reads while there may be more of them. */
  #next(): void {
    while (this.#rest === undefined && this.#inFlight < MAX_READS_IN_FLIGHT) {
      const sweep = this.#ready.shift();
      if (sweep === undefined) return;
      this.#inFlight += 1;
      void this.#readFor(sweep).finally(() => {
        this.#inFlight -= 1;
        if (sweep.waiting.size > 0 || sweep.aheadSeq !== undefined) this.#ready.push(sweep);
        else if (this.#sweeps.get(sweep.key) === sweep) this.#sweeps.delete(sweep.key);
        this.#next();
      });
    }
  }

  #restAfter(page: PacedPage): void {
    if (this.#rest !== undefined || this.#stop.signal.aborted) return;
    const restMs = this.#pacing.restAfter(page, Math.max(1, this.#sweeps.size));
    if (restMs > 0) this.#rest = setTimeout(() => this.#endRest(), restMs).unref();
  }

  #endRest(): void {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    this.#next();
  }

  async #readFor(sweep: Sweep): Promise<void> {
    const afterSeq = nextSeq(sweep) ?? sweep.aheadSeq;
    sweep.aheadSeq = undefined;
    if (afterSeq === undefined) return;
    try {
      this.#count += 1;
      const forgotten = this.#forgotten;
      const { deliveries, first, head, endSeq } = await this.#reader.read(sweep.filter, afterSeq, PAGE_ROWS, this.#stop.signal);
      const batches = [...batchesOf(deliveries, this.#batchUnits)];
      const page = { batches, afterSeq, endSeq, first, leadsOn: endSeq < head };
      if (forgotten === this.#forgotten) this.#cache.put(sweep.key, page);
      this.#restAfter({ deliveries, numbers: endSeq - afterSeq });
      sweep.endSeq = endSeq;
      let isUsed = false;
      for (const waiting of [...sweep.waiting]) {
        if (waiting.afterSeq < afterSeq || (waiting.afterSeq >= endSeq && endSeq < head)) continue;
        sweep.waiting.delete(waiting);
        waiting.resolve(page);
        isUsed = true;
      }
      if (isUsed) this.#readAhead(sweep.key, sweep.filter, page);
    } catch (error) {
      for (const waiting of sweep.waiting) waiting.reject(error);
      sweep.waiting.clear();
    }
  }
}

/** The nearest number that is waited for upwards from the last page; then the lowest again, so that nobody starves. */
function nextSeq({ waiting, endSeq }: Sweep): number | undefined {
  let lowest: number | undefined;
  let nearest: number | undefined;
  for (const { afterSeq } of waiting) {
    if (lowest === undefined || afterSeq < lowest) lowest = afterSeq;
    if (afterSeq >= endSeq && (nearest === undefined || afterSeq < nearest)) nearest = afterSeq;
  }
  return nearest ?? lowest;
}

interface CachedPage {
  /** Of its filter. */
  readonly key: string;
  readonly page: SharedPage;
  /** Of its key, of its events, of the forms that sockets were given, and of the page itself. */
  bytes: number;
  /** When it was read, in ms of the monotonic clock. */
  readonly at: number;
}

/** The pages that were read last, up to a bound of bytes; the oldest go first. */
class PageCache {
  readonly #maxBytes: number;
  readonly #keepMs: number;
  readonly #byKey = new Map<string, CachedPage[]>();
  /** Oldest first. */
  readonly #pages = new Set<CachedPage>();
  #bytes = 0;

  constructor(maxBytes: number, keepMs: number) {
    this.#maxBytes = maxBytes;
    this.#keepMs = keepMs;
  }

  clear(): void {
    for (const page of this.#pages) this.#remove(page);
  }

  /** A page for the filter with this key that leads on from `afterSeq`. */
  get(key: string, afterSeq: number): SharedPage | undefined {
    this.#removeOld();
    return this.#byKey.get(key)?.find(({ page }) => page.afterSeq <= afterSeq && afterSeq < page.endSeq)?.page;
  }

  put(key: string, page: SharedPage): void {
    const cached = { key, page, bytes: 0, at: performance.now() };
    this.#pages.add(cached);
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), cached]);
    this.#grow(cached, PAGE_OVERHEAD_BYTES + bytesInMemory(key.length));
    for (const batch of page.batches) {
      this.#grow(cached, batch.bytes);
      batch.onGrown = (bytes) => this.#grow(cached, bytes);
    }
  }

  #grow(cached: CachedPage, bytes: number): void {
    if (!this.#pages.has(cached)) return;
    cached.bytes += bytes;
    this.#bytes += bytes;
    for (const oldest of this.#pages) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  #removeOld(): void {
    if (this.#keepMs === Number.POSITIVE_INFINITY) return;
    const before = performance.now() - this.#keepMs;
    for (const oldest of this.#pages) {
      if (oldest.at >= before) return;
      this.#remove(oldest);
    }
  }

  #remove(cached: CachedPage): void {
    this.#pages.delete(cached);
    this.#bytes -= cached.bytes;
    const rest = this.#byKey.get(cached.key)?.filter((other) => other !== cached) ?? [];
    if (rest.length > 0) this.#byKey.set(cached.key, rest);
    else this.#byKey.delete(cached.key);
  }
}
