/** Subscribes with `@trpc/tanstack-react-query`: over tRPC's own link, and over the connection of Courier's client. */
import { type AppRouter, CourierClient } from '@lumiere/courier-client';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { createTRPCOptionsProxy, useSubscription } from '@trpc/tanstack-react-query';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import superjson from 'superjson';

const { url = '', token = '' } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const queryClient = new QueryClient();
const ws = createWSClient({ url: `${url.replace('http', 'ws')}/trpc`, connectionParams: { token } });
const stock = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });
const courier = new CourierClient({ url, token });
const views = {
  stock: createTRPCOptionsProxy<AppRouter>({ client: stock, queryClient }),
  courier: createTRPCOptionsProxy<AppRouter>({ client: courier.trpc, queryClient }),
};

function Progress({ view }: { view: keyof typeof views }) {
  const [progress, setProgress] = useState<number>();
  const options = views[view].backtest.onEvent.subscriptionOptions(
    { backtest_id: 'b1', from: 'earliest' },
    { onData: ({ data: event }) => event.type === 'backtest.progress' && setProgress(event.data.progress) },
  );
  const { error, status } = useSubscription(options);
  return <p data-view={view}>{progress === undefined ? `${status} ${error?.message ?? ''}` : `at ${progress * 100}%`}</p>;
}

createRoot(document.body).render(
  <QueryClientProvider client={queryClient}>
    <Progress view="stock" />
    <Progress view="courier" />
  </QueryClientProvider>,
);
