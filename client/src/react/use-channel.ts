/** `useChannel`, `useLatest`, and `useEvents`, on which all hooks of channels build. */
import { useCallback, useInsertionEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { CourierClient } from '../client.ts';
import type { Contract } from '../contract.ts';
import type { AnyContract, Channels, CourierEvent, EntityIn, EventOn, Gap } from '../events.ts';
import { channelNames } from '../filter.ts';
import type { FilterOptions, Selected } from '../options.ts';
import { useCourierClient } from './context.ts';
import { type ChannelState, CONNECTING, PAUSED, type Snapshot } from './state.ts';
import { storeKey, storesOf } from './stores.ts';
import { type EntitiesOptions, type EntitiesView, type EntityView, useItem, useItems } from './use-entities.ts';

/** The types of the events of channels `P`. */
export type TypeOn<P extends string, C extends AnyContract = Contract> = EventOn<P, C>['type'];

export interface Handlers<TEvent> {
  /** Called once with each event that comes while the component is mounted; always the function of the last render. */
  readonly onEvent?: ((event: TEvent) => void) | undefined;
  /** Called with each gap, in the same way. The state's `gap` has it in any case. */
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

/** A component whose options change subscribes anew, unless only functions change. */
export interface ChannelOptions<P extends string, T extends string, C extends AnyContract = Contract>
  extends FilterOptions<T>,
    Handlers<Selected<P, T, C>> {
  /** Events to keep, at most; 100 by default. `onEvent` is called with all events, however many the state keeps. */
  readonly history?: number | undefined;
}

/** The channels to subscribe to; null, undefined or an empty list pauses. */
type ChannelsOrNone<P extends string, C extends AnyContract> = Channels<P, C> | readonly Channels<P, C>[] | null | undefined;

/** The hooks of a contract. */
export interface CourierHooks<C extends AnyContract> {
  /** The client of the nearest CourierProvider. */
  useCourierClient(): CourierClient<C>;
  /**
   * Subscribes to channels as long as the component is mounted. Components with equal channels and options share one
   * subscription, and show the same events.
   *
   * @param channels a channel (`backtest.b1`), a pattern (`backtest.*`), or a list; they decide the types of the events.
   */
  useChannel<const P extends string, const T extends TypeOn<P, C> = TypeOn<P, C>>(
    channels: ChannelsOrNone<P, C>,
    options?: ChannelOptions<P, T, C>,
  ): ChannelState<Selected<P, T, C>>;
  /**
   * The latest event of a type; undefined before there is one. It is the latest that is stored, and then each that comes. With `from`
   * or `lastEventId` it is one of the events that follow from there.
   */
  useLatest<const P extends string, const T extends TypeOn<P, C>>(
    channels: ChannelsOrNone<P, C>,
    type: T,
    options?: Pick<ChannelOptions<P, T, C>, 'from' | 'lastEventId'>,
  ): Selected<P, T, C> | undefined;
  /**
   * The things of an entity on some channels, as they are now, as long as the component is mounted. Components with equal channels and
   * options share one watch.
   */
  useEntities<const P extends string, const E extends EntityIn<C>>(
    channels: ChannelsOrNone<P, C>,
    entity: E,
    options?: EntitiesOptions<E, C>,
  ): EntitiesView<E, C>;
  /** One thing, by its key: the fields of the entity's key, joined by `/`. A channel or a key of null or undefined pauses. */
  useEntity<const P extends string, const E extends EntityIn<C>>(
    channel: Channels<P, C> | null | undefined,
    entity: E,
    key: string | null | undefined,
  ): EntityView<E, C>;
}

/** The hooks of another contract: `const { useChannel, useEntities, useCourierClient } = courierHooks<typeof contract>()`. */
export function courierHooks<C extends AnyContract>(): CourierHooks<C> {
  return {
    useCourierClient: useCourierClient<C>,
    useChannel: (channels, options = {}) => useEvents(channelNames(channels ?? []), options, PAUSED),
    useLatest: <P extends string, T extends TypeOn<P, C>>(
      channels: ChannelsOrNone<P, C>,
      type: T,
      options: Pick<ChannelOptions<P, T, C>, 'from' | 'lastEventId'> = {},
    ) => useEvents<Selected<P, T, C>>(channelNames(channels ?? []), { ...options, types: [type], history: 0 }, PAUSED, true).latest,
    useEntities: (channels, entity, options = {}) => useItems(channelNames(channels ?? []), entity, options),
    useEntity: (channel, entity, key) => useItem(channel ?? undefined, entity, key ?? undefined),
  };
}

export const { useChannel, useEntities, useEntity, useLatest } = courierHooks<Contract>();

/**
 * @param channels an empty list pauses.
 * @param paused what to show then; the same object until it changes.
 * @param startsWithLatest whether it starts with the latest event that is stored, where the options do not say it.
 */
export function useEvents<TEvent>(
  channels: readonly string[],
  options: FilterOptions<string> & Handlers<TEvent> & { readonly history?: number | undefined },
  paused: Snapshot,
  startsWithLatest = false,
): ChannelState<TEvent> {
  const stores = storesOf(useCourierClient());
  const key = channels.length === 0 ? undefined : storeKey(channels, options, startsWithLatest);
  const handlers = useRef<Handlers<TEvent>>(options);
  useInsertionEffect(() => {
    handlers.current = options;
  });
  const subscribe = useCallback(
    (onChange: () => void) => {
      if (key === undefined) return () => undefined;
      const onEvent = (event: CourierEvent) => handlers.current.onEvent?.(event as TEvent);
      return stores.subscribe(key, { onChange, onEvent, onGap: (gap) => handlers.current.onGap?.(gap) });
    },
    [stores, key],
  );
  const present = useSyncExternalStore(
    subscribe,
    () => (key === undefined ? CONNECTING : (stores.get(key)?.snapshot ?? CONNECTING)),
    () => CONNECTING,
  );
  const clear = useCallback(() => {
    if (key !== undefined) stores.get(key)?.clear();
  }, [stores, key]);
  const snapshot = key === undefined ? paused : present;
  // TEvent is the type of the events of the channels.
  return useMemo(() => ({ ...snapshot, clear }), [snapshot, clear]) as ChannelState<TEvent>;
}
