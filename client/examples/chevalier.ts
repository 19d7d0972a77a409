/** Chevalier: publishes each step of an order. Trading never waits for Courier, and never fails because of it. */
import { BackgroundPublisher, CourierClient } from '@lumiere/courier-client';

const client = new CourierClient({ url: process.env['COURIER_URL'] ?? 'http://127.0.0.1:8766', token: process.env['COURIER_TOKEN'] ?? '' });
const courier = new BackgroundPublisher(client, {
  onError: ({ code, message, hint }, event) => console.warn(`${event.type} was not published: ${code}: ${message}; ${hint}`),
});

export function orderFilled(strategyId: string, orderId: string, tradeId: string): void {
  const fill = { order_id: orderId, symbol: 'SPX', side: 'buy', quantity: '10', price: '4512.25' } as const;
  const channel = `strategy.${strategyId}` as const;
  courier.submit({ channel, type: 'order.filled', data: fill });
  courier.submit({ channel, type: 'trade.executed', data: { ...fill, trade_id: tradeId, strategy_id: strategyId } });
}

/** Ends with the service: publishes the waiting events, for five seconds at most. */
export async function close(): Promise<void> {
  await courier.close({ timeoutMs: 5000 });
  await client.close();
}
