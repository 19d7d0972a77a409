/** The queries of the pages, and their intervals. A hidden page sends no query. */
import { useCourierConnection } from '@lumiere/courier-client/react';
import { keepPreviousData, type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { ChannelActivity, Connections, Health, Recipients, Series, Stats } from '../../../../src/contract/admin.ts';
import { type Client, useClient } from '../contract/served.ts';
import { GATEWAY_URL } from '../place.ts';

/** The interval of queries of figures, in ms. */
const FIGURES_MS = 2000;
/** The interval of samples, in ms. */
const SERIES_MS = 5000;

type Trpc = Client['trpc'];

/** Repeats a query as long as the page is visible and the gateway is connected. */
function usePolled<T>(key: readonly unknown[], everyMs: number, ask: (trpc: Trpc, signal: AbortSignal) => Promise<T>): UseQueryResult<T> {
  const { trpc } = useClient();
  const isConnected = useCourierConnection().status === 'connected';
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask(trpc, signal),
    refetchInterval: isConnected ? everyMs : false,
    enabled: isConnected,
    placeholderData: keepPreviousData,
  });
}

export function useStats(): UseQueryResult<Stats> {
  return usePolled(['stats'], FIGURES_MS, (trpc, signal) => trpc.admin.stats.query(undefined, { signal }));
}

export function useSeries(): UseQueryResult<Series> {
  return usePolled(['series'], SERIES_MS, (trpc, signal) => trpc.admin.series.query(undefined, { signal }));
}

export function useChannels(): UseQueryResult<readonly ChannelActivity[]> {
  return usePolled(['channels'], FIGURES_MS, (trpc, signal) => trpc.admin.channels.query(undefined, { signal }));
}

/** @param sub limits the answer to one principal, when there are more connections than one answer holds. */
export function useConnections(sub?: string): UseQueryResult<Connections> {
  return usePolled(['connections', sub], FIGURES_MS, (trpc, signal) =>
    trpc.admin.connections.query(sub === undefined ? undefined : { sub }, { signal }),
  );
}

/** The subscribers of an event's channel, and whether each was handed the event. */
export function useRecipients(event: { readonly id: string; readonly channel: string; readonly type: string }): UseQueryResult<Recipients> {
  const { id, channel, type } = event;
  return usePolled(['recipients', id], FIGURES_MS, (trpc, signal) => trpc.admin.recipients.query({ id, channel, type }, { signal }));
}

/** Asks over HTTP, as the health matters most while there is no connection. */
export function useHealth(): UseQueryResult<Health> {
  return useQuery({ queryKey: ['health'], queryFn: ({ signal }) => askHealth(signal), refetchInterval: SERIES_MS });
}

async function askHealth(signal: AbortSignal): Promise<Health> {
  const response = await fetch(`${GATEWAY_URL}/health`, { signal, credentials: 'omit' }).catch((cause: unknown) => {
    throw new Error('the gateway does not answer', { cause });
  });
  // An unhealthy gateway answers with 503 and the reasons.
  if (response.status !== 200 && response.status !== 503) throw new Error(`GET /health was answered with ${response.status}`);
  return response.json();
}
