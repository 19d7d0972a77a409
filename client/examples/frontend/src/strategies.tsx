/** Every strategy, from its first proposal on. */
import { useChannel } from '@lumiere/courier-client/react';
import type { ReactElement } from 'react';
import { Panel } from './panel.tsx';
import { HISTORY, percent, rowsOf, SHOWN } from './rows.ts';

const TYPES = [
  'strategy.generation.started',
  'strategy.generation.progress',
  'strategy.generation.completed',
  'strategy.generation.failed',
] as const;

export function Strategies(): ReactElement {
  const channel = useChannel('strategy.*', { types: TYPES, from: 'earliest', history: HISTORY });
  const strategies = rowsOf<(typeof channel.events)[number], ReactElement>(
    channel.events,
    ({ data }) => data.strategy_id,
    (event) => {
      switch (event.type) {
        case 'strategy.generation.started':
          return <span>proposed</span>;
        case 'strategy.generation.progress':
          return (
            <span>
              {percent(event.data.progress)} {event.data.stage}
            </span>
          );
        case 'strategy.generation.completed':
          return <span className="good">{event.data.name ?? 'complete'}</span>;
        case 'strategy.generation.failed':
          return <span className="bad">{event.data.message}</span>;
      }
    },
  );
  return (
    <Panel title="Strategies" channel={channel} rows={strategies.length}>
      <ul>
        {strategies.slice(0, SHOWN).map(([id, state]) => (
          <li key={id} data-row={id}>
            <b>{id}</b> {state}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
