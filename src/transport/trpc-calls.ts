/**
 * The calls of one open tRPC connection: queries and mutations while they run, subscriptions as long as they last. Each is
 * answered once; when the connection ends, with the reason of its end, but for subscriptions that have begun or that resume:
 * they come back with the client's next connection.
 */
import { callTRPCProcedure, getTRPCErrorFromUnknown, TRPCError } from '@trpc/server';
import { isObservable } from '@trpc/server/observable';
import type { Connection } from '../connections/connection.ts';
import type { LimitedAction } from '../limits/limits.ts';
import { procedureAt } from '../router/index.ts';
import { withLastEventId } from '../router/unread-input.ts';
import type { CallContext, RequestId, TrpcEndpoint } from './trpc-endpoint.ts';
import type { Call, Message, RunningCall, TrpcReplies, Unusable } from './trpc-messages.ts';
import { isAsyncIterable, serveSubscription } from './trpc-subscription.ts';
import type { WebSocketWriter } from './web-socket-writer.ts';

/** What may run at once: as many mutations, or a sixteenth of it in queries or long lists, whose answers may be large. */
const MAX_WEIGHT = 256;
const WEIGHT = { query: 16, mutation: 1, subscription: 0 } as const;
/** Elements of a list that weigh as much as a mutation. */
const ELEMENTS_OF_WEIGHT = 32;

function weightOf({ type, input }: Call): number {
  const { json } = (input ?? {}) as { readonly json?: unknown };
  return WEIGHT[type] + (Array.isArray(json) ? Math.floor(json.length / ELEMENTS_OF_WEIGHT) : 0);
}

export interface TrpcCallsDeps {
  readonly endpoint: TrpcEndpoint;
  readonly connection: Connection;
  readonly writer: WebSocketWriter;
  readonly replies: TrpcReplies;
  readonly contextOf: (id: RequestId) => CallContext;
  /** Called when a call was answered. */
  readonly onAnswered: () => void;
}

export class TrpcCalls {
  readonly #deps: TrpcCallsDeps;
  /** Calls that have yet to be answered; a subscription is when it starts. */
  #unanswered = 0;
  #weight = 0;
  #subscriptions: Map<RequestId, AbortController> | undefined;

  constructor(deps: TrpcCallsDeps) {
    this.#deps = deps;
  }

  /** Another call may be made now. */
  get hasRoom(): boolean {
    return this.#weight < MAX_WEIGHT;
  }

  get areAllAnswered(): boolean {
    return this.#unanswered === 0;
  }

  take(message: Message): void {
    if ('stop' in message) this.#subscriptions?.get(message.stop)?.abort();
    else if ('error' in message) this.#answerUnusable(message);
    else this.#make(message);
  }

  stopSubscriptions(): void {
    for (const subscription of this.#subscriptions?.values() ?? []) subscription.abort();
  }

  #make(call: Call): void {
    this.#unanswered += 1;
    if (call.type === 'subscription') {
      this.#subscribe(call);
      return;
    }
    this.#weight += weightOf(call);
    void this.#answer(call);
  }

  #noteAnswered(): void {
    this.#unanswered -= 1;
    this.#deps.onAnswered();
  }

  #answerUnusable({ envelope, error }: Unusable): void {
    const { replies } = this.#deps;
    this.#refuse('query', error, (refusal) => {
      replies.report(refusal);
      replies.sendError(envelope, refusal);
    });
  }

  /** Charges what is refused like any other call, and answers it: at once, unless the limiter waits. */
  #refuse(action: LimitedAction, refusal: TRPCError, answer: (refusal: TRPCError) => void): void {
    const charged = this.#deps.connection.charge(action);
    if (charged === undefined) {
      answer(refusal);
      return;
    }
    this.#unanswered += 1;
    void charged
      .then(() => refusal, getTRPCErrorFromUnknown)
      .then(answer)
      .finally(() => this.#noteAnswered());
  }

  async #answer(call: Call): Promise<void> {
    const { connection, replies } = this.#deps;
    const running = this.#running(call);
    try {
      const result = await this.#run(running, connection.signal);
      if (isObservable(result) || isAsyncIterable(result)) {
        const message = `Cannot return an async iterable or observable from a ${call.type} procedure with WebSockets`;
        throw new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message });
      }
      // A client whose connection ends is told what was stored, and nothing else.
      if (call.type === 'query' && connection.ending !== undefined) throw connection.ending.error;
      replies.sendResult(call, result);
    } catch (cause) {
      // What the end interrupted failed for the reason of the end.
      replies.fail(running, connection.ending?.error ?? cause);
    } finally {
      this.#weight -= weightOf(call);
      this.#noteAnswered();
    }
  }

  #subscribe(call: Call): void {
    const { endpoint, connection, writer, replies } = this.#deps;
    const stop = new AbortController();
    const refusal = this.#register(call.id, stop);
    if (refusal !== undefined) {
      this.#refuse('subscribe', refusal, (told) => replies.fail({ call }, told));
      this.#noteAnswered();
      return;
    }
    let isAnswered = false;
    const onAnswered = () => {
      if (!isAnswered) this.#noteAnswered();
      isAnswered = true;
    };
    const running = this.#running(call);
    const run = () => this.#run(running, stop.signal);
    const onEnd = () => {
      this.#subscriptions?.delete(call.id);
      onAnswered();
    };
    void serveSubscription({ connection, writer, replies, meter: endpoint.meter, running, run, stop, onStart: onAnswered, onEnd });
  }

  /** Claims the id before anything is waited for, so that a stop or the end of the connection always finds it. Returns what refuses it. */
  #register(id: RequestId, stop: AbortController): TRPCError | undefined {
    const { maxSubscriptions } = this.#deps.endpoint;
    this.#subscriptions ??= new Map();
    if (this.#subscriptions.has(id)) return new TRPCError({ code: 'BAD_REQUEST', message: `Duplicate id ${id}` });
    if (this.#subscriptions.size >= maxSubscriptions) {
      return new TRPCError({ code: 'TOO_MANY_REQUESTS', message: `one connection holds at most ${maxSubscriptions} subscriptions` });
    }
    this.#subscriptions.set(id, stop);
    return undefined;
  }

  #running(call: Call): RunningCall {
    return { call, ctx: this.#deps.contextOf(call.id) };
  }

  /** Runs the procedure of a call. */
  #run({ call, ctx }: RunningCall, signal: AbortSignal): Promise<unknown> {
    const { type, path, input, lastEventId, batchIndex } = call;
    const { router } = this.#deps.endpoint;
    // The procedures of Courier's router need not be promised what is there; tRPC's types know of promises only.
    const getRawInput = (() =>
      withLastEventId(router._def._config.transformer.input.deserialize(input), lastEventId)) as () => Promise<unknown>;
    const options = { path, getRawInput, ctx, type, signal, batchIndex };
    const procedure = procedureAt(router, path);
    return procedure?._def.type === type ? procedure({ ...options, input: undefined }) : this.#runNone(options);
  }

  /** No procedure charges a call of one that there is not, or that is of another type. */
  async #runNone(options: Omit<Parameters<typeof callTRPCProcedure>[0], 'router'>): Promise<unknown> {
    const { endpoint, connection } = this.#deps;
    await connection.charge('query');
    return callTRPCProcedure({ ...options, router: endpoint.router });
  }
}
