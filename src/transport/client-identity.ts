/** What a client says that it is. It is its own word, for figures and never for rights: what is malformed counts as not said. */

import type { IncomingMessage } from 'node:http';
import type { TRPCRequestInfo } from '@trpc/server/http';
import type { ClientIdentity } from '../contract/admin.ts';
import { headerOf } from './http-exchange.ts';

const CLIENT = /^[\w./+-]{1,64}$/;
const CONTRACT = /^[0-9a-f]{16}$/;

/** The identity in the connection parameters `client` and `contract`, else in `X-Courier-Client` and `X-Courier-Contract`. */
export function identityOf(req: IncomingMessage, params: TRPCRequestInfo['connectionParams'] = null): ClientIdentity {
  return {
    client: wellFormed(CLIENT, params?.['client'] ?? headerOf(req, 'x-courier-client')),
    contract: wellFormed(CONTRACT, params?.['contract'] ?? headerOf(req, 'x-courier-contract')),
  };
}

function wellFormed(form: RegExp, value: string | undefined): string | null {
  return value !== undefined && form.test(value) ? value : null;
}
