/** `WS /trpc`: Courier's router behind the tRPC WebSocket endpoint. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Access } from '../auth/access.ts';
import { meaningOf } from '../contract/codes.ts';
import type { Control } from '../control.ts';
import type { Feed } from '../delivery/subscriber.ts';
import type { Failures } from '../observe/failures.ts';
import type { Logger } from '../observe/logger.ts';
import { appRouter } from '../router/index.ts';
import { contextOf, contextOfCall } from '../router/trpc.ts';
import { identityOf } from './client-identity.ts';
import type { Doorway } from './doorway.ts';
import { headerOf, requestIdOf } from './http-exchange.ts';
import { encodeTracked } from './tracked-encoding.ts';
import { MAX_BATCH_CALLS } from './trpc-http.ts';
import type { RequestId } from './trpc-messages.ts';
import { type TrpcWebSocketHandler, trpcWebSocketHandler } from './trpc-websocket.ts';

const MAX_SUBSCRIPTIONS = 100;
const AUTHENTICATION_TIMEOUT_MS = 5000;
const PING_MS = 30_000;
const PONG_WAIT_MS = 30_000;

/** May a call's id, which clients choose, stand in logs? */
const isPlain = (id: RequestId) => typeof id === 'number' || /^[\w.:-]{1,64}$/.test(id);

export interface TrpcEndpointDeps {
  readonly feed: Feed;
  readonly access: Access;
  /** Whose address a request counts for. */
  readonly addressOf: (req: IncomingMessage) => string;
  readonly control: Control;
  readonly logger: Logger;
  readonly failures: Failures;
}

export function trpcEndpoint(
  { feed, access, addressOf, control, logger, failures }: TrpcEndpointDeps,
  doorway: Doorway,
): TrpcWebSocketHandler {
  return trpcWebSocketHandler({
    router: appRouter,
    createContext: async ({ req, connectionParams, connection }) => {
      const credentials = { authorization: headerOf(req, 'authorization'), token: connectionParams?.['token'] };
      const connectionId = randomUUID();
      const address = addressOf(req);
      const session = await access.signIn(credentials, address, {
        id: connectionId,
        transport: 'trpc',
        address,
        ...identityOf(req, connectionParams),
        since: Date.now(),
        bufferedBytes: connection.bufferedBytes,
        close: ({ code, message }) => connection.close(meaningOf(code).close, message),
      });
      connection.onClose(() => session[Symbol.dispose]());
      doorway.pass(req);
      return contextOf({ session, access, control, feed, connectionId, requestId: requestIdOf(req), traceparent: undefined });
    },
    contextOfCall: (ctx, id) => contextOfCall(ctx, `${ctx.requestId}/${isPlain(id) ? id : 'call'}`),
    onError: ({ error, path, ctx }) => {
      failures.answer('trpc', error, { ...(ctx && { request_id: ctx.requestId, connection_id: ctx.connectionId }), procedure: path });
    },
    onSocketError: (error) => {
      feed.meter.invalid('websocket');
      logger.debug('a WebSocket failed', { error });
    },
    meter: feed.meter,
    encodeTracked,
    maxSubscriptions: MAX_SUBSCRIPTIONS,
    maxBatchCalls: MAX_BATCH_CALLS,
    authenticationTimeoutMs: AUTHENTICATION_TIMEOUT_MS,
    pingMs: PING_MS,
    pongWaitMs: PONG_WAIT_MS,
  });
}
