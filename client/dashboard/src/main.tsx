/** The page: the theme around the gate, and the message when a part of the page fails. */
import './styles.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { session, tokenInAddress } from './session/session.ts';
import { Gate } from './shell/gate.tsx';
import { Theme } from './shell/theme.tsx';

const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root');

session.begin(tokenInAddress());
// A sign-in link that is opened in an open page changes the fragment only.
addEventListener('hashchange', () => session.begin(tokenInAddress()));

createRoot(root).render(
  <StrictMode>
    <Theme>
      <Gate />
    </Theme>
  </StrictMode>,
);
