/** `WS /trpc`: Courier's router behind the tRPC WebSocket endpoint. */

import { appRouter } from '../router/index.ts';
import { Context } from '../router/trpc.ts';
import { credentialsOf, identityOf } from './caller.ts';
import { requestIdOf } from './http-exchange.ts';
import { encodeTracked } from './tracked-encoding.ts';
import type { TrpcDeps } from './trpc-http.ts';
import type { RequestId } from './trpc-messages.ts';
import type { TrpcWebSocketOptions } from './trpc-websocket.ts';
import type { WebSocketWireOptions } from './web-socket-wire.ts';

const MAX_SUBSCRIPTIONS = 100;

/** May a call's id, which clients choose, stand in logs? */
const isPlain = (id: RequestId) => typeof id === 'number' || /^[\w.:-]{1,64}$/.test(id);

export type TrpcEndpointDeps = TrpcDeps & WebSocketWireOptions;

export function trpcEndpoint({ pipeline, administration, failures, ...wire }: TrpcEndpointDeps): TrpcWebSocketOptions<typeof appRouter> {
  return {
    ...wire,
    router: appRouter,
    createContext: async ({ req, connectionParams, connection }) => {
      await connection.open(credentialsOf(req, connectionParams?.['token']), identityOf(req, connectionParams));
      return new Context({
        connection,
        administration,
        pipeline,
        connectionId: connection.id,
        requestId: requestIdOf(req),
        traceparent: undefined,
      });
    },
    contextOfCall: (ctx, id) => ctx.ofCall(`${ctx.requestId}/${isPlain(id) ? id : 'call'}`),
    onError: ({ error, path, ctx }) => {
      failures.answer('trpc', error, { ...(ctx && { request_id: ctx.requestId, connection_id: ctx.connectionId }), procedure: path });
    },
    meter: pipeline.meter,
    encodeTracked,
    maxSubscriptions: MAX_SUBSCRIPTIONS,
  };
}
