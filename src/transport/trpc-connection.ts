/**
 * One client's WebSocket connection speaking tRPC: reads its messages, runs its calls, writes the replies. It does what
 * tRPC's own adapter does wherever a client can tell, and adds what that lacks: bounds, backpressure, close codes.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { type AnyTRPCRouter, callTRPCProcedure, getTRPCErrorFromUnknown, type inferRouterContext, TRPCError } from '@trpc/server';
import type { TRPCRequestInfo } from '@trpc/server/http';
import { isObservable, observableToAsyncIterable } from '@trpc/server/observable';
import { parseTRPCMessage } from '@trpc/server/rpc';
import type { RawData, WebSocket } from 'ws';
import { type CloseCode, meaningOf } from '../contract/codes.ts';
import { isEventStream } from '../delivery/event-stream.ts';
import { withLastEventId } from '../router/unread-input.ts';
import { SocketWriter } from './socket-writer.ts';
import { type Call, connectionParamsFrom, envelopeOf, isAnswerable, isAsyncIterable, type RequestId } from './trpc-messages.ts';
import { type RunningCall, TrpcReplies } from './trpc-replies.ts';
import { deliverIterable, trackedSink } from './trpc-subscription.ts';
import type { ConnectionControl, TrpcWebSocketOptions } from './trpc-websocket.ts';

/** Undefined when the context was refused; the connection is closing then. */
type ContextPromise<TRouter extends AnyTRPCRouter> = Promise<{ readonly value: inferRouterContext<TRouter> } | undefined>;

/** Asks a client to open another connection. */
const RECONNECT = JSON.stringify({ id: null, method: 'reconnect' });
export class TrpcConnection<TRouter extends AnyTRPCRouter> {
  readonly writer: SocketWriter;
  readonly #options: TrpcWebSocketOptions<TRouter>;
  readonly #ws: WebSocket;
  readonly #replies: TrpcReplies<TRouter>;
  /** Aborts when the connection closes. Made by the first call that needs it: most connections only subscribe. */
  #closed: AbortController | undefined;
  /** Queries and mutations that are running. */
  readonly #calls = new Set<Promise<void>>();
  readonly #subscriptions = new Map<RequestId, AbortController>();
  /** Set when the connection parameters are there; at once when the client announced none. */
  #context: ContextPromise<TRouter> | undefined;
  /** The upgrade request, while the client has yet to send its connection parameters. */
  #awaitingParams: IncomingMessage | undefined;
  readonly openedAt = Date.now();
  /** When something last came, in ms since 1970. */
  heardAt = this.openedAt;
  /** When a ping was sent that nothing has come after. */
  pingedAt: number | undefined;

  constructor(options: TrpcWebSocketOptions<TRouter>, ws: WebSocket, socket: Duplex, req: IncomingMessage) {
    this.#options = options;
    this.#ws = ws;
    this.writer = new SocketWriter(ws, socket, options);
    this.#replies = new TrpcReplies(options, ws, this.writer, () => this.#closedSignal());
    ws.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    ws.on('pong', () => this.#heard());
    ws.on('error', (error) => options.onSocketError(error));
    ws.once('close', () => this.#onClose());
    const announced = URL.parse(req.url ?? '', 'http://localhost')?.searchParams.get('connectionParams') === '1';
    if (announced) this.#awaitingParams = req;
    else this.#context = this.#createContext(req, () => null);
  }

  get awaitingParams(): boolean {
    return this.#awaitingParams !== undefined;
  }

  #closedSignal(): AbortSignal {
    this.#closed ??= new AbortController();
    if (!this.writer.open) this.#closed.abort();
    return this.#closed.signal;
  }

  /** Tells the client to move elsewhere, waits for that for a while, answers what it has called, and closes. */
  async leave(code: CloseCode, reason: string, graceMs: number): Promise<void> {
    this.writer.writeText(RECONNECT);
    const closed = this.#closedSignal();
    await wait(graceMs, undefined, { signal: closed }).catch(() => undefined);
    this.#ws.pause();
    await Promise.all(this.#calls);
    // The closing handshake has to be read.
    this.#ws.resume();
    this.writer.close(code, reason);
  }

  #onClose(): void {
    for (const subscription of this.#subscriptions.values()) subscription.abort();
    this.#closed?.abort();
  }

  #heard(): void {
    this.heardAt = Date.now();
    this.pingedAt = undefined;
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    this.#heard();
    const text = String(data);
    this.#options.meter.message('in', text.length);
    if (text === 'PONG' && !isBinary) return;
    if (text === 'PING' && !isBinary) {
      this.writer.writeText('PONG');
      return;
    }
    const parse = (): unknown => {
      if (isBinary) throw new TypeError('messages must be text frames');
      return JSON.parse(text);
    };
    if (this.#awaitingParams !== undefined) {
      this.#context = this.#createContext(this.#awaitingParams, () => connectionParamsFrom(parse));
      this.#awaitingParams = undefined;
    } else if (this.#context !== undefined) this.#runCalls(parse, this.#context);
  }

  async #createContext(req: IncomingMessage, connectionParams: () => TRPCRequestInfo['connectionParams']): ContextPromise<TRouter> {
    try {
      return { value: await this.#options.createContext({ req, connectionParams: connectionParams(), connection: this.#control() }) };
    } catch (cause) {
      const error = getTRPCErrorFromUnknown(cause);
      this.#replies.report(error);
      const { message } = this.#replies.sendError({ id: null }, error);
      this.writer.close(meaningOf(error.code).close, message);
      return undefined;
    }
  }

  #control(): ConnectionControl {
    const ws = this.#ws;
    return {
      close: (code, reason) => this.writer.close(code, reason),
      bufferedBytes: () => this.writer.bufferedBytes,
      onClose: (listener) => {
        if (ws.readyState === ws.CLOSED) listener();
        else ws.once('close', listener);
      },
    };
  }

  #runCalls(parse: () => unknown, context: ContextPromise<TRouter>): void {
    let messages: unknown[];
    try {
      const parsed = parse();
      messages = Array.isArray(parsed) ? parsed : [parsed];
      if (messages.length > this.#options.maxBatchCalls) {
        this.#refuseBatch(messages);
        return;
      }
      messages = messages.map((message) => parseTRPCMessage(message, this.#options.router._def._config.transformer));
    } catch (cause) {
      const error = new TRPCError({ code: 'PARSE_ERROR', cause });
      this.#replies.report(error);
      this.#replies.sendError({ id: null }, error);
      return;
    }
    for (const [index, message] of (messages as ReturnType<typeof parseTRPCMessage>[]).entries()) this.#take(message, index, context);
  }

  /** Every call of the batch gets the error, so that the client waits for none. */
  #refuseBatch(messages: readonly unknown[]): void {
    const error = new TRPCError({ code: 'BAD_REQUEST', message: 'Batch call exceeds maximum size' });
    this.#replies.report(error);
    const calls = messages.filter(isAnswerable);
    for (const { id, jsonrpc } of calls) this.#replies.sendError(envelopeOf(id, jsonrpc), error);
    if (calls.length === 0) this.#replies.sendError({ id: null }, error);
  }

  #take(message: ReturnType<typeof parseTRPCMessage>, batchIndex: number, context: ContextPromise<TRouter>): void {
    const { id, jsonrpc } = message;
    if (id === null) {
      const error = new TRPCError({ code: 'PARSE_ERROR', message: '`id` is required' });
      this.#replies.report(error);
      this.#replies.sendError(envelopeOf(null, jsonrpc), error);
    } else if (message.method === 'subscription.stop') {
      this.#subscriptions.get(id)?.abort();
    } else {
      const { path, lastEventId } = message.params;
      const input = withLastEventId(message.params.input, lastEventId);
      const call: Call = { id, envelope: envelopeOf(id, jsonrpc), type: message.method, path, input, batchIndex };
      if (call.type === 'subscription') void this.#runSubscription(call, context);
      else this.#track(this.#runCall(call, context));
    }
  }

  #track(running: Promise<void>): void {
    this.#calls.add(running);
    void running.finally(() => this.#calls.delete(running));
  }

  async #runCall(call: Call, context: ContextPromise<TRouter>): Promise<void> {
    const connected = await context;
    if (connected === undefined) return;
    const running = { call, ctx: this.#options.contextOfCall(connected.value, call.id) };
    await this.#callOnce(running).catch((cause: unknown) => this.#replies.fail(running, cause));
  }

  async #runSubscription(call: Call, context: ContextPromise<TRouter>): Promise<void> {
    const abort = new AbortController();
    if (!this.#register(call, abort)) return;
    let started = false;
    const onStart = () => {
      started = true;
      this.#replies.send({ ...call.envelope, result: { type: 'started' } });
    };
    let failed = false;
    const running: { call: Call; ctx?: inferRouterContext<TRouter> } = { call };
    try {
      const connected = await context;
      if (connected !== undefined && !abort.signal.aborted && this.writer.open) {
        running.ctx = this.#options.contextOfCall(connected.value, call.id);
        await this.#subscribe(running, abort.signal, onStart);
      }
    } catch (cause) {
      failed = !(abort.signal.aborted && getTRPCErrorFromUnknown(cause).cause?.name === 'AbortError');
      if (failed) this.#replies.fail(running, cause);
    } finally {
      this.#subscriptions.delete(call.id);
      abort.abort();
    }
    // A subscription that failed before it started has been answered by its error.
    if (started || !failed) this.#replies.send({ ...call.envelope, result: { type: 'stopped' } });
  }

  /** Claims the id before anything is waited for, so that a stop or the end of the connection always finds it. */
  #register(call: Call, abort: AbortController): boolean {
    const { maxSubscriptions } = this.#options;
    if (this.#subscriptions.has(call.id)) {
      this.#replies.fail({ call }, new TRPCError({ code: 'BAD_REQUEST', message: `Duplicate id ${call.id}` }));
      return false;
    }
    if (this.#subscriptions.size >= maxSubscriptions) {
      this.#replies.fail(
        { call },
        new TRPCError({ code: 'TOO_MANY_REQUESTS', message: `one connection holds at most ${maxSubscriptions} subscriptions` }),
      );
      return false;
    }
    this.#subscriptions.set(call.id, abort);
    return true;
  }

  async #callOnce(running: RunningCall<TRouter>): Promise<void> {
    const { call } = running;
    const result = await this.#call(running, this.#closedSignal());
    if (isObservable(result) || isAsyncIterable(result)) {
      const message = `Cannot return an async iterable or observable from a ${call.type} procedure with WebSockets`;
      throw new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message });
    }
    this.#replies.send({ ...call.envelope, result: { type: 'data', data: result } });
  }

  async #subscribe(running: RunningCall<TRouter>, signal: AbortSignal, onStart: () => void): Promise<void> {
    const { call } = running;
    const result = await this.#call(running, signal);
    if (isEventStream(result)) {
      if (signal.aborted) return;
      onStart();
      await result.attach(trackedSink(this.writer, call.envelope, this.#options), signal);
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
      writer: this.writer,
      signal,
      onStart,
      onItem: (item) => this.#replies.send({ ...call.envelope, result: item }),
      onCleanupError: (error) => this.#replies.report(error, running),
    });
  }

  #call({ call, ctx }: RunningCall<TRouter>, signal: AbortSignal): Promise<unknown> {
    const { type, path, input, batchIndex } = call;
    const { router } = this.#options;
    return callTRPCProcedure({ router, path, getRawInput: async () => input, ctx, type, signal, batchIndex });
  }
}
