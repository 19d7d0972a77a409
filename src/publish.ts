/** The way of an event from a caller into the log: authorise, encode, charge to its channel, append, acknowledge. */
import { type Principal, principalKey } from './auth/principal.ts';
import { requireRight, requireRights, requireSomeRight } from './auth/publish-rights.ts';
import type { Connection } from './connections/connection.ts';
import { DRAINING } from './connections/wire.ts';
import type { Contract } from './contract/contract.ts';
import type { CheckedDraft } from './contract/draft.ts';
import { MAX_DATA_BYTES } from './contract/json.ts';
import type { Receipt } from './contract/types.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { CourierError } from './errors.ts';
import type { Appended, NewEvent, StoredEvent } from './log/log.ts';
import type { Positions } from './log/positions.ts';
import type { PublishTrace, TracedCall } from './observe/tracing.ts';

/** The call that publishes. */
export interface PublishCall extends TracedCall {
  readonly connection: Pick<Connection, 'principal' | 'assertOpen'> & Partial<Pick<Connection, 'identity' | 'chargeChannels'>>;
}

/**
 * Refuses early what the principal may not publish, before anything of the input is validated. `publish` asks again for the
 * validated events. Without drafts it refuses principals that may publish nothing.
 *
 * @throws {CourierError} FORBIDDEN
 */
export function authorise(pipeline: Pipeline, call: PublishCall, drafts: readonly unknown[]): void {
  try {
    requireSomeRight(pipeline.contract, call.connection.principal);
    requireRights(pipeline.contract, call.connection.principal, drafts);
  } catch (error) {
    pipeline.meter.publishFailed(0);
    pipeline.tracing.publish(call, [])?.failed(error);
    throw error;
  }
}

/**
 * Publishes validated events, all or none, in their order.
 *
 * @throws {CourierError} FORBIDDEN, BAD_REQUEST, PAYLOAD_TOO_LARGE; TOO_MANY_REQUESTS or SERVICE_UNAVAILABLE (may be repeated with
 * the same keys); what the connection was ended with.
 */
export async function publish(pipeline: Pipeline, call: PublishCall, drafts: readonly CheckedDraft[]): Promise<Receipt[]> {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const trace = pipeline.tracing.publish(call, drafts);
  try {
    const receipts = await store(pipeline, call, drafts, trace);
    pipeline.meter.published(
      drafts.map(({ type }) => type),
      seconds(),
    );
    trace?.stored(receipts);
    pipeline.publications.stored(
      { source: call.connection.principal.sub, requestId: call.requestId },
      receipts,
      drafts.map(({ metadata }) => metadata?.correlation_id),
    );
    return receipts;
  } catch (error) {
    pipeline.meter.publishFailed(seconds());
    trace?.failed(error);
    throw error;
  }
}

async function store(
  { contract, log, draining, usage }: Pipeline,
  { connection, traceparent }: PublishCall,
  drafts: readonly CheckedDraft[],
  trace: PublishTrace | undefined,
): Promise<Receipt[]> {
  const { principal } = connection;
  const now = new Date();
  if (draining.aborted) throw DRAINING.error;
  for (const [index, { type, channel }] of drafts.entries()) requireRight(contract, principal, type, channel, index);
  const given = { contract, principal, timestamp: now, traceparent: traceparent ?? trace?.traceparent };
  const encoded = drafts.map((draft, index) => encode(draft, given, drafts.length > 1 ? `${index}.data` : 'data'));
  // What is wrong or not granted takes nothing of a channel that others share.
  const charged = connection.chargeChannels?.(drafts);
  if (charged !== undefined) await charged;
  const append = () => {
    // The last moment: what is appended stays.
    connection.assertOpen();
    return log.append(encoded);
  };
  const appended = await (trace === undefined ? append() : trace.append(append));
  usage.published(connection, encoded);
  return appended.map((result, index) => receipt(log.positions, result, drafts[index]?.metadata?.timestamp ?? new Date(now)));
}

/**
 * @param given the timestamp and trace context of events whose publisher sent none, and the source of every event.
 * @param path of the data in the call's input.
 */
function encode(
  draft: CheckedDraft,
  given: { readonly contract: Contract; readonly principal: Principal; readonly timestamp: Date; readonly traceparent: string | undefined },
  path: string,
): NewEvent {
  const { channel, type, metadata, idempotency_key: key } = draft;
  const family = given.contract.channels.familyOf(channel);
  if (family === undefined) throw new CourierError('BAD_REQUEST', `${JSON.stringify(channel)} is no channel`);
  const version = given.contract.types.get(type)?.version ?? 1;
  const data = JSON.stringify(draft.data);
  const bytes = Buffer.byteLength(data);
  if (bytes > MAX_DATA_BYTES) {
    const message = `data must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
    throw new CourierError('PAYLOAD_TOO_LARGE', message, { issues: [{ path, message }] });
  }
  const head = JSON.stringify({
    channel,
    type,
    metadata: {
      timestamp: metadata?.timestamp ?? given.timestamp,
      source: given.principal.sub,
      correlation_id: metadata?.correlation_id,
      user_id: metadata?.user_id,
      traceparent: metadata?.traceparent ?? given.traceparent,
    },
  });
  const idempotency = key === undefined ? undefined : { principal: principalKey(given.principal), key };
  return { channel, family, type, version, body: `${head.slice(0, -1)},"data":${data}}`, idempotency };
}

function receipt(positions: Positions, { event, duplicate }: Appended, timestamp: Date): Receipt {
  const { seq, channel, type } = event;
  return {
    id: positions.at(seq),
    channel,
    type,
    timestamp: duplicate ? timestampOf(event) : timestamp,
    duplicate,
  };
}

/** An event that was stored before has a timestamp of its own. */
function timestampOf({ body }: StoredEvent): Date {
  const { metadata } = JSON.parse(body) as { metadata: { timestamp: string } };
  return new Date(metadata.timestamp);
}
