/** Who looks at the dashboard. */
import type { Identity } from '@lumiere/courier-client';
import { useSession } from './session.ts';

/** @throws where nobody is signed in: pages are not shown then. */
export function useIdentity(): Identity {
  const state = useSession();
  if (state.status !== 'signed-in') throw new Error('nobody is signed in');
  return state.identity;
}

/** Services see less: neither who is connected, nor what can be done about it. */
export function useIsAdmin(): boolean {
  const state = useSession();
  return state.status === 'signed-in' && state.identity.role === 'admin';
}
