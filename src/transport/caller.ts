/** Who a request speaks for and which client sends it, as far as its address, its headers and its connection parameters say. */
import type { IncomingMessage } from 'node:http';
import { parseConnectionParamsFromString, type TRPCRequestInfo } from '@trpc/server/http';
import type { Credentials } from '../auth/tokens.ts';
import type { ClientIdentity } from '../contract/admin.ts';
import { headerOf } from './http-exchange.ts';
import { parametersIn } from './query.ts';
import type { RequestTarget } from './request-target.ts';

export type ConnectionParams = TRPCRequestInfo['connectionParams'];

const CLIENT = /^[\w./+-]{1,64}$/;
const CONTRACT = /^[0-9a-f]{16}$/;

/** @param token from the address or the connection parameters, which counts before that of the header. */
export function credentialsOf(req: IncomingMessage, token?: string): Credentials {
  return { token, authorization: headerOf(req, 'authorization') };
}

/**
 * The token in an address without tRPC; the first of several, with which nothing is served: `parametersIn` refuses the address then, once
 * it is known who calls.
 */
export function tokenIn({ search }: RequestTarget): string | undefined {
  return new URLSearchParams(search).get('token') ?? undefined;
}

/** The connection parameters in the address of a request to tRPC. @throws {TRPCError} PARSE_ERROR; BAD_REQUEST as `parametersIn`. */
export function connectionParamsIn(target: RequestTarget): ConnectionParams {
  const text = parametersIn(target).get('connectionParams');
  return text === undefined ? null : parseConnectionParamsFromString(text);
}

/**
 * What a client says that it is, in the connection parameters `client` and `contract`, else in `X-Courier-Client` and
 * `X-Courier-Contract`. It is for figures and never for rights: what is malformed counts as not said.
 */
export function identityOf(req: IncomingMessage, params: ConnectionParams = null): ClientIdentity {
  return {
    client: wellFormed(CLIENT, params?.['client'] ?? headerOf(req, 'x-courier-client')),
    contract: wellFormed(CONTRACT, params?.['contract'] ?? headerOf(req, 'x-courier-contract')),
  };
}

function wellFormed(form: RegExp, value: string | undefined): string | null {
  return value !== undefined && form.test(value) ? value : null;
}
