import { CourierClient } from '@lumiere/courier-client';

const courier = new CourierClient({
  url: 'http://127.0.0.1:8766',
  token: process.env['COURIER_TOKEN'] ?? '',
  onGap: 'fail',
  onRetry: ({ message }) => console.warn(message),
});

const subscription = courier.subscribe('backtest.b1', async (event) => {
  if (event.type !== 'backtest.progress') return;
  console.log(`${event.data.backtest_id} is at ${event.data.progress * 100}%`, event.metadata.timestamp.getFullYear());
  await courier.close();
});
await subscription.live;
// The type decides what data and channel must be: anything else does not compile.
await courier.publish('backtest.b1', 'backtest.progress', { backtest_id: 'b1', progress: 0.5 });
