/** The client of a tree of components, and the state of its connection. */
import { createContext, createElement, type ReactElement, type ReactNode, useContext, useSyncExternalStore } from 'react';
import type { AnyCourierClient, CourierClient } from '../client.ts';
import type { ConnectionState } from '../connection-state.ts';
import type { Contract } from '../contract.ts';
import { CourierError } from '../errors.ts';
import type { AnyContract } from '../events.ts';

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

/**
 * The client of the nearest CourierProvider.
 *
 * @typeParam C the contract of that client.
 * @throws {CourierError} INVALID_ARGUMENT when there is none.
 */
export function useCourierClient<C extends AnyContract = Contract>(): CourierClient<C> {
  const client = useContext(Context);
  if (client !== undefined) return client as CourierClient<C>;
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
