/**
 * The messages that one client of tRPC over WebSocket has sent and that wait, and when each has its turn: first come, first served.
 *
 * - A large message waits unread for its turn among those of all clients, and what came in one piece with it waits behind it.
 * - Calls are made some at a time, while there is room for their answers, so that a message with a thousand of them leaves other
 *   clients their turns. A call waits as text: as a value it may take twenty times as much.
 *
 * The connection counts the memory that waiting messages take. The gateway does not read the client while `isFull`.
 */
import type { Connection } from '../connections/connection.ts';
import { endingOf } from '../connections/wire.ts';
import { parseJson } from '../contract/json-text.ts';
import { tellable } from '../errors.ts';
import { bytesInMemory } from '../limits/bytes.ts';
import type { Meter } from '../observe/meter.ts';
import { type Call, type Message, readMessages } from './trpc-messages.ts';
import type { WebSocketWriter } from './web-socket-writer.ts';

/** Bytes from which on a message waits unread for its turn. */
const LARGE_BYTES = 8 * 1024;
/** From so many bytes of waiting messages on the gateway does not read the client. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Waiting messages that have their turn at once, at most. Most of what a call costs comes after it is made, in the same turn. */
const MESSAGES_PER_TURN = 16;
/** Messages with one call each that have their turn as they come, at most, and the pause that begins the count anew, in ms. */
const MAX_BURST_MESSAGES = 64;
const BURST_PAUSE_MS = 0.5;
/** Places at the front of the queue that may be empty before they are dropped. */
const MAX_EMPTY_PLACES = 64;

/** A message as it came. */
export interface RawMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** Acts on the messages whose turn it is. */
export interface MessageHandler {
  /** There is room for the answer to another message. */
  readonly hasRoom: boolean;
  /** Answers a message that only asks whether somebody is there. Returns false for any other. */
  answerPing(data: Buffer, isBinary: boolean): boolean;
  take(message: Message): void;
  /** Called when `isFull` or `isEmpty` may have changed. */
  onQueueChanged(): void;
}

export interface IncomingMessagesDeps {
  readonly connection: Connection;
  readonly writer: WebSocketWriter;
  readonly meter: Pick<Meter, 'message'>;
  readonly handler: MessageHandler;
}

export class IncomingMessages {
  readonly #deps: IncomingMessagesDeps;
  /** A large message, and what came behind it. */
  #unread: RawMessage[] = [];
  /** There while messages wait. */
  #queue: MessageQueue | undefined;
  /** The next turn is on its way. */
  #isScheduled = false;
  /** Messages that came close behind each other, and when the last one came, in ms of the monotonic clock. */
  #burstMessages = 0;
  #lastAt = 0;

  constructor(deps: IncomingMessagesDeps) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#queue === undefined && this.#unread.length === 0;
  }

  /** So much waits that nothing more is to be read. */
  get isFull(): boolean {
    return this.#unread.length > 0 || (this.#queue !== undefined && this.#queue.bytes >= MAX_WAITING_BYTES);
  }

  /** Takes what came over the open connection. Ends the connection when what waits takes too much memory. */
  receive(data: Buffer, isBinary: boolean): void {
    const turn = this.#unread.length > 0 || data.length < LARGE_BYTES ? undefined : this.#deps.connection.turn(data.length);
    if (this.#unread.length > 0) this.#unread.push({ data, isBinary });
    else if (turn === undefined) this.#read(data, isBinary);
    else this.#postpone({ data, isBinary }, turn);
  }

  /** There may be room for more: another turn follows. */
  proceed(): void {
    if (this.#queue !== undefined) this.#schedule();
  }

  /** Takes all that waits out, in order. */
  *takeAll(): Generator<Message, void> {
    const [queue, unread] = [this.#queue, this.#unread];
    this.#queue = undefined;
    this.#unread = [];
    if (queue !== undefined) yield* queue.takeAll();
    for (const { data, isBinary } of unread) yield* readMessages(String(data), isBinary);
  }

  /** Lets a message wait unread until its turn. */
  #postpone(message: RawMessage, turn: Promise<void>): void {
    const { connection, handler } = this.#deps;
    const { length } = message.data;
    this.#unread = [message];
    try {
      connection.reserve(length);
    } catch (error) {
      connection.end(endingOf(tellable(error)));
      return;
    }
    handler.onQueueChanged();
    void turn.then(() => {
      connection.release(length);
      if (connection.isOpen) this.#readUnread();
    });
  }

  #readUnread(): void {
    const [first, ...behind] = this.#unread;
    this.#unread = [];
    if (first !== undefined) this.#read(first.data, first.isBinary);
    for (const { data, isBinary } of behind) if (this.#deps.connection.isOpen) this.receive(data, isBinary);
    this.#deps.handler.onQueueChanged();
  }

  #read(data: Buffer, isBinary: boolean): void {
    const { handler, meter } = this.#deps;
    if (handler.answerPing(data, isBinary)) return;
    meter.message('in', data.length);
    const messages = readMessages(String(data), isBinary);
    const [first] = messages;
    const isNext = this.#queue === undefined && !this.#isScheduled && handler.hasRoom && !this.#isBurst();
    if (messages.length === 1 && first !== undefined && isNext) this.#take(first);
    else if (messages.length > 0) this.#enqueue(messages);
  }

  #enqueue(messages: readonly Message[]): void {
    this.#queue ??= new MessageQueue(this.#deps.connection);
    try {
      this.#queue.add(messages);
    } catch (error) {
      // There is no room for what waits, and nothing tells the client of it but the end. No closure has the messages: the error
      // would keep them, as it keeps the functions that it was thrown through.
      this.#deps.connection.end(endingOf(tellable(error)));
      return;
    }
    this.#takeTurn();
  }

  /** Have so many messages come so close together that others may have had no turn? */
  #isBurst(): boolean {
    const now = performance.now();
    this.#burstMessages = now - this.#lastAt < BURST_PAUSE_MS ? this.#burstMessages + 1 : 0;
    this.#lastAt = now;
    return this.#burstMessages > MAX_BURST_MESSAGES;
  }

  #takeTurn(): void {
    const { connection, handler } = this.#deps;
    if (!this.#isScheduled && connection.isOpen) this.#takeSome();
    handler.onQueueChanged();
  }

  #takeSome(): void {
    const { connection, handler, writer } = this.#deps;
    for (let taken = 0; taken < MESSAGES_PER_TURN && handler.hasRoom && !this.#isScheduled; taken += 1) {
      const message = this.#queue?.take();
      if (message === undefined) {
        this.#queue = undefined;
        return;
      }
      this.#take(message);
    }
    if (handler.hasRoom) this.#schedule();
    else if (!this.#isScheduled && !writer.writable) {
      this.#isScheduled = true;
      writer.drained(connection.signal).then(this.#takeScheduledTurn, () => undefined);
    }
  }

  #take(message: Message): void {
    this.#deps.handler.take(message);
    // The answer to a query may be a whole page.
    if ('path' in message && message.type === 'query') this.#schedule();
  }

  /** Answers come many at once: the messages that wait for their room have the next turn of the event loop. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#takeScheduledTurn);
  }

  readonly #takeScheduledTurn = (): void => {
    this.#isScheduled = false;
    this.#takeTurn();
  };
}

const BEYOND_LATIN_1 = /[\u0100-\uffff]/;

/** Counts the memory that a client's messages take. */
export interface Quota {
  /** @throws when that is too much. */
  reserve(bytes: number): void;
  release(bytes: number): void;
}

/** The text of a call, or what is no call, which is small. */
type Waiting = string | Exclude<Message, Call>;

export class MessageQueue {
  readonly #quota: Quota;
  #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;

  constructor(quota: Quota) {
    this.#quota = quota;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /** Bytes of memory that the waiting messages take, at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws what `reserve` throws; then none of them waits. */
  add(messages: readonly Message[]): void {
    const waiting = messages.map((message) => ('path' in message ? JSON.stringify(message) : message));
    const bytes = waiting.reduce((sum, one) => sum + bytesOf(one), 0);
    this.#quota.reserve(bytes);
    this.#bytes += bytes;
    for (const one of waiting) this.#waiting.push(one);
  }

  take(): Message | undefined {
    const next = this.#waiting[this.#first];
    if (next === undefined) return undefined;
    this.#first += 1;
    this.#release(bytesOf(next));
    if (this.isEmpty) this.#clear();
    else if (this.#first >= MAX_EMPTY_PLACES && this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return messageOf(next);
  }

  /** Takes all that are left, one after another. */
  *takeAll(): Generator<Message, void> {
    const rest = this.#waiting.slice(this.#first);
    this.#release(this.#bytes);
    this.#clear();
    for (const one of rest) yield messageOf(one);
  }

  #release(bytes: number): void {
    this.#bytes -= bytes;
    this.#quota.release(bytes);
  }

  #clear(): void {
    this.#waiting = [];
    this.#first = 0;
  }
}

function bytesOf(waiting: Waiting): number {
  // No more than an id, or the message of an error, which are short.
  if (typeof waiting !== 'string') return bytesInMemory('error' in waiting ? waiting.error.message.length : String(waiting.stop).length);
  // V8 keeps a text without a unit beyond Latin-1 in half of what it would take otherwise.
  return bytesInMemory(BEYOND_LATIN_1.test(waiting) ? waiting.length : waiting.length / 2);
}

function messageOf(waiting: Waiting): Message {
  return typeof waiting === 'string' ? (parseJson(waiting) as Call) : waiting;
}
