/**
 * Tells each event that was published: with a line of its own while those are few, and beyond that once a second with counts.
 * The events of all lines, one where `events` is absent, add up to those that were published while the level was `info` or lower.
 */
import type { Receipt } from '../contract/types.ts';
import { Flood } from './flood.ts';
import type { Logger } from './logger.ts';

/** Lines of single events within WINDOW_MS, at most. */
const MAX_LINES = 100;
const WINDOW_MS = 1000;
/** Types and sources that are counted apart in one line, at most: there are as many sources as callers. */
const MAX_COUNTED = 100;

/** Who published, and in which call. */
export interface Publication {
  readonly source: string;
  readonly requestId: string;
}

/** An event that is stored. */
export interface Acknowledged {
  readonly receipt: Receipt;
  /** As subscribers read it. */
  readonly correlationId: string;
}

export interface Publications {
  stored(publication: Publication, events: readonly Acknowledged[]): void;
}

/** Tells nothing. */
export const noPublications: Publications = { stored: () => undefined };

interface Counted {
  readonly type: string;
  readonly source: string;
  events: number;
  /** Of them, those that had been stored before. */
  duplicates: number;
}

export class PublicationLog implements Publications, Disposable {
  readonly #logger: Logger;
  readonly #flood = new Flood({ most: MAX_LINES, windowMs: WINDOW_MS, onLeftOut: () => this.#tell() });
  readonly #stopFlushing: () => void;
  /** By type and source. */
  readonly #counts = new Map<string, Map<string, Counted>>();
  #pairs = 0;
  #events = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#stopFlushing = logger.onFlush(() => this.#flood.flush());
  }

  stored({ source, requestId }: Publication, events: readonly Acknowledged[]): void {
    if (!this.#logger.isEnabled('info')) return;
    for (const { receipt, correlationId } of events) {
      const { id, channel, type, duplicate } = receipt;
      if (!this.#flood.admit()) this.#count(type, source, duplicate);
      else {
        const context = { request_id: requestId, correlation_id: correlationId, type, channel, source, id, duplicate };
        this.#logger.info('published', context);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#flood.flush();
    this.#stopFlushing();
  }

  #count(type: string, source: string, duplicate: boolean): void {
    this.#events += 1;
    const counted = this.#counts.get(type)?.get(source) ?? this.#begin(type, source);
    if (counted === undefined) return;
    counted.events += 1;
    if (duplicate) counted.duplicates += 1;
  }

  #begin(type: string, source: string): Counted | undefined {
    if (this.#pairs === MAX_COUNTED) return undefined;
    this.#pairs += 1;
    const counted = { type, source, events: 0, duplicates: 0 };
    const ofType = this.#counts.get(type) ?? new Map<string, Counted>();
    this.#counts.set(type, ofType.set(source, counted));
    return counted;
  }

  #tell(): void {
    const counts = [...this.#counts.values()].flatMap((ofType) => [...ofType.values()]);
    const others = this.#events - counts.reduce((sum, { events }) => sum + events, 0);
    this.#logger.info('published', { events: this.#events, counts, ...(others > 0 && { others }) });
    this.#counts.clear();
    this.#pairs = 0;
    this.#events = 0;
  }
}
