/** The tRPC WebSocket endpoint, for any router: what it takes to serve a connection. */
import type { IncomingMessage } from 'node:http';
import type { AnyTRPCRouter, inferRouterContext, TRPCError } from '@trpc/server';
import type { TRPCRequestInfo } from '@trpc/server/http';
import type { Connection } from '../connections/connection.ts';
import type { Delivery } from '../delivery/batch.ts';
import type { Meter } from '../observe/meter.ts';
import type { RequestId } from './trpc-messages.ts';

export interface TrpcWebSocketOptions<TRouter extends AnyTRPCRouter> {
  readonly router: TRouter;
  /**
   * Opens the connection and makes its context, once. An error refuses it: the client's calls are answered with the error,
   * and it is closed with the error's close code.
   */
  readonly createContext: (opts: {
    readonly req: IncomingMessage;
    readonly connectionParams: TRPCRequestInfo['connectionParams'];
    readonly connection: Connection;
  }) => Promise<inferRouterContext<TRouter>>;
  /** The context of one call on a connection, made from that of the connection. */
  readonly contextOfCall: (ctx: inferRouterContext<TRouter>, id: RequestId) => inferRouterContext<TRouter>;
  readonly onError: (info: {
    readonly error: TRPCError;
    readonly path: string | undefined;
    readonly type: 'query' | 'mutation' | 'subscription' | 'unknown';
    readonly ctx: inferRouterContext<TRouter> | undefined;
  }) => void;
  /** Told when a client breaks the WebSocket protocol, or its connection breaks. */
  readonly onSocketError: (error: Error) => void;
  readonly meter: Pick<Meter, 'message'>;
  /** How an event of an EventStream is written after `"data":`. */
  readonly encodeTracked: (delivery: Delivery) => string;
  readonly maxSubscriptions: number;
  /** From this many unsent bytes a client gets nothing more, until it reads. */
  readonly highWaterBytes?: number;
  readonly stallMs: number;
}
