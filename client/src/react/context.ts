/** The client of a tree of components, and the state of its connection. */
import { createContext, createElement, type ReactElement, type ReactNode, useContext, useSyncExternalStore } from 'react';
import type { AnyCourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import { CourierError } from '../errors.ts';

const Context = createContext<AnyCourierClient | undefined>(undefined);

export interface CourierProviderProps {
  /** Make the client once, outside of components: another client has other connections and subscriptions. */
  readonly client: AnyCourierClient;
  readonly children?: ReactNode;
}

/** Gives the client to the components below. It neither connects nor closes the client. */
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

/** The state of the connection: who is signed in, and why it was lost or refused. */
export function useCourierConnection(): ConnectionState {
  const { connection } = useCourierClient();
  return useSyncExternalStore(connection.subscribe, connection.get, () => IDLE);
}
