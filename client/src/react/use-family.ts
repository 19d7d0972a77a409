/** Hooks for one channel of a family, by its id: its events, and the things that are on it. */
import { useEffect, useMemo } from 'react';
import { familyForm, familyPattern, SEGMENT } from '../../../src/contract/channels.ts';
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import type { Contract } from '../contract.ts';
import { CourierError } from '../errors.ts';
import type { AnyContract, EntityIn, FamilyOf } from '../events.ts';
import type { Selected } from '../options.ts';
import { useCourierClient, useCourierConnection } from './context.ts';
import { type ChannelState, conditionOf, PAUSED, type Snapshot, withoutEvents } from './state.ts';
import { type ChannelOptions, type TypeOn, useEvents } from './use-channel.ts';
import { type EntitiesOptions, type EntitiesView, type EntityView, useItem, useItems } from './use-entities.ts';

/** An id; null or undefined pauses. */
type Id = string | null | undefined;

/** The pattern for the channels of a family. */
type All<F extends string> = F extends 'global' ? 'global' : `${F}.*`;

/** The events of one channel of a family. */
export type FamilyHook<F extends string, C extends AnyContract = Contract> = <const T extends TypeOn<All<F>, C> = TypeOn<All<F>, C>>(
  id: Id,
  options?: ChannelOptions<All<F>, T, C>,
) => ChannelState<Selected<All<F>, T, C>>;

/**
 * The events of a user.
 *
 * @param userId undefined is the user of the client's token: the hook connects to learn it. Null pauses.
 */
export type UserHook<C extends AnyContract = Contract> = <const T extends TypeOn<'user.*', C> = TypeOn<'user.*', C>>(
  userId?: Id,
  options?: ChannelOptions<'user.*', T, C>,
) => ChannelState<Selected<'user.*', T, C>>;

/** Makes the hook of a family: `const useBacktestEvents = familyHook<Contract, 'backtest'>('backtest')`. */
export function familyHook<C extends AnyContract, F extends FamilyOf<C>>(family: F): FamilyHook<F, C> {
  return (id, options = {}) => useFamily(family, id, options);
}

/** Makes the hook of a contract's users. */
export function userHook<C extends AnyContract>(): UserHook<C> {
  return (userId, options = {}) => {
    const isOwn = userId === undefined;
    const client = useCourierClient();
    const connection = useCourierConnection();
    useEffect(() => {
      // The connection's state has the error.
      if (isOwn && client.connection.get().status === 'idle') client.connect().catch(() => undefined);
    }, [client, isOwn]);
    const unknown = useMemo(() => withoutEvents(conditionOf(connection)), [connection]);
    return useFamily('user', isOwn ? ownIdOf(client, connection) : userId, options, isOwn ? unknown : PAUSED);
  };
}

/** The thing that has the id of its channel. */
export type EntityHook<E extends string, C extends AnyContract = Contract> = (id: Id) => EntityView<E, C>;

/** The things of one channel of a family. */
export type EntitiesHook<E extends string, C extends AnyContract = Contract> = (
  id: Id,
  options?: EntitiesOptions<E, C>,
) => EntitiesView<E, C>;

/** Makes the hook of an entity whose key is the id of a family: `const useBacktest = entityHook<Contract, 'backtest'>('backtest', 'backtest')`. */
export function entityHook<C extends AnyContract, E extends EntityIn<C>>(entity: E, family: FamilyOf<C>): EntityHook<E, C> {
  return (id) => {
    const { channel, refused } = useChannelOf(family, id);
    return useItem(channel, entity, id ?? undefined, refused);
  };
}

/** Makes the hook of the things on a family's channels: `const useOrders = entitiesHook<Contract, 'order'>('order', 'strategy')`. */
export function entitiesHook<C extends AnyContract, E extends EntityIn<C>>(entity: E, family: FamilyOf<C>): EntitiesHook<E, C> {
  return (id, options = {}) => {
    const { channel, refused } = useChannelOf(family, id);
    return useItems(channel === undefined ? [] : [channel], entity, options, refused);
  };
}

/** The `sub` of each client's last connection, which a lost connection does not change. */
const ownIds = new WeakMap<AnyCourierClient, string>();

function ownIdOf(client: AnyCourierClient, connection: ConnectionState): string | undefined {
  if (connection.status === 'connected') ownIds.set(client, connection.identity.sub);
  return ownIds.get(client);
}

function useFamily<P extends string, T extends string, C extends AnyContract>(
  family: string,
  id: Id,
  options: ChannelOptions<P, T, C>,
  paused: Snapshot = PAUSED,
): ChannelState<Selected<P, T, C>> {
  const { channel, refused } = useChannelOf(family, id);
  const failed = useMemo(() => refused && withoutEvents({ status: 'failed', error: refused }), [refused]);
  return useEvents(channel === undefined ? [] : [channel], options, failed ?? paused);
}

/** The channel of an id; none where that is absent, or refused: an id that the caller did not check may be a pattern. */
function useChannelOf(family: string, id: Id): { readonly channel?: string; readonly refused?: CourierError } {
  return useMemo(() => {
    if (id === null || id === undefined) return {};
    if (SEGMENT.test(id)) return { channel: familyPattern(family).replace('*', id) };
    const message = `the id of ${familyForm(family)} must be 1 to 64 of A-Z a-z 0-9 _ -, and is ${JSON.stringify(id)}`;
    return { refused: new CourierError('INVALID_ARGUMENT', message) };
  }, [family, id]);
}
