/** The page: a theme around the gate, and what becomes of the page when a part of it fails. */
import './styles.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { session, tokenInAddress } from './session/session.ts';
import { Gate } from './shell/gate.tsx';
import { Theme } from './shell/theme.tsx';

const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root');

session.begin(tokenInAddress());
// A sign-in link that is followed while the page is open changes the fragment only.
addEventListener('hashchange', () => session.begin(tokenInAddress()));

createRoot(root).render(
  <StrictMode>
    <Theme>
      <Gate />
    </Theme>
  </StrictMode>,
);
