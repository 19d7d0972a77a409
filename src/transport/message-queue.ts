/**
 * The messages of one client that wait for their turn, first come first served. A call waits as text: as a value it may take
 * twenty times as much. What they hold is counted with what else the client's principal holds.
 */
import { parseJson } from '../contract/json-text.ts';
import type { Call, Message } from './trpc-messages.ts';

/** What a waiting message takes beside its text, about. */
const MESSAGE_BYTES = 256;
/** Taken messages that may stand at the front before they are dropped. */
const SLACK = 64;

/** Whoever counts what is held. */
export interface Holder {
  /** @throws when that is too much. */
  reserve(bytes: number): void;
  release(bytes: number): void;
}

/** The text of a call, or what is no call, which is small. */
type Waiting = string | Exclude<Message, Call>;

export class MessageQueue {
  readonly #holder: Holder;
  #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;

  constructor(holder: Holder) {
    this.#holder = holder;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /** Of the text of the waiting ones, and of what they take beside it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws what `hold` throws; then none of them waits. */
  add(messages: readonly Message[]): void {
    const waiting = messages.map((message) => ('path' in message ? JSON.stringify(message) : message));
    const bytes = waiting.reduce((sum, one) => sum + bytesOf(one), 0);
    this.#holder.reserve(bytes);
    this.#bytes += bytes;
    for (const one of waiting) this.#waiting.push(one);
  }

  take(): Message | undefined {
    const next = this.#waiting[this.#first];
    if (next === undefined) return undefined;
    this.#first += 1;
    this.#letGo(bytesOf(next));
    if (this.isEmpty) this.#clear();
    else if (this.#first >= SLACK && this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return messageOf(next);
  }

  /** Takes all that are left, one after another. */
  *takeAll(): Generator<Message, void> {
    const rest = this.#waiting.slice(this.#first);
    this.#letGo(this.#bytes);
    this.#clear();
    for (const one of rest) yield messageOf(one);
  }

  #letGo(bytes: number): void {
    this.#bytes -= bytes;
    this.#holder.release(bytes);
  }

  #clear(): void {
    this.#waiting = [];
    this.#first = 0;
  }
}

function bytesOf(waiting: Waiting): number {
  return MESSAGE_BYTES + (typeof waiting === 'string' ? waiting.length : 0);
}

function messageOf(waiting: Waiting): Message {
  return typeof waiting === 'string' ? (parseJson(waiting) as Call) : waiting;
}
