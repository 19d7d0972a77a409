/** What an address without tRPC asks for, the same on every transport: `/{channels}?token=&last_event_id=&from=&types=`. */
import { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import type { Contract } from '../contract/contract.ts';
import { parseStatePosition } from '../contract/position.ts';
import { CourierError, invalidField, validated } from '../errors.ts';
import { HISTORY_ORDERS, type HistoryRequest, MAX_HISTORY_LIMIT } from '../history.ts';
import { MAX_STATE_LIMIT, type StateRequest } from '../read-state.ts';
import { MAX_CHANNELS } from '../router/events.ts';
import { keyList, MAX_ENTITIES, MAX_PER_SECOND, MIN_PER_SECOND } from '../router/state.ts';
import { conditionsFrom, noEntity, readingsOf, type StateSelection } from '../state-selection.ts';
import { channelProblem, positionFrom, readableChannels, type SubscribeRequest } from '../subscribe.ts';
import type { WatchRequest } from '../watch-state.ts';
import { isCondition, parametersIn } from './query.ts';
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
function readableChannelList(contract: Contract, principal: Principal, list: string): string[] {
  const channels = list.split(',');
  if (channels.length > MAX_CHANNELS) {
    throw malformed(`must be at most ${MAX_CHANNELS} channels and patterns, not ${channels.length}`);
  }
  // One by one, for the error to name the first.
  for (const channel of channels) {
    const problem = channelProblem(contract, channel);
    if (problem !== undefined) throw malformed(problem);
    readableChannels(contract, principal, [channel]);
  }
  return channels;
}

/** The path of an address has one list of channels, which the message need not name. */
function malformed(message: string): CourierError {
  return new CourierError('BAD_REQUEST', message, { issues: [{ path: 'channels', message }] });
}

/** The query as `schema` reads it. */
function queryOf<T>(schema: z.ZodType<T>, target: Pick<RequestTarget, 'search'>): T {
  return validated(schema, Object.fromEntries(parametersIn(target)));
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
  target: RequestTarget,
  prefix: string,
  lastEventId?: string,
): SubscribeRequest {
  const { last_event_id, from, types } = queryOf(query, target);
  if (last_event_id !== undefined) positionFrom('last_event_id', last_event_id);
  if (lastEventId !== undefined) positionFrom('Last-Event-ID', lastEventId);
  const channels = readableChannelList(contract, principal, decodeSegment(target.path.slice(prefix.length)));
  return { channels, types: typesInAddress(contract, types), from, lastEventId: lastEventId ?? last_event_id };
}

const stateQuery = {
  entity: z.string().optional(),
  key: z.string().optional(),
  open: z.enum(['true', 'false']).optional(),
};
/** Reads what of the state is asked for: `entity=order,position&key=o1&open=true&state.symbol=SPX`. @throws as `plainSubscription`. */
function stateSelection(
  contract: Contract,
  principal: Principal,
  channels: string,
  { entity, key, open }: { readonly [K in keyof typeof stateQuery]?: string | undefined },
  where: Readonly<Record<string, string>>,
  /** Where the address names entities. */
  field = 'entity',
): StateSelection {
  const entities = entity === undefined ? [...contract.entities.keys()] : entity.split(',');
  if (entities.length > MAX_ENTITIES) throw invalidField(field, `must have at most ${MAX_ENTITIES} elements`);
  const unknown = entities.find((name) => !contract.entities.has(name));
  if (unknown !== undefined) throw invalidField(field, noEntity(contract, unknown));
  return {
    channels: readableChannelList(contract, principal, channels),
    entities,
    keys: key === undefined ? undefined : validated(z.strictObject({ key: keyList }), { key: key.split(',') }).key,
    open: open === undefined ? undefined : open === 'true',
    where: conditionsIn(contract, entities, where),
  };
}

/** By field the values that an address has with commas between them. */
function conditionsIn(contract: Contract, entities: readonly string[], where: Readonly<Record<string, string>>): StateSelection['where'] {
  const conditions = Object.fromEntries(
    Object.entries(where).map(([path, values]) => [path, values.split(',').flatMap((text) => readingsOf(contract, entities, path, text))]),
  );
  // Here, for the error to name them as the address does.
  conditionsFrom(contract, entities, conditions, (parameter = 'state.*') => parameter);
  return conditions;
}

/** The conditions in a query, and the rest of it as `schema` reads it. */
function stateQueryOf<T>(
  schema: z.ZodType<T>,
  target: Pick<RequestTarget, 'search'>,
): { readonly where: Readonly<Record<string, string>>; readonly rest: T } {
  const all = [...parametersIn(target)];
  return {
    where: Object.fromEntries(all.filter(([name]) => isCondition(name))),
    rest: validated(schema, Object.fromEntries(all.filter(([name]) => !isCondition(name)))),
  };
}

const watchQuery = z.strictObject({
  token: z.string().optional(),
  last_event_id: z.string().optional(),
  state: z.string(),
  key: stateQuery.key,
  open: stateQuery.open,
  max_per_second: z.coerce.number().min(MIN_PER_SECOND).max(MAX_PER_SECOND).optional(),
});

/** Whether an address asks to watch the state: `?state=order`. @throws as `parametersIn`. */
export function isWatch(target: RequestTarget): boolean {
  return parametersIn(target).has('state');
}

/** What an address asks to watch: `/{channels}?state=order&open=true&max_per_second=2&last_event_id=`. @throws as `plainSubscription`. */
export function plainWatch(
  contract: Contract,
  principal: Principal,
  target: RequestTarget,
  prefix: string,
  lastEventId?: string,
): WatchRequest {
  const { where, rest } = stateQueryOf(watchQuery, target);
  const { last_event_id, state, max_per_second } = rest;
  if (last_event_id !== undefined) checkWatchPosition('last_event_id', last_event_id);
  if (lastEventId !== undefined) checkWatchPosition('Last-Event-ID', lastEventId);
  const channels = decodeSegment(target.path.slice(prefix.length));
  const selection = stateSelection(contract, principal, channels, { ...rest, entity: state || undefined }, where, 'state');
  return { ...selection, max_per_second, lastEventId: lastEventId ?? last_event_id };
}

function checkWatchPosition(field: string, text: string): void {
  if (parseStatePosition(text) === undefined) positionFrom(field, text, 'an item');
}

const readQuery = z.strictObject({
  ...stateQuery,
  limit: z.coerce.number().int().min(1).max(MAX_STATE_LIMIT).optional(),
  after: z.string().max(100).optional(),
});

/** What `GET /state/{channels}` asks for. @throws as `plainSubscription`. */
export function plainStateRequest(
  contract: Contract,
  principal: Principal,
  channels: string,
  target: Pick<RequestTarget, 'search'>,
): StateRequest {
  const { where, rest } = stateQueryOf(readQuery, target);
  const { limit, after, ...selection } = rest;
  return { ...stateSelection(contract, principal, channels, selection, where), limit, after };
}

const historyQuery = z.strictObject({
  order: z.enum(HISTORY_ORDERS).optional(),
  after: z.string().optional(),
  before: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(MAX_HISTORY_LIMIT).optional(),
  types: z.string().optional(),
});

/** What `GET /events/{channels}` asks for. @throws as `plainSubscription`. */
export function plainHistoryRequest(
  contract: Contract,
  principal: Principal,
  channels: string,
  target: Pick<RequestTarget, 'search'>,
): HistoryRequest {
  const { types, ...query } = queryOf(historyQuery, target);
  return { ...query, channels: readableChannelList(contract, principal, channels), types: typesInAddress(contract, types) };
}

/** Reads event types, separated by commas. @throws {CourierError} BAD_REQUEST naming the first that the contract does not have. */
function typesInAddress(contract: Contract, list: string | undefined): string[] | undefined {
  if (list === undefined) return undefined;
  return validated(z.strictObject({ types: contract.typeList }), { types: list.split(',') }).types;
}
