/** The tRPC WebSocket endpoint, for any router: its connections, their deadlines and pings, and their orderly end. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AnyTRPCRouter, inferRouterContext, TRPCError } from '@trpc/server';
import type { TRPCRequestInfo } from '@trpc/server/http';
import type { WebSocket } from 'ws';
import type { CloseCode } from '../contract/codes.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { Meter } from '../observe/meter.ts';
import type { SocketWriterOptions } from './socket-writer.ts';
import { TrpcConnection } from './trpc-connection.ts';
import type { RequestId } from './trpc-messages.ts';

/** What a context may do with its connection. */
export interface ConnectionControl {
  close(code: CloseCode, reason: string): void;
  /** Bytes that have not left for the kernel. */
  bufferedBytes(): number;
  /** Calls `listener` once when the connection has closed; at once when it already has. */
  onClose(listener: () => void): void;
}

export interface TrpcWebSocketOptions<TRouter extends AnyTRPCRouter> extends SocketWriterOptions {
  readonly router: TRouter;
  /**
   * Makes the context, once per connection. An error refuses the connection: the client is told, and it is closed with
   * the error's close code.
   */
  readonly createContext: (opts: {
    readonly req: IncomingMessage;
    readonly connectionParams: TRPCRequestInfo['connectionParams'];
    readonly connection: ConnectionControl;
  }) => inferRouterContext<TRouter> | Promise<inferRouterContext<TRouter>>;
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
  readonly maxBatchCalls: number;
  /** How long a client may take to send its connection parameters; then 4408. */
  readonly authenticationTimeoutMs: number;
  /** A connection on which nothing went either way for so long is pinged. */
  readonly pingMs: number;
  /** A client that does not answer a ping within this is cut off. */
  readonly pongWaitMs: number;
}

export interface TrpcWebSocketHandler {
  /** Serves an upgraded connection until it closes. */
  handle(ws: WebSocket, socket: Duplex, req: IncomingMessage): void;
  /**
   * Ways to end each connection with `code`: the client is told to open another and move its subscriptions there, has
   * `graceMs` to do so, and gets the answers to the calls that are running.
   */
  leave(code: CloseCode, reason: string, graceMs: number): (() => Promise<void>)[];
  readonly connections: number;
}

export function trpcWebSocketHandler<TRouter extends AnyTRPCRouter>(options: TrpcWebSocketOptions<TRouter>): TrpcWebSocketHandler {
  const connections = new Map<TrpcConnection<TRouter>, WebSocket>();
  // One timer for all connections, as idle ones must cost next to nothing; it runs only while there are some.
  const interval = Math.max(10, Math.min(options.authenticationTimeoutMs, options.pingMs, options.pongWaitMs) / 4);
  let timer: NodeJS.Timeout | undefined;
  const sweep = () => {
    const now = Date.now();
    for (const [connection, ws] of connections) check(options, connection, ws, now);
  };
  return {
    handle: (ws, socket, req) => {
      const connection = new TrpcConnection(options, ws, socket, req);
      connections.set(connection, ws);
      timer ??= setInterval(sweep, interval).unref();
      ws.once('close', () => {
        connections.delete(connection);
        if (connections.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      });
    },
    leave: (code, reason, graceMs) => [...connections.keys()].map((connection) => () => connection.leave(code, reason, graceMs)),
    get connections() {
      return connections.size;
    },
  };
}

function check<TRouter extends AnyTRPCRouter>(
  options: TrpcWebSocketOptions<TRouter>,
  connection: TrpcConnection<TRouter>,
  ws: WebSocket,
  now: number,
): void {
  if (connection.awaitingParams) {
    if (now - connection.openedAt >= options.authenticationTimeoutMs) connection.writer.close(4408, 'no authentication in time');
  } else if (connection.pingedAt !== undefined) {
    if (now - connection.pingedAt >= options.pongWaitMs) ws.terminate();
  } else if (now - Math.max(connection.heardAt, connection.writer.lastWriteAt) >= options.pingMs) {
    // Only where it is quiet both ways: a slow reader answers a ping late, and its stall is noticed by its socket.
    connection.pingedAt = now;
    connection.writer.writeText('PING');
  }
}
