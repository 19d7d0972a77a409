/** The messages of one client that wait for their turn, first come first served, with what they hold in bytes. */
import type { Message } from './trpc-messages.ts';

/** What a waiting message takes beside its text, about. */
const MESSAGE_BYTES = 256;
/** Taken messages that may stand at the front before they are dropped. */
const SLACK = 64;

interface Waiting {
  readonly message: Message;
  readonly bytes: number;
}

export class MessageQueue {
  #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /** Of the text that the waiting ones came in, and of what they take beside it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param bytes of the text that all of them came in. */
  add(messages: readonly Message[], bytes: number): void {
    const share = bytes / Math.max(1, messages.length) + MESSAGE_BYTES;
    for (const message of messages) this.#waiting.push({ message, bytes: share });
    this.#bytes += share * messages.length;
  }

  take(): Message | undefined {
    const next = this.#waiting[this.#first];
    if (next === undefined) return undefined;
    this.#first += 1;
    this.#bytes -= next.bytes;
    if (this.isEmpty) this.#clear();
    else if (this.#first >= SLACK && this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return next.message;
  }

  /** Takes all that are left. */
  takeAll(): Message[] {
    const rest = this.#waiting.slice(this.#first).map(({ message }) => message);
    this.#clear();
    return rest;
  }

  #clear(): void {
    this.#waiting = [];
    this.#first = 0;
    this.#bytes = 0;
  }
}
