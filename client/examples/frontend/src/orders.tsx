/** The latest orders, and what became of them. */
import { useChannel } from '@lumiere/courier-client/react';
import type { ReactElement } from 'react';
import { Panel } from './panel.tsx';
import { HISTORY, rowsOf, SHOWN } from './rows.ts';

const TYPES = ['order.placed', 'order.filled', 'order.cancelled'] as const;

export function Orders(): ReactElement {
  const channel = useChannel('strategy.*', { types: TYPES, from: 'earliest', history: HISTORY });
  const orders = rowsOf<(typeof channel.events)[number], { terms: string; state: string }>(
    channel.events,
    ({ channel: strategy, data }) => `${strategy.replace('strategy.', '')} ${data.order_id}`,
    (event, row) => {
      switch (event.type) {
        case 'order.placed':
          return { terms: `${event.data.side} ${event.data.quantity} ${event.data.symbol}`, state: 'placed' };
        case 'order.filled':
          return { terms: `${event.data.side} ${event.data.quantity} ${event.data.symbol}`, state: `filled at ${event.data.price}` };
        case 'order.cancelled':
          return { terms: row?.terms ?? '', state: `cancelled: ${event.data.reason}` };
      }
    },
  );
  return (
    <Panel title="Orders" channel={channel} rows={orders.length}>
      <table>
        <thead>
          <tr>
            <th>Order</th>
            <th>Terms</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {orders.slice(0, SHOWN).map(([id, { terms, state }]) => (
            <tr key={id} data-row={id}>
              <td>{id}</td>
              <td>{terms}</td>
              <td>{state}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
