/** Subscribes with `@trpc/react-query`: over tRPC's own link, with Courier's client beside it on the page. */
import { type AppRouter, CourierClient } from '@lumiere/courier-client';
import { CourierProvider, useBacktestEvents } from '@lumiere/courier-client/react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createWSClient, wsLink } from '@trpc/client';
import { createTRPCReact } from '@trpc/react-query';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import superjson from 'superjson';

const { url = '', token = '' } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const queryClient = new QueryClient();
const ws = createWSClient({ url: `${url.replace('http', 'ws')}/trpc`, connectionParams: { token } });
const trpc = createTRPCReact<AppRouter>();
const stock = trpc.createClient({ links: [wsLink({ client: ws, transformer: superjson })] });
const courier = new CourierClient({ url, token });

function Stock() {
  const [progress, setProgress] = useState<number>();
  const { error, status } = trpc.backtest.onEvent.useSubscription(
    { backtest_id: 'b1', from: 'earliest' },
    { onData: ({ data: event }) => event.type === 'backtest.progress' && setProgress(event.data.progress) },
  );
  return <p data-view="stock">{progress === undefined ? `${status} ${error?.message ?? ''}` : `at ${progress * 100}%`}</p>;
}

function Courier() {
  const { latest, error, status } = useBacktestEvents('b1', { from: 'earliest', types: ['backtest.progress'] });
  return <p data-view="courier">{latest === undefined ? `${status} ${error?.message ?? ''}` : `at ${latest.data.progress * 100}%`}</p>;
}

createRoot(document.body).render(
  <trpc.Provider client={stock} queryClient={queryClient}>
    <QueryClientProvider client={queryClient}>
      <CourierProvider client={courier}>
        <Stock />
        <Courier />
      </CourierProvider>
    </QueryClientProvider>
  </trpc.Provider>,
);
