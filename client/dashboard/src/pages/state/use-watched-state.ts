/** The watched state of a component, open as long as it is mounted. */
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useClient } from '../../contract/served.ts';
import { WatchedState, type WatchedStateOptions, type WatchedStateState } from './watched-state.ts';

export function useWatchedState(options: WatchedStateOptions): WatchedStateState {
  const client = useClient();
  const key = JSON.stringify(options);
  // Equal options keep the object.
  const watched = useMemo(() => new WatchedState(client, JSON.parse(key) as WatchedStateOptions), [client, key]);
  useEffect(() => watched.open(), [watched]);
  return useSyncExternalStore(watched.subscribe, watched.get);
}
