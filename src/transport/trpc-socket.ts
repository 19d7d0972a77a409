/**
 * One client's WebSocket speaking tRPC. It does what tRPC's own adapter does wherever a client can tell, and adds what that
 * lacks: bounds, backpressure, close codes.
 *
 * - Until the connection is open only its parameters are read; what comes behind them waits in the socket.
 * - Calls are made some at a time, so that one message with a thousand of them leaves others their turns. What waits has a bound in
 *   bytes, and so have the answers: whoever does not read them is not read.
 * - A client that is refused is told so by an answer to each of its calls, before the connection is closed. A subscription
 *   that resumes is left alone: it comes back with the client's next token.
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type AnyTRPCRouter, getTRPCErrorFromUnknown } from '@trpc/server';
import type { Connection } from '../connections/connection.ts';
import { type Ending, endingOf } from '../connections/wire.ts';
import { CourierError, tellable } from '../errors.ts';
import { LateMessages, type RawMessage } from './late-messages.ts';
import { MessageQueue } from './message-queue.ts';
import { TrpcCalls } from './trpc-calls.ts';
import { connectionParamsFrom, type Message, readMessages, type Unusable } from './trpc-messages.ts';
import { TrpcReplies } from './trpc-replies.ts';
import type { TrpcWebSocketOptions } from './trpc-websocket.ts';
import { type Upgraded, WebSocketWire } from './web-socket-wire.ts';
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
/** How long its calls may take to come, in ms: a client sends them right behind its parameters. */
const REFUSED_MS = 300;
/** How long calls may take when the connection ends, in ms: what is on its way to the log will be stored. */
const ENDING_MS = 500;
/** From so many waiting bytes on a client is not read. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Waiting calls made in one turn of the event loop, at most. Most of what they cost it comes after they are made, in the same turn. */
const CALLS_PER_TURN = 16;
/** Messages with one call each that are taken as they come, at most, and the pause that begins the count anew, in ms. */
const MAX_BURST = 64;
const BURST_PAUSE_MS = 0.5;

export class TrpcSocket<TRouter extends AnyTRPCRouter> extends WebSocketWire {
  readonly #options: TrpcWebSocketOptions<TRouter>;
  readonly #replies: TrpcReplies<TRouter>;
  /** There once the client was let in. */
  #calls: TrpcCalls<TRouter> | undefined;
  /** The request that the client came with, as long as it has yet to send its connection parameters. */
  #awaitsParams: IncomingMessage | undefined;
  /** Messages that came in one piece with the parameters, as they came. */
  #unread: RawMessage[] | undefined;
  readonly #late: LateMessages;
  /** Messages that wait for their turn. */
  #queue: MessageQueue | undefined;
  #willGoOn = false;
  /** Messages that came close behind each other, and when the last one came, in ms of the monotonic clock. */
  #burst = 0;
  #lastAt = 0;
  /** The client is not to be read: it is being let in, or moves elsewhere. */
  #isHeld = false;

  /** @param announced the client has said that it will send connection parameters. */
  constructor(
    options: TrpcWebSocketOptions<TRouter>,
    connection: Connection,
    upgraded: Upgraded,
    { req, announced }: { readonly req: IncomingMessage; readonly announced: boolean },
  ) {
    super(connection, upgraded, options);
    this.#options = options;
    this.#replies = new TrpcReplies(options, this.writer);
    this.#late = new LateMessages(connection);
    this.#awaitsParams = announced ? req : undefined;
    connection.carriedBy(this);
    if (announced) connection.expectClient();
    else void this.#open(req, () => null);
  }

  protected override onMessage(data: Buffer, isBinary: boolean): void {
    const { state } = this.connection;
    if (state === 'open') this.#receiveInTurn({ data, isBinary });
    else if (state === 'opening') this.#receiveParams(data, isBinary);
    else if (state === 'closing') this.#answerRefusedMessage(data, isBinary);
  }

  protected override get maxStrangerBytes(): number {
    return this.#awaitsParams === undefined ? 0 : MAX_PARAMS_BYTES + FRAME_BYTES;
  }

  #receiveParams(data: Buffer, isBinary: boolean): void {
    const req = this.#awaitsParams;
    if (req === undefined) {
      this.#unread ??= [];
      this.#unread.push({ data, isBinary });
      return;
    }
    if (!isBinary && this.#isPingOrPong(data)) return;
    this.#options.meter.message('in', data.length);
    if (data.length > MAX_PARAMS_BYTES) {
      this.connection.end(PARAMS_TOO_LARGE);
      return;
    }
    this.#awaitsParams = undefined;
    void this.#open(req, () => connectionParamsFrom(String(data), isBinary));
  }

  async #open(req: IncomingMessage, params: () => ReturnType<typeof connectionParamsFrom>): Promise<void> {
    this.#hold(true);
    const options = this.#options;
    const { connection, writer } = this;
    const replies = this.#replies;
    try {
      const context = await options.createContext({ req, connectionParams: params(), connection });
      this.#calls = new TrpcCalls({ options, connection, writer, replies, context, onAnswered: this.#onAnswered });
    } catch (cause) {
      if (connection.state !== 'opening') return;
      const error = getTRPCErrorFromUnknown(cause);
      replies.report(error);
      replies.sendError({ id: null }, error);
      connection.end(endingOf(tellable(error)));
      return;
    }
    this.#readUnread();
    this.#hold(false);
  }

  #readUnread(): void {
    const unread = this.#unread ?? [];
    this.#unread = undefined;
    for (const { data, isBinary } of unread) this.onMessage(data, isBinary);
  }

  #receiveInTurn(message: RawMessage): void {
    if (this.#late.keep(message, this.#receiveLate)) this.#updateReading();
    else this.#receive(message.data, message.isBinary);
  }

  readonly #receiveLate = (): void => {
    const [first, ...behind] = this.#late.takeAll();
    if (first !== undefined) this.#receive(first.data, first.isBinary);
    for (const { data, isBinary } of behind) this.onMessage(data, isBinary);
    this.#updateReading();
  };

  #receive(data: Buffer, isBinary: boolean): void {
    if (!isBinary && this.#isPingOrPong(data)) return;
    this.#options.meter.message('in', data.length);
    const messages = readMessages(String(data), isBinary);
    const [first] = messages;
    const isNext = this.#queue === undefined && !this.#willGoOn && this.#hasRoom && !this.#isBurst();
    if (messages.length === 1 && first !== undefined && isNext) this.#take(first);
    else if (messages.length > 0) this.#enqueue(messages);
  }

  #enqueue(messages: readonly Message[]): void {
    this.#queue ??= new MessageQueue(this.connection);
    try {
      this.#queue.add(messages);
    } catch (error) {
      // There is no room for what waits, and none to tell of it but the end.
      this.connection.end(endingOf(tellable(error)));
      return;
    }
    this.#goOn();
  }

  /** Have many come so close together that others may have had no turn? */
  #isBurst(): boolean {
    const now = performance.now();
    this.#burst = now - this.#lastAt < BURST_PAUSE_MS ? this.#burst + 1 : 0;
    this.#lastAt = now;
    return this.#burst > MAX_BURST;
  }

  /** Answers the messages that only ask whether somebody is there. A client that does not read is not answered. */
  #isPingOrPong(data: Buffer): boolean {
    // Made for floods of them: they cost no string, no frame of their own, and nothing is counted.
    if (data.length !== PING.length) return false;
    if (!data.equals(PING)) return data.equals(PONG);
    if (this.writer.writable) this.writer.write(PONG_FRAME);
    return true;
  }

  get #hasRoom(): boolean {
    return this.writer.writable && this.#calls?.hasRoom === true;
  }

  readonly #onAnswered = (): void => {
    if (this.#queue !== undefined) this.#goOnNextTurn();
  };

  /** Takes the messages that wait, as long as there is room and others have their turns. */
  #goOn(): void {
    if (!this.#willGoOn && this.connection.isOpen) this.#takeSome();
    this.#updateReading();
  }

  #takeSome(): void {
    for (let taken = 0; taken < CALLS_PER_TURN && this.#hasRoom && !this.#willGoOn; taken += 1) {
      const message = this.#queue?.take();
      if (message === undefined) {
        this.#queue = undefined;
        return;
      }
      this.#take(message);
    }
    if (this.#hasRoom) this.#goOnNextTurn();
    else if (!this.#willGoOn && !this.writer.writable) {
      this.#willGoOn = true;
      this.writer.drained(this.connection.signal).then(this.#goOnLater, () => undefined);
    }
  }

  /** Answers come many at once, in one turn: what waits for their room has the next ones. */
  #goOnNextTurn(): void {
    if (this.#willGoOn) return;
    this.#willGoOn = true;
    setImmediate(this.#goOnLater);
  }

  readonly #goOnLater = (): void => {
    this.#willGoOn = false;
    this.#goOn();
  };

  #hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#updateReading();
  }

  #updateReading(): void {
    const isRead = !this.#isHeld && !this.#late.areWaiting && (this.#queue === undefined || this.#queue.bytes < MAX_WAITING_BYTES);
    if (isRead === !this.ws.isPaused) return;
    if (isRead) this.ws.resume();
    else this.ws.pause();
  }

  #take(message: Message): void {
    if ('stop' in message) this.#calls?.stopSubscription(message.stop);
    else if ('error' in message) {
      void this.#answerUnusable(message);
    } else {
      this.#calls?.make(message);
      // Its answer may be a whole page.
      if (message.type === 'query') this.#goOnNextTurn();
    }
  }

  /** What is no call is counted like one. */
  async #answerUnusable({ envelope, error }: Unusable): Promise<void> {
    const charged = this.connection.charge('query');
    const refusal = charged === undefined ? error : await charged.then(() => error, getTRPCErrorFromUnknown);
    this.#replies.report(refusal);
    this.#replies.sendError(envelope, refusal);
  }

  /** Tells the client to move elsewhere, waits for that for a while, and answers what it has called. */
  override async drain(signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.connection.signal]);
    this.writer.writeText(RECONNECT);
    await wait(MOVE_GRACE_MS, undefined, { signal: over }).catch(() => undefined);
    this.#hold(true);
    await orAborted(this.#idle(), over);
  }

  get #isBusy(): boolean {
    return this.#queue !== undefined || this.#late.areWaiting || this.#calls?.areAllAnswered === false;
  }

  async #idle(): Promise<void> {
    while (this.connection.isOpen && this.#isBusy) {
      await this.#calls?.answered();
      // What waited has its turn after that.
      await wait(0);
    }
  }

  override goodbye(ending: Ending): void {
    this.#calls?.stopSubscriptions();
    if (this.#calls !== undefined) void this.#sayGoodbye(ending, this.#calls);
    else if (REFUSALS.has(ending.close)) this.#sayNo(ending);
    else this.closeUnread(ending);
  }

  protected override onClose(): void {
    this.#calls?.stopSubscriptions();
  }

  /** To a client that was let in: what it has called is answered first. */
  async #sayGoodbye(ending: Ending, calls: TrpcCalls<TRouter>): Promise<void> {
    for (const message of this.#queue?.takeAll() ?? []) this.#answerRefused(message, ending.error);
    for (const { data, isBinary } of this.#late.takeAll())
      for (const message of readMessages(String(data), isBinary)) this.#answerRefused(message, ending.error);
    this.#queue = undefined;
    if (!calls.areAllAnswered) await orAborted(calls.answered(), AbortSignal.timeout(ENDING_MS));
    this.close(ending);
    // The closing handshake has to be read.
    this.#hold(false);
  }

  /** To a client that was not: its calls are on their way, and have to be read to be answered. */
  #sayNo(ending: Ending): void {
    this.#readUnread();
    this.#hold(false);
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

/** Resolves when `work` has settled, or `signal` aborts. */
function orAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
    work.then(done, done);
  });
}
