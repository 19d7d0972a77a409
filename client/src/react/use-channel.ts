/** `useChannel`, and what all hooks that listen are made of. */
import { useCallback, useInsertionEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { Channels, CourierEvent, EventOn, Gap } from '../events.ts';
import type { Taken } from '../options.ts';
import { useCourierClient } from './context.ts';
import { type InterestOptions, keyOf } from './interest.ts';
import { type ChannelState, CONNECTING, PAUSED, type Snapshot } from './state.ts';
import { storesOf } from './stores.ts';

/** The types of the events of channels `P`. */
export type TypeOn<P extends string> = EventOn<P>['type'];

/** A change of anything but the functions begins anew. */
export interface ChannelOptions<P extends string, T extends string> extends InterestOptions {
  /** Only events of these types. */
  readonly types?: readonly T[] | undefined;
  /** Where to begin: with what comes next (the default), or with the oldest event there is. */
  readonly from?: 'now' | 'earliest' | undefined;
  /** Begin after this event. */
  readonly lastEventId?: string | undefined;
  /** Events that are kept, at most; 100 by default. `onEvent` is called with all of them, however many are kept. */
  readonly history?: number | undefined;
  /** Called once with each event that comes while the component is mounted; always the function of the last render. */
  readonly onEvent?: ((event: Taken<P, T>) => void) | undefined;
  /** Called when events are missing, likewise. The state's `gap` says so in any case. */
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

/** What to listen to; nothing for now when null, or an empty list. */
type ChannelsOrNone<P extends string> = Channels<P> | readonly Channels<P>[] | null | undefined;

/**
 * Listens to channels as long as the component is mounted. Components that want the same share one subscription, and see
 * the same events.
 *
 * @param channels a channel (`backtest.b1`), a pattern (`backtest.*`), or a list; they decide what the events can be.
 */
export function useChannel<const P extends string, const T extends TypeOn<P> = TypeOn<P>>(
  channels: ChannelsOrNone<P>,
  options: ChannelOptions<P, T> = {},
): ChannelState<Taken<P, T>> {
  return useEvents(listOf(channels), options, PAUSED);
}

/** The last event of a type that came; undefined before there is one. With `from: 'earliest'` also one from before. */
export function useLatest<const P extends string, const T extends TypeOn<P>>(
  channels: ChannelsOrNone<P>,
  type: T,
  options: Pick<ChannelOptions<P, T>, 'from' | 'lastEventId'> = {},
): Taken<P, T> | undefined {
  return useEvents<Taken<P, T>>(listOf(channels), { ...options, types: [type], history: 0 }, PAUSED).latest;
}

export interface Handlers<TEvent> {
  readonly onEvent?: ((event: TEvent) => void) | undefined;
  readonly onGap?: ((gap: Gap) => void) | undefined;
}

/**
 * @param channels nothing is listened to when there are none.
 * @param absent what is shown then; the same object until it changes.
 */
export function useEvents<TEvent>(
  channels: readonly string[],
  options: InterestOptions & Handlers<TEvent>,
  absent: Snapshot,
): ChannelState<TEvent> {
  const stores = storesOf(useCourierClient());
  const key = channels.length === 0 ? undefined : keyOf(channels, options);
  const handlers = useRef<Handlers<TEvent>>(options);
  useInsertionEffect(() => {
    handlers.current = options;
  });
  const subscribe = useCallback(
    (onChange: () => void) => {
      if (key === undefined) return () => undefined;
      const onEvent = (event: CourierEvent) => handlers.current.onEvent?.(event as TEvent);
      return stores.join(key, { onChange, onEvent, onGap: (gap) => handlers.current.onGap?.(gap) });
    },
    [stores, key],
  );
  const present = useSyncExternalStore(
    subscribe,
    () => (key === undefined ? CONNECTING : stores.snapshot(key)),
    () => CONNECTING,
  );
  const clear = useCallback(() => {
    if (key !== undefined) stores.clear(key);
  }, [stores, key]);
  const snapshot = key === undefined ? absent : present;
  // The events are those of the channels, of which TEvent is the type.
  return useMemo(() => ({ ...snapshot, clear }), [snapshot, clear]) as ChannelState<TEvent>;
}

function listOf(channels: string | readonly string[] | null | undefined): readonly string[] {
  if (typeof channels === 'string') return [channels];
  return channels ?? [];
}
