/** The frontend: shows a running backtest, and says when the page cannot show it. */
import { CourierClient } from '@lumiere/courier-client';
import { CourierProvider, useBacktestEvents, useCourierConnection } from '@lumiere/courier-client/react';

const client = new CourierClient({ url: '/', token: async () => (await fetch('/session/courier-token')).text() });

function Backtest({ id }: { readonly id: string }) {
  const { latest, status, gap, error } = useBacktestEvents(id, { from: 'earliest' });
  if (status === 'failed') return <p role="alert">This backtest cannot be shown: {String(error)}</p>;
  return (
    <section>
      {gap && <p>Some of its events are no longer kept.</p>}
      {latest?.type === 'backtest.progress' && <progress value={latest.data.progress} />}
      {latest?.type === 'backtest.completed' && <p>Return {latest.data.metrics.total_return}</p>}
      {latest?.type === 'backtest.failed' && <p role="alert">{latest.data.message}</p>}
    </section>
  );
}

function Connection() {
  const connection = useCourierConnection();
  if (connection.status === 'refused') return <a href="/login">Sign in again</a>;
  return connection.status === 'connected' ? null : <p>Connecting …</p>;
}

export function Page() {
  return (
    <CourierProvider client={client}>
      <Connection />
      <Backtest id="b1" />
    </CourierProvider>
  );
}
