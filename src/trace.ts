/** Reads the events of one piece of work, whoever published them: what belongs to it, what that has caused, and what led to it. */
import type { Connection } from './connections/connection.ts';
import { includesChannel } from './contract/channels.ts';
import { parsePosition } from './contract/position.ts';
import type { TracePage } from './contract/types.ts';
import type { Delivery } from './delivery/batch.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { CourierError, cut, invalidField } from './errors.ts';
import { type EventLog, MAX_CAUSES, PAGE_BYTES, type Related, type StoredEvent } from './log/log.ts';
import { positionFrom } from './subscribe.ts';

export const DEFAULT_TRACE_LIMIT = 1000;
export const MAX_TRACE_LIMIT = 1000;
/** What is read of one piece of work, at most: events, and UTF-16 units of their bodies. */
const [MAX_EVENTS, MAX_UNITS] = [10_000, 8 * 1024 * 1024];
/** Bytes of a page, after which it ends. */
const MAX_PAGE_BYTES = 4 * PAGE_BYTES;

export interface TraceRequest {
  /** Of the piece of work; or the position of one of its events. */
  readonly correlation_id?: string | undefined;
  readonly id?: string | undefined;
  readonly limit?: number | undefined;
  /** Steps after this position. */
  readonly after?: string | undefined;
}

type TracePipeline = Pick<Pipeline, 'log' | 'deliveryOf'>;

/**
 * Reads a page.
 *
 * @throws {CourierError} BAD_REQUEST for a malformed position, or neither or both of `id` and `correlation_id`; NOT_FOUND where there is no
 * event at `id`, or the caller may not read it.
 */
export async function trace(
  pipeline: TracePipeline,
  { principal }: Pick<Connection, 'principal'>,
  request: TraceRequest,
  signal: AbortSignal,
): Promise<TracePage<Delivery>> {
  const { log, deliveryOf } = pipeline;
  const mayRead = ({ family, channel }: StoredEvent) => includesChannel(principal.readable, family, channel);
  const work = new Work(pipeline, signal);
  const correlationId = await work.begin(request, mayRead);
  await work.read(correlationId);
  const afterSeq = request.after === undefined ? 0 : positionFrom('after', request.after).seq;
  const events = work.events();
  if (request.id !== undefined && events.length === 0) throw notFound(request.id);
  const times = new Map<number, number | undefined>();
  const seqs = [...new Set(events.flatMap(({ seq }) => [seq, work.causeOf(seq) ?? seq]))];
  for (const [index, ms] of (await log.storedAt(seqs)).entries()) times.set(seqs[index] as number, ms);
  const steps: TracePage<Delivery>['steps'] = [];
  let bytes = 0;
  let hidden = 0;
  let next = afterSeq;
  let has_more = false;
  for (const event of events) {
    const delivery = mayRead(event) ? deliveryOf(event) : undefined;
    if (delivery?.isReadable !== true) hidden += 1;
    else if (event.seq > afterSeq && !has_more) {
      if (steps.length >= (request.limit ?? DEFAULT_TRACE_LIMIT) || bytes >= MAX_PAGE_BYTES) has_more = true;
      else {
        const [at, causedAt] = [times.get(event.seq), times.get(work.causeOf(event.seq) ?? 0)];
        const after_cause_ms = at === undefined || causedAt === undefined ? null : at - causedAt;
        steps.push({ event: delivery, stored_at: at === undefined ? null : new Date(at), after_cause_ms });
        bytes += Buffer.byteLength(delivery.json);
        next = event.seq;
      }
    }
  }
  return { correlation_id: correlationId, steps, hidden, next: log.positions.at(next), has_more, is_partial: work.isPartial };
}

function notFound(id: string): CourierError {
  return new CourierError('NOT_FOUND', `there is no event at ${JSON.stringify(cut(id))} that you may read`);
}

/** What has been read of one piece of work. */
class Work {
  readonly #log: EventLog;
  readonly #deliveryOf: TracePipeline['deliveryOf'];
  readonly #signal: AbortSignal;
  readonly #events = new Map<number, StoredEvent>();
  readonly #causes = new Map<number, number>();
  #units = 0;
  /** Whether there is more than is read of one. */
  isPartial = false;

  constructor({ log, deliveryOf }: TracePipeline, signal: AbortSignal) {
    this.#log = log;
    this.#deliveryOf = deliveryOf;
    this.#signal = signal;
  }

  /** Resolves to the correlation id of what was asked for. @throws as `trace`. */
  async begin({ id, correlation_id }: TraceRequest, mayRead: (event: StoredEvent) => boolean): Promise<string> {
    if ((id === undefined) === (correlation_id === undefined)) throw invalidField('id', 'give an id or a correlation_id, and not both');
    if (id === undefined) return correlation_id as string;
    positionFrom('id', id);
    const event = await this.#eventAt(id);
    // It may have begun a piece of work of which later events are retained.
    if (event === undefined) return id;
    if (!mayRead(event)) throw notFound(id);
    this.#add(event);
    return this.#metadataOf(event).correlation_id ?? id;
  }

  async read(correlationId: string): Promise<void> {
    const first = await this.#eventAt(correlationId);
    if (first !== undefined) this.#add(first);
    await this.#readAll({ correlationId });
    const own = [...this.#events.keys()];
    // What an event has caused comes behind it, and may belong to another piece of work.
    for (let from = 0; from < own.length && !this.isPartial; ) {
      const causes = own.slice(from, from + MAX_CAUSES);
      from += causes.length;
      own.push(...(await this.#readAll({ causes })));
    }
    for (const seq of [...this.#events.keys()]) await this.#climb(seq);
  }

  /** In the order of the log. */
  events(): readonly StoredEvent[] {
    return [...this.#events.values()].sort((one, other) => one.seq - other.seq);
  }

  /** The number of the event that led to one; undefined where that is not of this log. */
  causeOf(seq: number): number | undefined {
    return this.#causes.get(seq);
  }

  /** Reads what led to an event. */
  async #climb(seq: number): Promise<void> {
    for (let cause = this.#causes.get(seq); cause !== undefined && !this.#events.has(cause) && !this.isPartial; ) {
      const event = await this.#eventNumbered(cause);
      if (event === undefined) return;
      this.#add(event);
      cause = this.#causes.get(cause);
    }
  }

  /** Returns the numbers of those that are new. */
  async #readAll(related: Related): Promise<number[]> {
    const added: number[] = [];
    for (let afterSeq = 0; !this.isPartial; ) {
      const { events, endSeq, head } = await this.#log.read({ afterSeq, channels: related, limit: 1000 }, this.#signal);
      for (const event of events) if (this.#add(event)) added.push(event.seq);
      if (endSeq >= head) break;
      afterSeq = endSeq;
    }
    return added;
  }

  async #eventAt(id: string): Promise<StoredEvent | undefined> {
    const seq = await this.#seqOf(id);
    return seq === undefined ? undefined : this.#eventNumbered(seq);
  }

  async #eventNumbered(seq: number): Promise<StoredEvent | undefined> {
    const { events } = await this.#log.read({ afterSeq: seq - 1, channels: 'all', limit: 1 }, this.#signal);
    return events[0]?.seq === seq ? events[0] : undefined;
  }

  /** The number at a position; undefined where that is none of this log. */
  async #seqOf(id: string): Promise<number | undefined> {
    const position = parsePosition(id);
    if (position === undefined) return undefined;
    const { head } = await this.#log.bounds();
    return this.#log.positions.resume(position, head).gap === undefined ? position.seq : undefined;
  }

  /** Returns whether it is new, and there is room for it. */
  #add(event: StoredEvent): boolean {
    if (this.#events.has(event.seq)) return false;
    this.#units += event.body.length;
    if (this.#events.size >= MAX_EVENTS || this.#units > MAX_UNITS) {
      this.isPartial = true;
      return false;
    }
    this.#events.set(event.seq, event);
    const position = parsePosition(this.#metadataOf(event).causation_id ?? '');
    const isOurs = position !== undefined && this.#log.positions.resume(position, event.seq).gap === undefined;
    if (isOurs) this.#causes.set(event.seq, position.seq);
    return true;
  }

  #metadataOf(event: StoredEvent): { readonly correlation_id?: string; readonly causation_id?: string } {
    return JSON.parse(this.#deliveryOf(event).json).metadata;
  }
}
