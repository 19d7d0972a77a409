/** What each strategy holds, and what its last sale has gained. */
import { useChannel } from '@lumiere/courier-client/react';
import type { ReactElement } from 'react';
import { Panel } from './panel.tsx';
import { HISTORY, rowsOf, SHOWN } from './rows.ts';

export function Positions(): ReactElement {
  const channel = useChannel('strategy.*', { types: ['position.updated'], from: 'earliest', history: HISTORY });
  const positions = rowsOf<(typeof channel.events)[number], (typeof channel.events)[number]['data']>(
    channel.events,
    ({ channel: strategy, data }) => `${strategy.replace('strategy.', '')} ${data.symbol}`,
    ({ data }) => data,
  );
  return (
    <Panel title="Positions" channel={channel} rows={positions.length}>
      <table>
        <thead>
          <tr>
            <th>Position</th>
            <th className="figure">Quantity</th>
            <th className="figure">Average price</th>
            <th className="figure">Last gain</th>
          </tr>
        </thead>
        <tbody>
          {positions.slice(0, SHOWN).map(([id, { quantity, average_price, realized_pnl }]) => (
            <tr key={id} data-row={id}>
              <td>{id}</td>
              <td className="figure">{quantity}</td>
              <td className="figure">{average_price}</td>
              <td className={`figure ${realized_pnl?.startsWith('-') ? 'bad' : 'good'}`}>{realized_pnl}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
