/** The messages of tRPC over WebSocket: what a call is, and reading what clients send. */
import { TRPCError } from '@trpc/server';
import { parseConnectionParamsFromUnknown, type TRPCRequestInfo } from '@trpc/server/http';
import type { TRPCResponseMessage } from '@trpc/server/rpc';

export type RequestId = string | number;
/** What a reply begins with: the id of what it answers, and `jsonrpc` where the client sent it. */
export type Envelope = Pick<TRPCResponseMessage, 'id' | 'jsonrpc'>;
/** A call that was read from a message. */
export interface Call {
  readonly id: RequestId;
  readonly envelope: Envelope;
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly path: string;
  readonly input: unknown;
  readonly batchIndex: number;
}

export function envelopeOf(id: Envelope['id'], jsonrpc: unknown): Envelope {
  return jsonrpc === '2.0' ? { id, jsonrpc } : { id };
}

export function connectionParamsFrom(parse: () => unknown): TRPCRequestInfo['connectionParams'] {
  let message: unknown;
  try {
    message = parse();
    if (!isRecord(message)) throw new Error('Message was not an object');
  } catch (cause) {
    throw new TRPCError({ code: 'PARSE_ERROR', message: 'Malformed TRPCConnectionParamsMessage', cause });
  }
  return parseConnectionParamsFromUnknown(message['data']);
}

export function isAnswerable(message: unknown): message is { id: RequestId; jsonrpc?: unknown } {
  if (!isRecord(message) || message['method'] === 'subscription.stop') return false;
  return typeof message['id'] === 'number' || typeof message['id'] === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
