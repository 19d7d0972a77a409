/** Hooks for one channel of a family, by its id. */
import { useEffect, useMemo } from 'react';
import { familyForm, familyPattern, SEGMENT } from '../../../src/contract/channels.ts';
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import type { Contract } from '../contract.ts';
import { CourierError } from '../errors.ts';
import type { AnyContract, FamilyOf } from '../events.ts';
import type { Selected } from '../options.ts';
import { useCourierClient, useCourierConnection } from './context.ts';
import { type ChannelState, conditionOf, PAUSED, type Snapshot, withoutEvents } from './state.ts';
import { type ChannelOptions, type TypeOn, useEvents } from './use-channel.ts';

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
  const isGiven = id !== null && id !== undefined;
  const isId = isGiven && SEGMENT.test(id);
  // An id that the caller did not check may be a pattern.
  const refused = useMemo(() => (isGiven && !isId ? refusal(family, id) : undefined), [family, id, isGiven, isId]);
  return useEvents(isId ? [familyPattern(family).replace('*', id)] : [], options, refused ?? paused);
}

function refusal(family: string, id: string): Snapshot {
  const message = `the id of ${familyForm(family)} must be 1 to 64 of A-Z a-z 0-9 _ -, and is ${JSON.stringify(id)}`;
  return withoutEvents({ status: 'failed', error: new CourierError('INVALID_ARGUMENT', message) });
}
