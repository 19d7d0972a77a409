/**
 * The calls of one open tRPC connection: queries and mutations while they run, subscriptions as long as they last. Each is
 * answered once; when the connection ends, with the reason of its end, but for subscriptions that have begun or that resume:
 * they come back with the client's next connection.
 */
import { type AnyTRPCRouter, callTRPCProcedure, getTRPCErrorFromUnknown, type inferRouterContext, TRPCError } from '@trpc/server';
import { isObservable, observableToAsyncIterable } from '@trpc/server/observable';
import type { Connection } from '../connections/connection.ts';
import { isEventStream } from '../delivery/event-stream.ts';
import { withLastEventId } from '../router/unread-input.ts';
import { type Call, isAsyncIterable, type RequestId } from './trpc-messages.ts';
import type { RunningCall, TrpcReplies } from './trpc-replies.ts';
import { deliverIterable, isGivingUp, trackedSink } from './trpc-subscription.ts';
import type { TrpcWebSocketOptions } from './trpc-websocket.ts';
import type { WebSocketWriter } from './web-socket-writer.ts';

/** What may run at once: as many mutations, or a sixteenth of it in queries, whose answers may be large. */
const MAX_WEIGHT = 256;
const WEIGHT = { query: 16, mutation: 1, subscription: 0 } as const;

export interface TrpcCallsDeps<TRouter extends AnyTRPCRouter> {
  readonly options: TrpcWebSocketOptions<TRouter>;
  readonly connection: Connection;
  readonly writer: WebSocketWriter;
  readonly replies: TrpcReplies<TRouter>;
  readonly context: inferRouterContext<TRouter>;
  /** Called when a query or a mutation was answered. */
  readonly onAnswered: () => void;
}

export class TrpcCalls<TRouter extends AnyTRPCRouter> {
  readonly #deps: TrpcCallsDeps<TRouter>;
  /** Those that have yet to be answered; of a subscription, that it has started. */
  #unanswered = 0;
  /** Told when there are none. */
  #onAllAnswered: PromiseWithResolvers<void> | undefined;
  #weight = 0;
  #subscriptions: Map<RequestId, AbortController> | undefined;

  constructor(deps: TrpcCallsDeps<TRouter>) {
    this.#deps = deps;
  }

  /** Whether another may be made now. */
  get hasRoom(): boolean {
    return this.#weight < MAX_WEIGHT;
  }

  get areAllAnswered(): boolean {
    return this.#unanswered === 0;
  }

  /** Resolves when all have been answered. */
  answered(): Promise<void> {
    if (this.areAllAnswered) return Promise.resolve();
    this.#onAllAnswered ??= Promise.withResolvers();
    return this.#onAllAnswered.promise;
  }

  make(call: Call): void {
    this.#unanswered += 1;
    if (call.type === 'subscription') {
      void this.#subscribe(call);
      return;
    }
    this.#weight += WEIGHT[call.type];
    void this.#answer(call).finally(() => {
      this.#weight -= WEIGHT[call.type];
      this.#noteAnswered();
      this.#deps.onAnswered();
    });
  }

  #noteAnswered(): void {
    this.#unanswered -= 1;
    if (this.#unanswered > 0) return;
    this.#onAllAnswered?.resolve();
    this.#onAllAnswered = undefined;
  }

  stopSubscription(id: RequestId): void {
    this.#subscriptions?.get(id)?.abort();
  }

  stopSubscriptions(): void {
    for (const subscription of this.#subscriptions?.values() ?? []) subscription.abort();
  }

  async #answer(call: Call): Promise<void> {
    const { connection, replies } = this.#deps;
    const running = this.#running(call);
    try {
      const result = await this.#call(running, connection.signal);
      if (isObservable(result) || isAsyncIterable(result)) {
        const message = `Cannot return an async iterable or observable from a ${call.type} procedure with WebSockets`;
        throw new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message });
      }
      // What was stored is acknowledged; who has been shown out is told nothing else.
      if (call.type === 'query' && connection.ending !== undefined) throw connection.ending.error;
      replies.send({ ...call.envelope, result: { type: 'data', data: result } });
    } catch (cause) {
      // What was interrupted by the end failed for the reason of the end.
      replies.fail(running, connection.ending?.error ?? cause);
    }
  }

  async #subscribe(call: Call): Promise<void> {
    const { connection, replies } = this.#deps;
    const abort = new AbortController();
    const refusal = this.#register(call, abort);
    if (refusal !== undefined) {
      // It counts as every other that is asked for.
      const charged = connection.charge('subscribe');
      replies.fail({ call }, charged === undefined ? refusal : await charged.then(() => refusal, getTRPCErrorFromUnknown));
      this.#noteAnswered();
      return;
    }
    let hasStarted = false;
    const onStart = () => {
      hasStarted = true;
      replies.send({ ...call.envelope, result: { type: 'started' } });
      this.#noteAnswered();
    };
    let failed = false;
    const running = this.#running(call);
    try {
      await this.#deliver(running, abort, onStart);
    } catch (cause) {
      failed = !(abort.signal.aborted && isGivingUp(cause));
      if (failed && connection.isOpen) replies.fail(running, cause);
      else if (!connection.isOpen && !hasStarted && call.lastEventId === undefined)
        replies.fail(running, connection.ending?.error ?? cause);
    } finally {
      this.#subscriptions?.delete(call.id);
      abort.abort();
      if (!hasStarted) this.#noteAnswered();
    }
    // One that failed before it started has been answered by its error.
    if (connection.isOpen && (hasStarted || !failed)) replies.send({ ...call.envelope, result: { type: 'stopped' } });
  }

  /** Claims the id before anything is waited for, so that a stop or the end of the connection always finds it. Returns what refuses it. */
  #register(call: Call, abort: AbortController): TRPCError | undefined {
    const { maxSubscriptions } = this.#deps.options;
    this.#subscriptions ??= new Map();
    if (this.#subscriptions.has(call.id)) return new TRPCError({ code: 'BAD_REQUEST', message: `Duplicate id ${call.id}` });
    if (this.#subscriptions.size >= maxSubscriptions) {
      return new TRPCError({ code: 'TOO_MANY_REQUESTS', message: `one connection holds at most ${maxSubscriptions} subscriptions` });
    }
    this.#subscriptions.set(call.id, abort);
    return undefined;
  }

  async #deliver(running: RunningCall<TRouter>, stop: AbortController, onStart: () => void): Promise<void> {
    const { options, connection, writer, replies } = this.#deps;
    const { call } = running;
    const { signal } = stop;
    const result = await this.#call(running, signal);
    if (connection.ending !== undefined) throw connection.ending.error;
    if (isEventStream(result)) {
      if (signal.aborted) return;
      onStart();
      await result.attach(trackedSink(writer, call.envelope, options), signal);
      return;
    }
    if (!isObservable(result) && !isAsyncIterable(result)) {
      const message = `Subscription ${call.path} did not return an observable or a AsyncGenerator`;
      throw new TRPCError({ code: 'INTERNAL_SERVER_ERROR', message });
    }
    // Converting an observable subscribes to it.
    if (isObservable(result) && signal.aborted) return;
    await deliverIterable({
      iterable: isObservable(result) ? observableToAsyncIterable(result, signal) : result,
      writer,
      stop,
      onStart,
      onItem: (item) => replies.send({ ...call.envelope, result: item }),
      onLateError: (error) => replies.report(error, running),
    });
  }

  #running(call: Call): RunningCall<TRouter> {
    const { options, context } = this.#deps;
    return { call, ctx: options.contextOfCall(context, call.id) };
  }

  async #call({ call, ctx }: RunningCall<TRouter>, signal: AbortSignal): Promise<unknown> {
    const { type, path, input, lastEventId, batchIndex } = call;
    const { options, connection } = this.#deps;
    const { router } = options;
    // What there is not counts too: it is counted nowhere else.
    if (!Object.hasOwn(router._def.procedures, path)) await connection.charge('query');
    const getRawInput = async () => withLastEventId(router._def._config.transformer.input.deserialize(input), lastEventId);
    return callTRPCProcedure({ router, path, getRawInput, ctx, type, signal, batchIndex });
  }
}
