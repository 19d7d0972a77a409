/** A part of the page, which says when its rows are not all that there is. */
import type { ChannelState } from '@lumiere/courier-client/react';
import type { ReactElement, ReactNode } from 'react';
import { SHOWN } from './rows.ts';

interface PanelProps {
  readonly title: string;
  readonly channel: ChannelState<unknown>;
  /** How many rows there are. */
  readonly rows: number;
  /** The latest of them. */
  readonly children: ReactNode;
}

export function Panel({ title, channel: { status, gap, error, clear, events }, rows, children }: PanelProps): ReactElement {
  return (
    <section data-panel={title} data-status={status} aria-busy={status === 'connecting'}>
      <h2>
        {title}{' '}
        <small>
          {Math.min(SHOWN, rows)} of {rows}, from {events.length} {events.length === 1 ? 'event' : 'events'}
        </small>
      </h2>
      {status === 'failed' && (
        <p role="alert">
          This cannot be shown: {error?.message}. {error?.hint}
        </p>
      )}
      {gap && (
        <p role="alert">
          Some events are missing ({gap.reason}): what follows may be incomplete.{' '}
          <button type="button" onClick={clear}>
            Start anew
          </button>
        </p>
      )}
      {events.length === 0 ? <p>{status === 'live' ? 'Nothing yet.' : 'Waiting for the gateway.'}</p> : children}
    </section>
  );
}
