/**
 * Events that are published together, from checked drafts to receipts: `prepare` encodes them, `store` appends and acknowledges them.
 * What fails on the way is counted and traced as failed.
 */
import { type Principal, principalKey } from './auth/principal.ts';
import { requireRight } from './auth/publish-rights.ts';
import { type AheadCause, causeOf } from './causes.ts';
import type { Connection } from './connections/connection.ts';
import { DRAINING } from './connections/wire.ts';
import type { CheckedDraft } from './contract/draft.ts';
import { MAX_DATA_BYTES } from './contract/json.ts';
import type { Receipt } from './contract/types.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { CourierError } from './errors.ts';
import type { Appended, NewEvent, StoredEvent } from './log/log.ts';
import type { Positions } from './log/positions.ts';
import type { Acknowledged } from './observe/publications.ts';
import type { PublishTrace, TracedCall } from './observe/tracing.ts';

/** The call that publishes. */
export interface PublishCall extends TracedCall {
  readonly connection: Pick<Connection, 'principal' | 'assertOpen'> & Partial<Pick<Connection, 'identity' | 'chargeChannels'>>;
}
/** Events that are stored together or not at all, on their way. */
export interface Publication {
  readonly drafts: readonly CheckedDraft[];
  readonly events: readonly NewEvent[];
  /** Causes of theirs that may not have been published. */
  readonly ahead: readonly AheadCause[];
  readonly trace: PublishTrace | undefined;
  /** When they were published. */
  readonly at: Date;
  /** The same by `performance.now()`. */
  readonly startedAt: number;
}

/** Encodes what may be published. @throws {CourierError} FORBIDDEN, BAD_REQUEST, PAYLOAD_TOO_LARGE; SERVICE_UNAVAILABLE when the gateway drains. */
export function prepare(pipeline: Pipeline, call: PublishCall, drafts: readonly CheckedDraft[]): Publication {
  const { contract, draining, tracing } = pipeline;
  const { principal } = call.connection;
  const trace = tracing.publish(call, drafts);
  const publication = { drafts, trace, at: new Date(), startedAt: performance.now() };
  try {
    if (draining.aborted) throw DRAINING.error;
    for (const [index, { type, channel }] of drafts.entries()) requireRight(contract, principal, type, channel, index);
    const ahead: AheadCause[] = [];
    const given = { pipeline, principal, timestamp: publication.at, traceparent: call.traceparent ?? trace?.traceparent, ahead };
    const events = drafts.map((draft, index) => encode(draft, given, drafts.length > 1 ? `${index}.` : ''));
    return { ...publication, events, ahead };
  } catch (error) {
    fail(pipeline, publication, error);
    throw error;
  }
}

/**
 * Appends all of these or none, and acknowledges them.
 *
 * @param charged what they wait for.
 * @throws what `charged` or the log rejects with; what the connection was ended with.
 */
export async function store(
  pipeline: Pipeline,
  { connection, requestId }: PublishCall,
  publications: readonly Publication[],
  charged?: Promise<void>,
): Promise<Receipt[]> {
  const { log, meter, usage } = pipeline;
  const events = publications.flatMap((publication) => publication.events);
  try {
    if (charged !== undefined) await charged;
    // The last moment: what is appended stays.
    connection.assertOpen();
    const appended = await traced(publications, () => log.append(events));
    usage.published(connection, events);
    let from = 0;
    const acknowledged = publications.flatMap(({ drafts, events: own, trace, at, startedAt }) => {
      const stored = drafts.map(({ metadata }, index) => {
        const given = { timestamp: metadata?.timestamp ?? new Date(at), correlationId: own[index]?.correlationId };
        return acknowledge(log.positions, appended[from + index] as Appended, given);
      });
      from += drafts.length;
      meter.published(
        drafts.map(({ type }) => type),
        secondsSince(startedAt),
      );
      trace?.stored(stored);
      return stored;
    });
    pipeline.publications.stored({ source: connection.principal.sub, requestId }, acknowledged);
    return acknowledged.map(({ receipt }) => receipt);
  } catch (error) {
    for (const publication of publications) fail(pipeline, publication, error);
    throw error;
  }
}

/** Appends within the spans of all. */
function traced<T>(publications: readonly Publication[], append: () => Promise<T>): Promise<T> {
  return publications.reduceRight((work, { trace }) => (trace === undefined ? work : () => trace.append(work)), append)();
}

export function fail({ meter }: Pipeline, { trace, startedAt }: Pick<Publication, 'trace' | 'startedAt'>, error: unknown): void {
  meter.publishFailed(secondsSince(startedAt));
  trace?.failed(error);
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1000;
}

/** What events get: their source, and a timestamp and a trace context where their publisher sent none. */
interface Given {
  readonly pipeline: Pick<Pipeline, 'contract' | 'log' | 'tail'>;
  readonly principal: Principal;
  readonly timestamp: Date;
  readonly traceparent: string | undefined;
  /** Gets the causes that this instance has yet to hear of. */
  readonly ahead: AheadCause[];
}

/** @param path of the draft in the call's input, with a dot behind it. */
function encode(draft: CheckedDraft, given: Given, path: string): NewEvent {
  const { channel, type, metadata, idempotency_key: key } = draft;
  const { contract } = given.pipeline;
  const family = contract.channels.familyOf(channel);
  if (family === undefined) throw new CourierError('BAD_REQUEST', `${JSON.stringify(channel)} is no channel`);
  const version = contract.types.get(type)?.version ?? 1;
  const data = JSON.stringify(draft.data);
  const bytes = Buffer.byteLength(data);
  if (bytes > MAX_DATA_BYTES) {
    const message = `data must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
    throw new CourierError('PAYLOAD_TOO_LARGE', message, { issues: [{ path: `${path}data`, message }] });
  }
  const about = metadataText(given, metadata);
  const body = `{"channel":${JSON.stringify(channel)},"type":${JSON.stringify(type)},"metadata":${about},"data":${data}}`;
  const idempotency = key === undefined ? undefined : { principal: principalKey(given.principal), key };
  const cause = metadata?.causation_id === undefined ? undefined : causeOf(given.pipeline, metadata.causation_id);
  if (cause?.isAhead) given.ahead.push({ path: `${path}metadata.causation_id`, seq: cause.seq as number });
  return { channel, family, type, version, body, idempotency, correlationId: correlationOf(metadata), causeSeq: cause?.seq };
}

/** The piece of work that an event belongs to where it does not begin one: that of its publisher, else the one that its cause began. */
function correlationOf(metadata: CheckedDraft['metadata']): string | undefined {
  return metadata?.correlation_id ?? metadata?.causation_id;
}

/** The metadata as JSON, put together here: `JSON.stringify` takes three times as long for a few short texts and a date. */
function metadataText({ timestamp, principal, traceparent }: Given, own: CheckedDraft['metadata']): string {
  const text = `{"timestamp":"${(own?.timestamp ?? timestamp).toISOString()}","source":${JSON.stringify(principal.sub)}`;
  const more = [
    ['correlation_id', correlationOf(own)],
    ['causation_id', own?.causation_id],
    ['user_id', own?.user_id],
    ['traceparent', own?.traceparent ?? traceparent],
  ] as const;
  return `${more.reduce((all, [name, value]) => (value === undefined ? all : `${all},"${name}":${JSON.stringify(value)}`), text)}}`;
}

/** What is told of a stored event beside what it is. */
interface Told {
  readonly timestamp: Date;
  /** Undefined where it begins a piece of work. */
  readonly correlationId: string | undefined;
}

/** @param given by this call. */
function acknowledge(positions: Positions, { event, duplicate }: Appended, given: Told): Acknowledged {
  const { seq, channel, type } = event;
  const id = positions.at(seq);
  const { timestamp, correlationId = id } = duplicate ? toldBefore(event) : given;
  return { receipt: { id, channel, type, timestamp, duplicate }, correlationId };
}

/** An event that was stored before has a timestamp and a correlation id of its own. */
function toldBefore({ body }: StoredEvent): Told {
  const { metadata } = JSON.parse(body) as { metadata: { timestamp: string; correlation_id?: string } };
  return { timestamp: new Date(metadata.timestamp), correlationId: metadata.correlation_id };
}
