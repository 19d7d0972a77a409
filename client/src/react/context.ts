/** The client of a tree of components, and its connection. */
import { createContext, createElement, type ReactElement, type ReactNode, useContext, useSyncExternalStore } from 'react';
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import { CourierError } from '../errors.ts';

const Context = createContext<AnyCourierClient | undefined>(undefined);

export interface CourierProviderProps {
  /** Made once, outside of components: another one means other connections and other subscriptions. */
  readonly client: AnyCourierClient;
  readonly children?: ReactNode;
}

/** Gives the components below it the client. It neither connects nor closes it. */
export function CourierProvider({ client, children }: CourierProviderProps): ReactElement {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest CourierProvider. @throws {CourierError} INVALID_ARGUMENT when there is none. */
export function useCourierClient(): AnyCourierClient {
  const client = useContext(Context);
  if (client !== undefined) return client;
  throw new CourierError('INVALID_ARGUMENT', 'there is no CourierProvider above this component', {
    hint: 'put <CourierProvider client={client}> around what uses Courier',
  });
}

const IDLE: ConnectionState = { status: 'idle' };

/** What becomes of the connection: who is signed in, why it was lost or refused. */
export function useCourierConnection(): ConnectionState {
  const { connection } = useCourierClient();
  return useSyncExternalStore(connection.subscribe, connection.get, () => IDLE);
}
