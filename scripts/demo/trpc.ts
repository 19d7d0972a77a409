import type { AppRouter } from '@lumiere/courier-client';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';

const url = 'ws://127.0.0.1:8766/trpc';
const ws = createWSClient({
  url,
  connectionParams: { token: process.env['COURIER_TOKEN'] ?? '' },
  onError: () => console.error(`no gateway answers at ${url}; trying again`),
});
const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });

const subscription = trpc.backtest.onEvent.subscribe(
  { backtest_id: 'b1', from: 'earliest' },
  {
    onData: ({ data: event }) => {
      if (event.type !== 'backtest.progress') return;
      console.log(`${event.data.backtest_id} is at ${event.data.progress * 100}%`, event.metadata.timestamp.getFullYear());
      subscription.unsubscribe();
      void ws.close();
    },
    onError: ({ message }) => {
      console.error(message);
      void ws.close();
    },
  },
);
