/** The state of the connection, always in sight, and what the user can do about it. */
import { useCourierClient, useCourierConnection } from '@lumiere/courier-client/react';
import type { ReactElement } from 'react';

export function Connection(): ReactElement {
  const client = useCourierClient();
  const connection = useCourierConnection();
  return (
    <div className="connection" data-status={connection.status}>
      <p role="status">{useWords()}</p>
      {connection.status === 'connecting' && connection.retryAt !== undefined && (
        // The state has the error of an attempt that fails.
        <button type="button" onClick={() => void client.connect().catch(() => undefined)}>
          Try now
        </button>
      )}
      {connection.status === 'refused' && (
        <button type="button" onClick={() => location.reload()}>
          Sign in again
        </button>
      )}
    </div>
  );
}

function useWords(): string {
  const connection = useCourierConnection();
  switch (connection.status) {
    case 'connected':
      return `Connected as ${connection.identity.sub}`;
    case 'connecting':
      return connection.error === undefined ? 'Connecting …' : `Reconnecting: ${connection.error.message}`;
    case 'refused':
      return `Refused: ${connection.error.message}`;
    case 'idle':
    case 'closed':
      return 'Not connected';
  }
}
