import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';
import type { AppRouter } from '../../src/router/index.ts';

const ws = createWSClient({
  url: 'ws://127.0.0.1:8766/trpc',
  connectionParams: { token: process.env['COURIER_TOKEN'] ?? '' },
});
const courier = createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] });

courier.backtest.onEvent.subscribe(
  { backtest_id: 'b1' },
  {
    onData: async ({ data: event }) => {
      if (event.type === 'courier.live') {
        // `type` decides what `data` and `channel` must be: anything else does not compile.
        await courier.events.publish.mutate({
          type: 'backtest.progress',
          channel: 'backtest.b1',
          data: { backtest_id: 'b1', progress: 0.5 },
        });
      } else if (event.type === 'backtest.progress') {
        console.log(`${event.data.backtest_id} is at ${event.data.progress * 100}%`, event.metadata.timestamp.getFullYear());
        await ws.close();
      }
    },
  },
);
