/** What serves the connections of tRPC over WebSocket: the router, who its calls speak for, who is told of errors. */
import type { IncomingMessage } from 'node:http';
import type { AnyTRPCRouter, TRPCError } from '@trpc/server';
import type { Connection } from '../connections/connection.ts';
import { cut } from '../errors.ts';
import type { Meter } from '../observe/meter.ts';
import { serializedText } from '../router/serialize.ts';
import { Context } from '../router/trpc.ts';
import { type ConnectionParams, credentialsOf, identityOf } from './caller.ts';
import type { TrpcDeps } from './trpc-http.ts';
import type { Opened, WebSocketWireOptions } from './web-socket-wire.ts';

export type RequestId = string | number;
/** What errors are told with. The router may need more of the context of a call. */
export type CallContext = Pick<Context, 'requestId' | 'connectionId'>;

export interface TrpcEndpoint extends WebSocketWireOptions {
  readonly router: AnyTRPCRouter;
  /** The JSON of what the router's transformer makes of an answer. */
  readonly textOf: (answer: unknown) => string;
  /**
   * Opens the connection, once, unless it is `opened`; resolves to what makes the context of each call. An error refuses the connection: the
   * client's calls are answered with the error, and it is closed with the error's close code.
   */
  readonly open: (
    connection: Connection,
    req: IncomingMessage,
    params: ConnectionParams,
    opened: Opened | undefined,
  ) => Promise<(id: RequestId) => CallContext>;
  readonly onError: (info: {
    readonly error: TRPCError;
    readonly path: string | undefined;
    readonly type: 'query' | 'mutation' | 'subscription' | 'unknown';
    readonly ctx: CallContext | undefined;
    readonly connection: Connection;
  }) => void;
  readonly meter: Pick<Meter, 'message'>;
  /** On one connection. */
  readonly maxSubscriptions: number;
}

const MAX_SUBSCRIPTIONS = 100;

/** May a call's id, which clients choose, stand in logs? */
const isPlain = (id: RequestId) => typeof id === 'number' || /^[\w.:-]{1,64}$/.test(id);

/** `WS /trpc`: Courier's own router. */
export function trpcEndpoint({ router, pipeline, administration, failures, ...wire }: TrpcDeps & WebSocketWireOptions): TrpcEndpoint {
  return {
    ...wire,
    router,
    textOf: serializedText,
    open: async (connection, req, params, opened) => {
      await (opened?.() ?? connection.open(credentialsOf(req, params?.['token']), identityOf(req, params)));
      const { id: connectionId } = connection;
      const { requestId } = connection;
      const context = new Context({ connection, administration, pipeline, failures, connectionId, requestId, traceparent: undefined });
      return (id) => context.ofCall(`${requestId}/${isPlain(id) ? id : 'call'}`);
    },
    onError: ({ error, path, ctx, connection }) => {
      const requestId = ctx?.requestId ?? connection.requestId;
      failures.answer('trpc', error, { request_id: requestId, connection_id: connection.id, procedure: path && cut(path) }, connection);
    },
    meter: pipeline.meter,
    maxSubscriptions: MAX_SUBSCRIPTIONS,
  };
}
