/** What an address without tRPC asks for, the same on every transport: `/{channels}?token=&last_event_id=&from=&types=`. */
import { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import type { Contract } from '../contract/contract.ts';
import { CourierError, validated } from '../errors.ts';
import { MAX_CHANNELS } from '../router/events.ts';
import { positionFrom, readableChannels, type SubscribeRequest } from '../subscribe.ts';
import { decodeSegment, type RequestTarget } from './request-target.ts';

const query = z.strictObject({
  token: z.string().optional(),
  last_event_id: z.string().optional(),
  from: z.enum(['now', 'earliest']).optional(),
  types: z.string().optional(),
});

/**
 * Reads channels and patterns, separated by commas: `user.*,global`.
 *
 * @throws {CourierError} BAD_REQUEST when the list is too long, or naming the first entry that is neither a channel nor a
 * pattern; FORBIDDEN naming the first that the principal may not read.
 */
export function readableChannelList(contract: Contract, principal: Principal, list: string): string[] {
  const channels = list.split(',');
  if (channels.length > MAX_CHANNELS) {
    const message = `must be at most ${MAX_CHANNELS} channels and patterns, not ${channels.length}`;
    throw new CourierError('BAD_REQUEST', message, { issues: [{ path: 'channels', message }] });
  }
  // One by one, for the error to name the entry.
  for (const channel of channels) readableChannels(contract, principal, [channel]);
  return channels;
}

/**
 * Reads what comes behind `prefix` in the path, and the query.
 *
 * @param lastEventId the header in which an `EventSource` says how far it has come.
 * @throws {CourierError} BAD_REQUEST naming what is malformed; what `readableChannelList` throws.
 */
export function plainSubscription(
  contract: Contract,
  principal: Principal,
  { path, search }: RequestTarget,
  prefix: string,
  lastEventId?: string,
): SubscribeRequest {
  const { last_event_id, from, types } = validated(query, Object.fromEntries(new URLSearchParams(search)));
  if (last_event_id !== undefined) positionFrom('last_event_id', last_event_id);
  if (lastEventId !== undefined) positionFrom('Last-Event-ID', lastEventId);
  const channels = readableChannelList(contract, principal, decodeSegment(path.slice(prefix.length)));
  return { channels, types: typesInAddress(contract, types), from, lastEventId: lastEventId ?? last_event_id };
}

/** Reads event types, separated by commas. @throws {CourierError} BAD_REQUEST naming the first that the contract does not have. */
export function typesInAddress(contract: Contract, list: string | undefined): string[] | undefined {
  if (list === undefined) return undefined;
  return validated(z.strictObject({ types: contract.typeList }), { types: list.split(',') }).types;
}
