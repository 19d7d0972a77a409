/** How a tRPC WebSocket connection answers: results and errors in tRPC's form, whatever cannot be written replaced by what can. */
import {
  type AnyTRPCRouter,
  getTRPCErrorFromUnknown,
  getTRPCErrorShape,
  type inferRouterContext,
  type TRPCError,
  transformTRPCResponse,
} from '@trpc/server';
import { TRPC_ERROR_CODES_BY_KEY, type TRPCErrorShape, type TRPCResponseMessage } from '@trpc/server/rpc';
import type { Call, Envelope } from './trpc-messages.ts';
import type { TrpcWebSocketOptions } from './trpc-websocket.ts';
import type { WebSocketWriter } from './web-socket-writer.ts';

/** What a client is told when its error cannot be put in words. */
const FALLBACK_SHAPE: TRPCErrorShape = {
  code: TRPC_ERROR_CODES_BY_KEY.INTERNAL_SERVER_ERROR,
  message: 'Internal server error',
  data: { code: 'INTERNAL_SERVER_ERROR', httpStatus: 500 },
};

/** A call and the context that it runs in, once there is one. */
export interface RunningCall<TRouter extends AnyTRPCRouter> {
  readonly call: Call;
  readonly ctx?: inferRouterContext<TRouter>;
}

export class TrpcReplies<TRouter extends AnyTRPCRouter> {
  readonly #options: TrpcWebSocketOptions<TRouter>;
  readonly #writer: WebSocketWriter;

  constructor(options: TrpcWebSocketOptions<TRouter>, writer: WebSocketWriter) {
    this.#options = options;
    this.#writer = writer;
  }

  /** Sends a reply. Throws what the transformer or the result itself throws. */
  send(message: TRPCResponseMessage): void {
    this.#writer.writeText(JSON.stringify(transformTRPCResponse(this.#options.router._def._config, message)));
  }

  /** Reports what a call ended with, and answers it. */
  fail(running: RunningCall<TRouter>, cause: unknown): void {
    const error = getTRPCErrorFromUnknown(cause);
    this.report(error, running);
    this.sendError(running.call.envelope, error, running);
  }

  /** An error that cannot be written either is replaced by one that can, so that the client does not wait. Returns what it was told. */
  sendError(envelope: Envelope, error: TRPCError, running?: RunningCall<TRouter>): TRPCErrorShape {
    const shape = this.#shapeOf(error, running);
    try {
      this.send({ ...envelope, error: shape });
      return shape;
    } catch (cause) {
      this.report(cause, running);
      this.send({ ...envelope, error: FALLBACK_SHAPE });
      return FALLBACK_SHAPE;
    }
  }

  #shapeOf(error: TRPCError, running: RunningCall<TRouter> | undefined): TRPCErrorShape {
    const call = running?.call;
    try {
      const config = this.#options.router._def._config;
      return getTRPCErrorShape({ config, error, type: call?.type ?? 'unknown', path: call?.path, input: undefined, ctx: running?.ctx });
    } catch (cause) {
      this.report(cause, running);
      return FALLBACK_SHAPE;
    }
  }

  report(cause: unknown, running?: RunningCall<TRouter>): void {
    const call = running?.call;
    this.#options.onError({ error: getTRPCErrorFromUnknown(cause), path: call?.path, type: call?.type ?? 'unknown', ctx: running?.ctx });
  }
}
