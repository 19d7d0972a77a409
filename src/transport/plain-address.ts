/** What an address without tRPC asks for, the same on every transport: `/{channels}?token=&last_event_id=&from=&types=`. */
import { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import type { Contract } from '../contract/contract.ts';
import { unfinishedFrom } from '../contract/position.ts';
import { CourierError, invalidField, validated } from '../errors.ts';
import { MAX_STATE_LIMIT, type StateRequest } from '../read-state.ts';
import { MAX_CHANNELS } from '../router/events.ts';
import { keyList, MAX_PER_SECOND, MIN_PER_SECOND } from '../router/state.ts';
import { fieldSchema, noEntity, type StateSelection } from '../state-selection.ts';
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
export function readableChannelList(contract: Contract, principal: Principal, list: string): string[] {
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
  const { last_event_id, from, types } = validated(query, Object.fromEntries(parametersIn({ search })));
  if (last_event_id !== undefined) positionFrom('last_event_id', last_event_id);
  if (lastEventId !== undefined) positionFrom('Last-Event-ID', lastEventId);
  const channels = readableChannelList(contract, principal, decodeSegment(path.slice(prefix.length)));
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
  const unknown = entities.find((name) => !contract.entities.has(name));
  if (unknown !== undefined) throw invalidField(field, noEntity(contract, unknown));
  const conditions = Object.entries(where).map(
    ([path, values]) => [path, values.split(',').map((value) => valueIn(contract, entities, path, value))] as const,
  );
  return {
    channels: readableChannelList(contract, principal, channels),
    entities,
    keys: key === undefined ? undefined : validated(z.strictObject({ key: keyList }), { key: key.split(',') }).key,
    open: open === undefined ? undefined : open === 'true',
    where: Object.fromEntries(conditions),
  };
}

/** What an address says is a text; a field may have numbers or booleans. */
function valueIn(contract: Contract, entities: readonly string[], path: string, text: string): string | number | boolean {
  const schemas = entities.map((name) => fieldSchema(contract, name, path.replace(/^state\./, '')));
  const isText = schemas.some((schema) => schema?.safeParse(text).success);
  if (isText) return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** The conditions in a query, and the rest of it. */
function conditionsIn(search: string): { readonly where: Record<string, string>; readonly rest: Record<string, string> } {
  const all = [...parametersIn({ search })];
  return {
    where: Object.fromEntries(all.filter(([name]) => isCondition(name))),
    rest: Object.fromEntries(all.filter(([name]) => !isCondition(name))),
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
  { path, search }: RequestTarget,
  prefix: string,
  lastEventId?: string,
): WatchRequest {
  const { where, rest } = conditionsIn(search);
  const { last_event_id, state, key, open, max_per_second } = validated(watchQuery, rest);
  if (last_event_id !== undefined && unfinishedFrom(last_event_id) === undefined) positionFrom('last_event_id', last_event_id, 'an item');
  if (lastEventId !== undefined && unfinishedFrom(lastEventId) === undefined) positionFrom('Last-Event-ID', lastEventId, 'an item');
  const selection = stateSelection(
    contract,
    principal,
    decodeSegment(path.slice(prefix.length)),
    { entity: state || undefined, key, open },
    where,
    'state',
  );
  return { ...selection, max_per_second, lastEventId: lastEventId ?? last_event_id };
}

const readQuery = z.strictObject({
  ...stateQuery,
  limit: z.coerce.number().int().min(1).max(MAX_STATE_LIMIT).optional(),
  after: z.string().max(100).optional(),
});

/** What `GET /state/{channels}` asks for. @throws as `plainSubscription`. */
export function plainStateRequest(contract: Contract, principal: Principal, channels: string, search: string): StateRequest {
  const { where, rest } = conditionsIn(search);
  const { limit, after, ...selection } = validated(readQuery, rest);
  return { ...stateSelection(contract, principal, channels, selection, where), limit, after };
}

/** Reads event types, separated by commas. @throws {CourierError} BAD_REQUEST naming the first that the contract does not have. */
export function typesInAddress(contract: Contract, list: string | undefined): string[] | undefined {
  if (list === undefined) return undefined;
  return validated(z.strictObject({ types: contract.typeList }), { types: list.split(',') }).types;
}
