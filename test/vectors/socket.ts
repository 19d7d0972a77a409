/** A WebSocket that can be made to fail as networks do: in the middle of a message, or without a word. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { textFrames } from '../../src/transport/web-socket-writer.ts';

/** Longest reason that fits a close frame, in bytes (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123;

export class ScriptedSocket {
  readonly ws: WebSocket;
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>;
  readonly #socket: Duplex;
  #ended = false;

  constructor(ws: WebSocket, socket: Duplex) {
    this.ws = ws;
    this.#socket = socket;
    this.closed = new Promise((resolve) => ws.once('close', () => resolve()));
    // A client that is gone is found out by what it did not do.
    ws.on('error', () => undefined);
  }

  /** Whether neither side has ended it. What still comes from a client once the server has ended it is of no filter. */
  get isOpen(): boolean {
    return !this.#ended && this.ws.readyState === this.ws.OPEN;
  }

  /** Sends text messages in one write, as the gateway does. */
  send(texts: readonly string[]): void {
    if (this.isOpen && texts.length > 0) this.#socket.write(textFrames(texts));
  }

  /** Sends the first half of a message. Nothing but `drop` can follow. */
  sendHalf(text: string): void {
    const frame = textFrames([text]);
    if (this.isOpen) this.#socket.write(frame.subarray(0, Math.ceil(frame.length / 2)));
  }

  /** Ends the TCP connection after what was sent, without a close frame. */
  drop(): void {
    this.#ended = true;
    this.#socket.end();
  }

  close(code: number, reason = ''): void {
    this.#ended = true;
    const bytes = Buffer.from(reason);
    this.ws.close(code, bytes.length <= MAX_REASON_BYTES ? reason : bytes.subarray(0, MAX_REASON_BYTES));
  }
}
