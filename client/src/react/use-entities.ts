/** What `useEntities` and `useEntity` give, and how they get it; all hooks of states build on it. */
import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { Contract } from '../contract.ts';
import type { CourierError } from '../errors.ts';
import type { AnyContract, EntityState } from '../events.ts';
import { assertOptions, ENTITIES_CHECKS } from '../option-checks.ts';
import { type StateConditions, type StateEntry, watchSelection } from '../state-selection.ts';
import { useCourierClient } from './context.ts';
import { type EntitySnapshot, EntityStore, type EntityStoreOptions, NOT_READY } from './entity-store.ts';
import { storesByClient } from './stores.ts';

/** A component whose options change watches anew. */
export interface EntitiesOptions<E extends string, C extends AnyContract = Contract> extends StateConditions<E, C> {
  /** How often a change of one thing is told in a second, at most, 0.1 to 100: then the latest. As it comes when absent. */
  readonly maxPerSecond?: number | undefined;
}

/** Things as they are now. The same object until something changes. */
export interface EntitiesView<E extends string, C extends AnyContract = Contract> {
  /** None before it is ready. The same list until it changes, and the same object for a thing until that changes. */
  readonly items: readonly StateEntry<E, C>[];
  /** Whether the items are all that there is. It stays so while a lost connection is made again: the items are those of before. */
  readonly isReady: boolean;
  /**
   * Why no changes come. After UNAUTHORIZED and FORBIDDEN they come again once the client has a token with the right; after
   * UNREACHABLE (`giveUpAfter`), once the gateway is back.
   */
  readonly error: CourierError | undefined;
}

/** A thing as it is now. The same object until something changes. */
export interface EntityView<E extends string, C extends AnyContract = Contract> {
  /** Undefined before it is ready, and where there is no such thing. */
  readonly state: EntityState<E, C> | undefined;
  /** As that of `EntitiesView`. */
  readonly isReady: boolean;
  /** As that of `EntitiesView`. */
  readonly error: CourierError | undefined;
}

const entityStoresOf = storesByClient<EntitySnapshot, () => void, EntityStore>(
  (client, key, changed) => new EntityStore(client, JSON.parse(key) as EntityStoreOptions, changed),
);

/**
 * @param channels an empty list pauses.
 * @param refused what the caller was refused with before anybody was asked.
 */
export function useItems<E extends string, C extends AnyContract>(
  channels: readonly string[],
  entity: E,
  options: EntitiesOptions<E, C>,
  refused?: CourierError,
): EntitiesView<E, C> {
  const stores = entityStoresOf(useCourierClient());
  const key = channels.length === 0 ? undefined : entityStoreKey(channels, entity, options);
  const subscribe = useCallback(
    (onChange: () => void) => (key === undefined ? () => undefined : stores.subscribe(key, onChange)),
    [stores, key],
  );
  const snapshot = useSyncExternalStore(
    subscribe,
    () => (key === undefined ? undefined : stores.get(key)?.snapshot) ?? NOT_READY,
    () => NOT_READY,
  );
  const shown = useMemo(() => (refused === undefined ? snapshot : { ...NOT_READY, error: refused }), [snapshot, refused]);
  // What the items are follows from the entity.
  return shown as unknown as EntitiesView<E, C>;
}

/** @param channel undefined pauses, as does a key of undefined. */
export function useItem<E extends string, C extends AnyContract>(
  channel: string | undefined,
  entity: E,
  key: string | undefined,
  refused?: CourierError,
): EntityView<E, C> {
  const isPaused = channel === undefined || key === undefined;
  const { items, isReady, error } = useItems<E, C>(isPaused ? [] : [channel], entity, isPaused ? {} : { keys: [key] }, refused);
  const state = items[0]?.state as EntityState<E, C> | undefined;
  return useMemo(() => ({ state, isReady, error }), [state, isReady, error]);
}

/** @throws {CourierError} INVALID_ARGUMENT, naming what is wrong. */
function entityStoreKey(channels: readonly string[], entity: string, options: object): string {
  assertOptions(options, ENTITIES_CHECKS);
  const { channels: names, entities, max_per_second: maxPerSecond, ...conditions } = watchSelection(channels, entity, options);
  const store: EntityStoreOptions = { channels: names, entity: entities[0], conditions: { ...conditions, maxPerSecond } };
  return JSON.stringify(store);
}
