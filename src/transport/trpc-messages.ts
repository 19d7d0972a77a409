/** The messages of tRPC over WebSocket: what a call is, and reading what clients send. */
import { TRPCError } from '@trpc/server';
import { parseConnectionParamsFromUnknown, type TRPCRequestInfo } from '@trpc/server/http';
import { parseTRPCMessage, type TRPCResponseMessage } from '@trpc/server/rpc';

/** Characters of a call's id, at most: it is kept as long as the call, and stands in each of its answers. */
const MAX_ID_LENGTH = 128;

export type RequestId = string | number;
/** What a reply begins with: the id of what it answers, and `jsonrpc` where the client sent it. */
export type Envelope = Pick<TRPCResponseMessage, 'id' | 'jsonrpc'>;
/** A call that was read from a message. */
export interface Call {
  readonly id: RequestId;
  readonly envelope: Envelope;
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly path: string;
  /** As it came: it is read when the call is made. */
  readonly input: unknown;
  readonly lastEventId: string | undefined;
  readonly batchIndex: number;
}
/** The client no longer wants the subscription with this id. */
export interface Stop {
  readonly stop: RequestId;
}
/** What can only be answered with an error. */
export interface Unusable {
  readonly envelope: Envelope;
  readonly error: TRPCError;
}
export type Message = Call | Stop | Unusable;

export function envelopeOf(id: Envelope['id'], jsonrpc: unknown): Envelope {
  return jsonrpc === '2.0' ? { id, jsonrpc } : { id };
}

/** Leaves input as it is: what it costs to read it is the call's. */
const AS_IT_IS = { serialize: (value: unknown) => value, deserialize: (value: unknown) => value };
const UNREAD = { input: AS_IT_IS, output: AS_IT_IS };

/** Reads the text of a message, which may carry several. When any part of it is none, it is one that cannot be used. */
export function readMessages(text: string, isBinary: boolean): Message[] {
  try {
    return messagesFrom(parseText(text, isBinary));
  } catch (cause) {
    return [{ envelope: { id: null }, error: new TRPCError({ code: 'PARSE_ERROR', cause }) }];
  }
}

function messagesFrom(data: unknown): Message[] {
  const parts: unknown[] = Array.isArray(data) ? data : [data];
  return parts.map((part, batchIndex) => {
    const message = parseTRPCMessage(part, UNREAD);
    const { id, jsonrpc } = message;
    if (id === null)
      return { envelope: envelopeOf(null, jsonrpc), error: new TRPCError({ code: 'PARSE_ERROR', message: '`id` is required' }) };
    if (message.method === 'subscription.stop') return { stop: id };
    if (typeof id === 'string' && id.length > MAX_ID_LENGTH) throw new Error(`an id has at most ${MAX_ID_LENGTH} characters`);
    const { path, input, lastEventId } = message.params;
    return { id, envelope: envelopeOf(id, jsonrpc), type: message.method, path, input, lastEventId, batchIndex };
  });
}

function parseText(text: string, isBinary: boolean): unknown {
  if (isBinary) throw new TypeError('messages must be text frames');
  return JSON.parse(text);
}

/** Reads the connection parameters. @throws {TRPCError} PARSE_ERROR */
export function connectionParamsFrom(text: string, isBinary: boolean): TRPCRequestInfo['connectionParams'] {
  let message: unknown;
  try {
    message = parseText(text, isBinary);
    if (!isRecord(message)) throw new Error('Message was not an object');
  } catch (cause) {
    throw new TRPCError({ code: 'PARSE_ERROR', message: 'Malformed TRPCConnectionParamsMessage', cause });
  }
  return parseConnectionParamsFromUnknown(message['data']);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
