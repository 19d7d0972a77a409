/** Hooks for one channel of a family, by its id. */
import { useEffect, useMemo } from 'react';
import { type ChannelFamily, familyForm, SEGMENT } from '../../../src/contract/channels.ts';
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import { CourierError } from '../errors.ts';
import type { Selected } from '../options.ts';
import { useCourierClient, useCourierConnection } from './context.ts';
import { type ChannelState, conditionOf, PAUSED, type Snapshot, withoutEvents } from './state.ts';
import { type ChannelOptions, type TypeOn, useEvents } from './use-channel.ts';

/** An id; null or undefined pauses. */
type Id = string | null | undefined;

/** The events of a backtest. */
export function useBacktestEvents<const T extends TypeOn<'backtest.*'> = TypeOn<'backtest.*'>>(
  backtestId: Id,
  options: ChannelOptions<'backtest.*', T> = {},
): ChannelState<Selected<'backtest.*', T>> {
  return useFamily('backtest', backtestId, options);
}

/** The events of a strategy: its generation, its backtests, its orders, trades and positions. */
export function useStrategyEvents<const T extends TypeOn<'strategy.*'> = TypeOn<'strategy.*'>>(
  strategyId: Id,
  options: ChannelOptions<'strategy.*', T> = {},
): ChannelState<Selected<'strategy.*', T>> {
  return useFamily('strategy', strategyId, options);
}

/** The events of a job of the Forge. */
export function useForgeJobEvents<const T extends TypeOn<'forge.job.*'> = TypeOn<'forge.job.*'>>(
  jobId: Id,
  options: ChannelOptions<'forge.job.*', T> = {},
): ChannelState<Selected<'forge.job.*', T>> {
  return useFamily('forge.job', jobId, options);
}

/**
 * The events of a user.
 *
 * @param userId undefined is the user of the client's token: the hook connects to learn it. Null pauses.
 */
export function useUserEvents<const T extends TypeOn<'user.*'> = TypeOn<'user.*'>>(
  userId?: Id,
  options: ChannelOptions<'user.*', T> = {},
): ChannelState<Selected<'user.*', T>> {
  const isOwn = userId === undefined;
  const client = useCourierClient();
  const connection = useCourierConnection();
  useEffect(() => {
    // The connection's state has the error.
    if (isOwn && client.connection.get().status === 'idle') client.connect().catch(() => undefined);
  }, [client, isOwn]);
  const unknown = useMemo(() => withoutEvents(conditionOf(connection)), [connection]);
  return useFamily('user', isOwn ? ownIdOf(client, connection) : userId, options, isOwn ? unknown : PAUSED);
}

/** The `sub` of each client's last connection, which a lost connection does not change. */
const ownIds = new WeakMap<AnyCourierClient, string>();

function ownIdOf(client: AnyCourierClient, connection: ConnectionState): string | undefined {
  if (connection.status === 'connected') ownIds.set(client, connection.identity.sub);
  return ownIds.get(client);
}

function useFamily<P extends string, T extends string>(
  family: ChannelFamily,
  id: Id,
  options: ChannelOptions<P, T>,
  paused: Snapshot = PAUSED,
): ChannelState<Selected<P, T>> {
  const isGiven = id !== null && id !== undefined;
  const isId = isGiven && SEGMENT.test(id);
  // An id that the caller did not check may be a pattern.
  const refused = useMemo(() => (isGiven && !isId ? refusal(family, id) : undefined), [family, id, isGiven, isId]);
  return useEvents(isId ? [`${family}.${id}`] : [], options, refused ?? paused);
}

function refusal(family: ChannelFamily, id: string): Snapshot {
  const message = `the id of ${familyForm(family)} must be 1 to 64 of A-Z a-z 0-9 _ -, and is ${JSON.stringify(id)}`;
  return withoutEvents({ status: 'failed', error: new CourierError('INVALID_ARGUMENT', message) });
}
