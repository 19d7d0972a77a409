/** The frontend: shows the research of a user, and says whenever it cannot show all of it. */
import './style.css';
import { CourierClient } from '@lumiere/courier-client';
import { CourierProvider } from '@lumiere/courier-client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Backtests } from './backtests.tsx';
import { Connection } from './connection.tsx';
import { Orders } from './orders.tsx';
import { Positions } from './positions.tsx';
import { Strategies } from './strategies.tsx';

async function token(): Promise<string> {
  const response = await fetch('/session/courier-token');
  if (!response.ok) throw new Error(`the session has no token: ${response.status}`);
  return response.text();
}

const client = new CourierClient({ url: COURIER_URL, token });

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <CourierProvider client={client}>
      <header>
        <h1>Lumiere research</h1>
        <Connection />
      </header>
      <main>
        <Backtests />
        <Strategies />
        <Orders />
        <Positions />
      </main>
    </CourierProvider>
  </StrictMode>,
);
