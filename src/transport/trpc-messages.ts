/** The messages of tRPC over WebSocket: reading what clients send, and writing the answers and events that they get. */
import { getTRPCErrorFromUnknown, getTRPCErrorShape, TRPCError, transformTRPCResponse } from '@trpc/server';
import { parseConnectionParamsFromUnknown } from '@trpc/server/http';
import { parseTRPCMessage, TRPC_ERROR_CODES_BY_KEY, type TRPCErrorShape, type TRPCResponseMessage } from '@trpc/server/rpc';
import type { Connection } from '../connections/connection.ts';
import type { Delivery } from '../delivery/batch.ts';
import type { ConnectionParams } from './caller.ts';
import type { CallContext, RequestId, TrpcEndpoint } from './trpc-endpoint.ts';
import type { WebSocketWriter } from './web-socket-writer.ts';

/** UTF-16 units of a call's id, at most: the gateway keeps it as long as the call, and writes it in each answer. */
const MAX_ID_UNITS = 128;

/** What a reply begins with: the id of what it answers, and `jsonrpc` where the client sent it. */
export type Envelope = Pick<TRPCResponseMessage, 'id' | 'jsonrpc'>;
/** A call that was read from a message. */
export interface Call {
  readonly id: RequestId;
  readonly envelope: Envelope;
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly path: string;
  /** As it came; the call reads it. */
  readonly input: unknown;
  readonly lastEventId: string | undefined;
  readonly batchIndex: number;
}
/** The client no longer wants the subscription with this id. */
interface Stop {
  readonly stop: RequestId;
}
/** What can only be answered with an error. */
export interface Unusable {
  readonly envelope: Envelope;
  readonly error: TRPCError;
}
export type Message = Call | Stop | Unusable;

function envelopeOf(id: Envelope['id'], jsonrpc: unknown): Envelope {
  return jsonrpc === '2.0' ? { id, jsonrpc } : { id };
}

/** Leaves input unread: its call is charged before anybody reads it. */
const AS_IT_IS = { serialize: (value: unknown) => value, deserialize: (value: unknown) => value };
const UNREAD = { input: AS_IT_IS, output: AS_IT_IS };

/** Reads the text of a frame, which may carry several messages. When one of them is malformed, all of it is one that cannot be used. */
export function readMessages(text: string, isBinary: boolean): Message[] {
  try {
    return messagesFrom(parseText(text, isBinary));
  } catch (cause) {
    return [
      {
        envelope: { id: null },
        error: new TRPCError({ code: 'PARSE_ERROR', message: ownCopy(cause instanceof Error ? cause.message : String(cause)) }),
      },
    ];
  }
}

/** The error may wait to be told, and V8's errors of JSON keep the text that they are about: a MiB of it. */
function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}

function messagesFrom(data: unknown): Message[] {
  const parts: unknown[] = Array.isArray(data) ? data : [data];
  return parts.map((part, batchIndex) => {
    const message = parseTRPCMessage(part, UNREAD);
    const { id, jsonrpc } = message;
    if (id === null)
      return { envelope: envelopeOf(null, jsonrpc), error: new TRPCError({ code: 'PARSE_ERROR', message: '`id` is required' }) };
    if (typeof id === 'string' && id.length > MAX_ID_UNITS) throw new Error(`an id has at most ${MAX_ID_UNITS} characters`);
    // JSON has no such number: its answers would be nobody's.
    if (typeof id === 'number' && !Number.isFinite(id)) throw new Error('an id is a finite number or a text');
    if (message.method === 'subscription.stop') return { stop: id };
    const { path, input, lastEventId } = message.params;
    return { id, envelope: envelopeOf(id, jsonrpc), type: message.method, path, input, lastEventId, batchIndex };
  });
}

function parseText(text: string, isBinary: boolean): unknown {
  if (isBinary) throw new TypeError('messages must be text frames');
  return JSON.parse(text);
}

/** Reads the connection parameters. @throws {TRPCError} PARSE_ERROR */
export function connectionParamsFrom(text: string, isBinary: boolean): ConnectionParams {
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

/** What a client is told when its error cannot be put in words. */
const FALLBACK_SHAPE: TRPCErrorShape = {
  code: TRPC_ERROR_CODES_BY_KEY.INTERNAL_SERVER_ERROR,
  message: 'Internal server error',
  data: { code: 'INTERNAL_SERVER_ERROR', httpStatus: 500 },
};

/** A call and the context that it runs in, once there is one. */
export interface RunningCall {
  readonly call: Call;
  readonly ctx?: CallContext;
}

/** Answers the calls of one connection, in tRPC's form. */
export class TrpcReplies {
  readonly #endpoint: Pick<TrpcEndpoint, 'router' | 'textOf' | 'onError'>;
  readonly #connection: Connection;
  readonly #writer: WebSocketWriter;

  constructor(endpoint: Pick<TrpcEndpoint, 'router' | 'textOf' | 'onError'>, connection: Connection, writer: WebSocketWriter) {
    this.#endpoint = endpoint;
    this.#connection = connection;
    this.#writer = writer;
  }

  /** Answers a call with what it gave. Throws what the transformer or the result itself throws. */
  sendResult({ envelope }: Call, data: unknown): void {
    this.#writer.writeText(`${JSON.stringify(envelope).slice(0, -1)},"result":{"type":"data","data":${this.#endpoint.textOf(data)}}}`);
  }

  /** Sends a reply. Throws what the transformer or the result itself throws. */
  send(message: TRPCResponseMessage): void {
    this.#writer.writeText(JSON.stringify(transformTRPCResponse(this.#endpoint.router._def._config, message)));
  }

  /** Reports what a call ended with, and answers it. */
  fail(running: RunningCall, cause: unknown): void {
    const error = getTRPCErrorFromUnknown(cause);
    this.report(error, running);
    this.sendError(running.call.envelope, error, running);
  }

  /** Sends an error, or, so that the client does not wait, another in place of one that cannot be written. */
  sendError(envelope: Envelope, error: TRPCError, running?: RunningCall): void {
    const shape = this.#shapeOf(error, running);
    try {
      this.send({ ...envelope, error: shape });
    } catch (cause) {
      this.report(cause, running);
      this.send({ ...envelope, error: FALLBACK_SHAPE });
    }
  }

  #shapeOf(error: TRPCError, running: RunningCall | undefined): TRPCErrorShape {
    const { type = 'unknown', path } = running?.call ?? {};
    try {
      const config = this.#endpoint.router._def._config;
      return getTRPCErrorShape({ config, error, type, path, input: undefined, ctx: running?.ctx });
    } catch (cause) {
      this.report(cause, running);
      return FALLBACK_SHAPE;
    }
  }

  report(cause: unknown, running?: RunningCall): void {
    const { type = 'unknown', path } = running?.call ?? {};
    this.#endpoint.onError({ error: getTRPCErrorFromUnknown(cause), path, type, ctx: running?.ctx, connection: this.#connection });
  }
}

// What superjson makes of an event, from the event's JSON text and without walking it: its timestamp becomes a Date at the client.

/** The event by itself. */
export function encodeEvent({ json, hasTimestamp }: Delivery): string {
  if (!hasTimestamp) return `{"json":${json}}`;
  return `{"json":${json},"meta":{"values":{"metadata.timestamp":["Date"]},"v":1}}`;
}

/** The text after `"data":` in a tRPC result: `tracked(id, event)`. */
export function encodeTracked({ id, json, hasTimestamp }: Delivery): string {
  if (!hasTimestamp) return `{"json":{"id":"${id}","data":${json}}}`;
  return `{"json":{"id":"${id}","data":${json}},"meta":{"values":{"data.metadata.timestamp":["Date"]},"v":1}}`;
}
