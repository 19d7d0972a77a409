/** Every backtest: how far it is, and what came of it. */
import type { EventData } from '@lumiere/courier-client';
import { useChannel } from '@lumiere/courier-client/react';
import type { ReactElement } from 'react';
import { Panel } from './panel.tsx';
import { HISTORY, percent, rowsOf, SHOWN } from './rows.ts';

interface Backtest {
  readonly progress: number;
  readonly metrics?: EventData<'backtest.completed'>['metrics'];
  readonly failure?: string;
}

export function Backtests(): ReactElement {
  const channel = useChannel('backtest.*', { from: 'earliest', history: HISTORY });
  const backtests = rowsOf<(typeof channel.events)[number], Backtest>(
    channel.events,
    ({ data }) => data.backtest_id,
    (event, row) => {
      switch (event.type) {
        case 'backtest.started':
          return { progress: 0 };
        case 'backtest.progress':
          return { progress: event.data.progress };
        case 'backtest.completed':
          return { progress: 1, metrics: event.data.metrics };
        case 'backtest.failed':
          return { progress: row?.progress ?? 0, failure: event.data.message };
      }
    },
  );
  return (
    <Panel title="Backtests" channel={channel} rows={backtests.length}>
      <ul>
        {backtests.slice(0, SHOWN).map(([id, { progress, metrics, failure }]) => (
          <li key={id} data-row={id}>
            <b>{id}</b>
            <progress value={progress} aria-label={`Progress of ${id}`} />
            {failure !== undefined && <span className="bad">{failure}</span>}
            {metrics && (
              <span>
                <span className={metrics.total_return < 0 ? 'bad' : 'good'}>{percent(metrics.total_return)}</span> return,{' '}
                {percent(metrics.max_drawdown)} drawdown, {metrics.trades} trades
              </span>
            )}
            {failure === undefined && metrics === undefined && <span>{percent(progress)} done</span>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
