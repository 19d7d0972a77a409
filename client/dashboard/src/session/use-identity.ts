/** The identity of the signed-in user. */
import type { Identity } from '@lumiere/courier-client';
import { useSession } from './session.ts';

/** @throws when nobody is signed in: the gate shows no page then. */
export function useIdentity(): Identity {
  const state = useSession();
  if (state.status !== 'signed-in') throw new Error('nobody is signed in');
  return state.identity;
}

/** Services see neither the connections nor the actions on them. */
export function useIsAdmin(): boolean {
  const state = useSession();
  return state.status === 'signed-in' && state.identity.role === 'admin';
}
