/** A feed that is open as long as a component shows it. */
import { useCourierClient } from '@lumiere/courier-client/react';
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import type { Client } from '../../session/session.ts';
import { type FeedOptions, type FeedState, StreamFeed } from './feed.ts';

export function useFeed(options: FeedOptions): { readonly feed: StreamFeed; readonly state: FeedState } {
  const client = useCourierClient() as Client;
  const key = JSON.stringify(options);
  // Equal options keep the feed.
  const feed = useMemo(() => new StreamFeed(client, JSON.parse(key) as FeedOptions), [client, key]);
  useEffect(() => feed.open(), [feed]);
  const state = useSyncExternalStore(feed.subscribe, feed.get);
  return { feed, state };
}
