/**
 * The wire of a connection that speaks tRPC over WebSocket. It does what tRPC's own adapter does wherever a client can tell, and
 * adds what that lacks: bounds, backpressure, close codes.
 *
 * - Until the connection is open the gateway reads its parameters only; what comes behind them waits in the socket.
 * - What waits and the answers have bounds in bytes: the gateway does not read a client that does not read its answers.
 * - A client that is refused gets an answer to each of its calls before the connection is closed. A subscription that resumes gets
 *   none: it comes back with the client's next token.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { getTRPCErrorFromUnknown } from '@trpc/server';
import type { Connection } from '../connections/connection.ts';
import { type Ending, endingOf } from '../connections/wire.ts';
import { CourierError, tellable } from '../errors.ts';
import type { ConnectionParams } from './caller.ts';
import { IncomingMessages, type MessageHandler, type RawMessage } from './message-queue.ts';
import { TrpcCalls } from './trpc-calls.ts';
import type { TrpcEndpoint } from './trpc-endpoint.ts';
import { connectionParamsFrom, type Message, readMessages, TrpcReplies } from './trpc-messages.ts';
import { type Opened, type Upgraded, WebSocketWire } from './web-socket-wire.ts';
import { textFrames } from './web-socket-writer.ts';

/** The texts by which tRPC asks whether somebody is there. */
const PING = Buffer.from('PING');
const PONG = Buffer.from('PONG');
const PONG_FRAME = textFrames(['PONG']);
/** Asks a client to open another connection. */
const RECONNECT = JSON.stringify({ id: null, method: 'reconnect' });
/** How long a client may take to move elsewhere, in ms. */
const MOVE_GRACE_MS = 1000;
/** Bytes of the connection parameters, at most, and of the frame that they come in. */
const MAX_PARAMS_BYTES = 16 * 1024;
const FRAME_BYTES = 14;
/** How long the calls of a refused client may take to come, in ms: a client sends them right behind its parameters. */
const REFUSED_MS = 300;
/** How long calls may take when the connection ends, in ms: what is on its way to the log will be stored. */
const ENDING_MS = 500;

export class TrpcWire extends WebSocketWire implements MessageHandler {
  readonly #endpoint: TrpcEndpoint;
  readonly #replies: TrpcReplies;
  readonly #incoming: IncomingMessages;
  /** There once the client was let in. */
  #calls: TrpcCalls | undefined;
  /** The request that the client came with, as long as it has yet to send its connection parameters. */
  #awaitsParams: IncomingMessage | undefined;
  /** Messages that came in one piece with the parameters. */
  #early: RawMessage[] | undefined;
  /** The client is being let in, or moves elsewhere. */
  #isReadingPaused = false;
  /** Told when nothing waits and every call was answered. */
  #onIdle: (() => void) | undefined;

  /** @param announced the client has said that it will send connection parameters, which open its connection. */
  constructor(
    endpoint: TrpcEndpoint,
    connection: Connection,
    upgraded: Upgraded,
    { req, announced, opened }: { readonly req: IncomingMessage; readonly announced: boolean; readonly opened?: Opened | undefined },
  ) {
    super(connection, upgraded, endpoint);
    this.#endpoint = endpoint;
    this.#replies = new TrpcReplies(endpoint, this.writer);
    this.#incoming = new IncomingMessages({ connection, writer: this.writer, meter: endpoint.meter, handler: this });
    this.#awaitsParams = announced ? req : undefined;
    connection.carriedBy(this);
    if (announced) connection.expectClient();
    else void this.#open(req, () => null, opened);
  }

  protected override onMessage(data: Buffer, isBinary: boolean): void {
    const { state } = this.connection;
    if (state === 'open') this.#incoming.receive(data, isBinary);
    else if (state === 'opening') this.#receiveParams(data, isBinary);
    else if (state === 'closing') this.#answerRefusedMessage(data, isBinary);
  }

  protected override get maxUnauthenticatedBytes(): number {
    return this.#awaitsParams === undefined ? 0 : MAX_PARAMS_BYTES + FRAME_BYTES;
  }

  #receiveParams(data: Buffer, isBinary: boolean): void {
    const req = this.#awaitsParams;
    if (req === undefined) {
      this.#early ??= [];
      this.#early.push({ data, isBinary });
      return;
    }
    if (this.answerPing(data, isBinary)) return;
    this.#endpoint.meter.message('in', data.length);
    if (data.length > MAX_PARAMS_BYTES) {
      this.connection.end(PARAMS_TOO_LARGE);
      return;
    }
    this.#awaitsParams = undefined;
    void this.#open(req, () => connectionParamsFrom(String(data), isBinary));
  }

  async #open(req: IncomingMessage, params: () => ConnectionParams, opened?: Opened): Promise<void> {
    this.#pauseReading();
    const endpoint = this.#endpoint;
    const { connection, writer } = this;
    const replies = this.#replies;
    try {
      const contextOf = await endpoint.open(connection, req, params(), opened);
      this.#calls = new TrpcCalls({ endpoint, connection, writer, replies, contextOf, onAnswered: this.#onAnswered });
    } catch (cause) {
      if (connection.state !== 'opening') return;
      const error = getTRPCErrorFromUnknown(cause);
      replies.report(error);
      replies.sendError({ id: null }, error);
      connection.end(endingOf(tellable(error)));
      return;
    }
    this.#receiveEarly();
    this.#resumeReading();
  }

  #receiveEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const { data, isBinary } of early) this.onMessage(data, isBinary);
  }

  /** Answers a message that only asks whether somebody is there, unless the client does not read. Returns false for any other message. */
  answerPing(data: Buffer, isBinary: boolean): boolean {
    // Made for floods of them: they cost no string, no frame of their own, and nothing is counted.
    if (isBinary || data.length !== PING.length) return false;
    if (!data.equals(PING)) return data.equals(PONG);
    if (this.writer.writable) this.writer.write(PONG_FRAME);
    return true;
  }

  get hasRoom(): boolean {
    return this.writer.writable && this.#calls?.hasRoom === true;
  }

  take(message: Message): void {
    this.#calls?.take(message);
  }

  onQueueChanged(): void {
    this.#updateReading();
    this.#noteIdle();
  }

  readonly #onAnswered = (): void => {
    this.#incoming.proceed();
    this.#noteIdle();
  };

  #pauseReading(): void {
    this.#isReadingPaused = true;
    this.#updateReading();
  }

  #resumeReading(): void {
    this.#isReadingPaused = false;
    this.#updateReading();
  }

  #updateReading(): void {
    const isRead = !this.#isReadingPaused && !this.#incoming.isFull;
    if (isRead === !this.ws.isPaused) return;
    if (isRead) this.ws.resume();
    else this.ws.pause();
  }

  get #isIdle(): boolean {
    return this.#incoming.isEmpty && this.#calls?.areAllAnswered !== false;
  }

  #noteIdle(): void {
    if (this.#isIdle) this.#onIdle?.();
  }

  /** Resolves when nothing waits and every call was answered, or `signal` aborts. */
  async #whenIdle(signal: AbortSignal): Promise<void> {
    if (this.#isIdle || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => resolve();
    this.#onIdle = done;
    signal.addEventListener('abort', done);
    await promise;
    signal.removeEventListener('abort', done);
  }

  /** Tells the client to move elsewhere, waits for that for a while, and answers what it has called. */
  override async drain(signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.connection.signal]);
    this.writer.writeText(RECONNECT);
    await wait(MOVE_GRACE_MS, undefined, { signal: over }).catch(() => undefined);
    this.#pauseReading();
    await this.#whenIdle(over);
  }

  override goodbye(ending: Ending): void {
    this.#calls?.stopSubscriptions();
    if (this.#calls !== undefined) void this.#sayGoodbye(ending);
    else if (REFUSALS.has(ending.close)) this.#sayNo(ending);
    else this.closeUnread(ending);
  }

  protected override onClose(): void {
    this.#calls?.stopSubscriptions();
  }

  /** To a client that was let in: what it has called is answered first. */
  async #sayGoodbye(ending: Ending): Promise<void> {
    for (const message of this.#incoming.takeAll()) this.#answerRefused(message, ending.error);
    if (!this.#isIdle) await this.#whenIdle(AbortSignal.timeout(ENDING_MS));
    this.close(ending);
    // The closing handshake has to be read.
    this.#resumeReading();
  }

  /** To a client that was not: its calls are on their way, and have to be read to be answered. */
  #sayNo(ending: Ending): void {
    this.#receiveEarly();
    this.#resumeReading();
    const timer = setTimeout(() => this.close(ending), REFUSED_MS);
    this.ws.once('close', () => clearTimeout(timer));
  }

  #answerRefusedMessage(data: Buffer, isBinary: boolean): void {
    const { ending } = this.connection;
    if (this.#calls !== undefined || ending === undefined) return;
    for (const message of readMessages(String(data), isBinary)) this.#answerRefused(message, ending.error);
  }

  #answerRefused(message: Message, error: CourierError): void {
    if ('stop' in message || !this.writer.writable) return;
    if ('error' in message) this.#replies.sendError(message.envelope, message.error);
    else if (message.type !== 'subscription' || message.lastEventId === undefined) {
      this.#replies.sendError(message.envelope, error, { call: message });
    }
  }
}

const PARAMS_TOO_LARGE: Ending = {
  close: 1009,
  error: new CourierError('PAYLOAD_TOO_LARGE', `connection parameters are at most ${MAX_PARAMS_BYTES} bytes`),
};
/** Close codes that say to a client: not as you are, or not now. */
const REFUSALS: ReadonlySet<number> = new Set([1008, 1011, 1013, 4400, 4429]);
