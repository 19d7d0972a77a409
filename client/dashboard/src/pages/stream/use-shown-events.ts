/** The shown events of a component, open as long as it is mounted. */
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useClient } from '../../contract/served.ts';
import { ShownEvents, type ShownEventsOptions, type ShownEventsState } from './shown-events.ts';

export function useShownEvents(options: ShownEventsOptions): { readonly shown: ShownEvents; readonly state: ShownEventsState } {
  const client = useClient();
  const key = JSON.stringify(options);
  // Equal options keep the object.
  const shown = useMemo(() => new ShownEvents(client, JSON.parse(key) as ShownEventsOptions), [client, key]);
  useEffect(() => shown.open(), [shown]);
  const state = useSyncExternalStore(shown.subscribe, shown.get);
  return { shown, state };
}
