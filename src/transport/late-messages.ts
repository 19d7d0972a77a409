/**
 * A large message of a WebSocket that waits for its turn among those of all clients, and what came in one piece behind it. The
 * client is not read meanwhile, so that this is little.
 */
import type { Connection } from '../connections/connection.ts';
import { endingOf } from '../connections/wire.ts';
import { tellable } from '../errors.ts';

/** Bytes from which on a message waits for its turn. */
const LARGE_BYTES = 8 * 1024;

export interface RawMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

export class LateMessages {
  readonly #connection: Connection;
  #messages: RawMessage[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get areWaiting(): boolean {
    return this.#messages.length > 0;
  }

  /**
   * Keeps a message that has to wait, and calls `then` when it need not any more, unless the connection has ended, which it is
   * made to when it holds too much. Returns false, and keeps nothing, where the message may be taken at once.
   */
  keep(message: RawMessage, then: () => void): boolean {
    if (this.areWaiting) {
      this.#messages.push(message);
      return true;
    }
    const { length } = message.data;
    const turn = length < LARGE_BYTES ? undefined : this.#connection.turn(length);
    if (turn === undefined) return false;
    this.#messages = [message];
    try {
      this.#connection.reserve(length);
    } catch (error) {
      this.#connection.end(endingOf(tellable(error)));
    }
    void turn.then(() => {
      this.#connection.release(length);
      if (this.#connection.isOpen) then();
    });
    return true;
  }

  takeAll(): RawMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }
}
