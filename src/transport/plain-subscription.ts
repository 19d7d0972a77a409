/** What an address without tRPC asks for: `/{channels}?token=&last_event_id=&from=&types=`, the same for every transport. */
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import type { Credentials } from '../auth/tokens.ts';
import { validated } from '../errors.ts';
import { typeList } from '../router/events.ts';
import { positionFrom, type SubscribeRequest } from '../subscribe.ts';
import { readableChannelList } from './channel-list.ts';
import { headerOf } from './http-exchange.ts';
import { decodeSegment, type RequestTarget } from './request-target.ts';

const query = z.strictObject({
  token: z.string().optional(),
  last_event_id: z.string().optional(),
  from: z.enum(['now', 'earliest']).optional(),
  types: z
    .string()
    .transform((value) => value.split(','))
    .pipe(typeList)
    .optional(),
});

/** Who speaks: the token in the query, else the one in the header. */
export function credentialsOf(req: IncomingMessage, { search }: RequestTarget): Credentials {
  return { token: new URLSearchParams(search).get('token') ?? undefined, authorization: headerOf(req, 'authorization') };
}

/**
 * Reads what comes behind `prefix` in the path, and the query.
 *
 * @param lastEventId the header in which an `EventSource` says how far it has come.
 * @throws {CourierError} BAD_REQUEST naming what is malformed; FORBIDDEN naming the first channel that is not granted.
 */
export function plainSubscription(
  principal: Principal,
  { path, search }: RequestTarget,
  prefix: string,
  lastEventId?: string,
): SubscribeRequest {
  const { last_event_id, from, types } = validated(query, Object.fromEntries(new URLSearchParams(search)));
  for (const [name, position] of [
    ['last_event_id', last_event_id],
    ['Last-Event-ID', lastEventId],
  ] as const) {
    if (position !== undefined) positionFrom(name, position);
  }
  const channels = readableChannelList(principal, decodeSegment(path.slice(prefix.length)));
  return { channels, types, from, lastEventId: lastEventId ?? last_event_id };
}
