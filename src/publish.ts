/** The way of an event from a caller into the log: authorise, encode, append, acknowledge. */
import { mayPublish, type Principal } from './auth/principal.ts';
import { familyOf } from './contract/channels.ts';
import type { CheckedDraft, EventType } from './contract/events/index.ts';
import { MAX_DATA_BYTES } from './contract/json.ts';
import type { Feed } from './delivery/subscriber.ts';
import { CourierError } from './errors.ts';
import type { Appended, EventDraft, StoredEvent } from './log/log.ts';
import type { Positions } from './log/positions.ts';

/** What a publisher gets back. The event is durable. */
export interface Receipt {
  /** The event's position. */
  id: string;
  channel: string;
  type: EventType;
  timestamp: Date;
  /** True when the idempotency key was known: the receipt is of the event that was stored first. */
  duplicate: boolean;
}

/**
 * Publishes validated events, all or none, in their order.
 *
 * @throws {CourierError} FORBIDDEN, PAYLOAD_TOO_LARGE, or SERVICE_UNAVAILABLE (may be repeated with the same keys).
 */
export async function publish(feed: Feed, principal: Principal, drafts: readonly CheckedDraft[]): Promise<Receipt[]> {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  try {
    const receipts = await store(feed, principal, drafts);
    feed.meter.published(
      drafts.map(({ type }) => type),
      seconds(),
    );
    return receipts;
  } catch (error) {
    feed.meter.publishFailed(seconds());
    throw error;
  }
}

async function store({ log, draining }: Feed, principal: Principal, drafts: readonly CheckedDraft[]): Promise<Receipt[]> {
  const now = new Date();
  if (draining.aborted) throw new CourierError('SERVICE_UNAVAILABLE', 'the gateway is shutting down', { retryAfterMs: 1000 });
  for (const [index, draft] of drafts.entries()) authorise(principal, draft, index);
  const encoded = drafts.map((draft, index) => encode(principal, draft, now, index));
  const appended = await log.append(encoded);
  return appended.map((result, index) => receipt(log.positions, result, drafts[index]?.metadata?.timestamp ?? now));
}

function authorise(principal: Principal, draft: CheckedDraft, index: number): void {
  if (mayPublish(principal, draft.type, draft.channel)) return;
  const who = `${principal.role} ${JSON.stringify(principal.sub)}`;
  throw new CourierError('FORBIDDEN', `${who} may not publish ${draft.type} on ${draft.channel}${index > 0 ? ` (event ${index})` : ''}`);
}

function encode(principal: Principal, draft: CheckedDraft, now: Date, index: number): EventDraft {
  const { channel, type, metadata, idempotency_key: key } = draft;
  const family = familyOf(channel);
  if (family === undefined) throw new CourierError('BAD_REQUEST', `${JSON.stringify(channel)} is no channel`);
  const data = JSON.stringify(draft.data);
  const bytes = Buffer.byteLength(data);
  if (bytes > MAX_DATA_BYTES) {
    const message = `data must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
    throw new CourierError('PAYLOAD_TOO_LARGE', message, { issues: [{ path: index > 0 ? `${index}.data` : 'data', message }] });
  }
  const head = JSON.stringify({
    channel,
    type,
    metadata: {
      timestamp: metadata?.timestamp ?? now,
      source: principal.sub,
      correlation_id: metadata?.correlation_id,
      user_id: metadata?.user_id,
    },
  });
  const idempotency = key === undefined ? undefined : { principal: principal.sub, key };
  return { channel, family, type, body: `${head.slice(0, -1)},"data":${data}}`, idempotency };
}

function receipt(positions: Positions, { event, duplicate }: Appended, timestamp: Date): Receipt {
  const { seq, channel, type } = event;
  return {
    id: positions.at(seq),
    channel,
    type: type as EventType,
    timestamp: duplicate ? timestampOf(event) : timestamp,
    duplicate,
  };
}

/** An event that was stored before has a timestamp of its own. */
function timestampOf({ body }: StoredEvent): Date {
  const { metadata } = JSON.parse(body) as { metadata: { timestamp: string } };
  return new Date(metadata.timestamp);
}
