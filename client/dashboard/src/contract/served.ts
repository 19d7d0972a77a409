/** The types of any contract: which one the gateway serves is known once the page has its document. */
import type { CourierClient, CourierEvent } from '@lumiere/courier-client';
import { useCourierClient } from '@lumiere/courier-client/react';

export interface ServedContract {
  /** Exists for the compiler only. */
  readonly '~types': {
    readonly data: Readonly<Record<string, object>>;
    readonly input: Readonly<Record<string, object>>;
    readonly families: Readonly<Record<string, string>>;
    readonly services: Readonly<Record<string, string>>;
    readonly ids: Readonly<Record<string, string>>;
    readonly states: Readonly<Record<string, object>>;
  };
}

export type ServedEvent = CourierEvent<string, ServedContract>;
export type Client = CourierClient<ServedContract>;

/** The client of the session. */
export const useClient: () => Client = useCourierClient;
