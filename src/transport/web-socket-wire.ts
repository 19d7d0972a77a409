/** What WebSockets with and without tRPC have in common: the socket, its control frames, its end. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Principal } from '../auth/principal.ts';
import type { Connection } from '../connections/connection.ts';
import { type Ending, STALLED, type Wire } from '../connections/wire.ts';
import { CourierError } from '../errors.ts';
import { WebSocketWriter } from './web-socket-writer.ts';

/** A WebSocket whose handshake is done. */
export interface Upgraded {
  readonly ws: WebSocket;
  readonly socket: Socket;
}

/** What came of opening a connection whose request says who speaks, before its handshake. */
export type Opened = () => Promise<Principal>;

export interface WebSocketWireOptions {
  readonly highWaterBytes?: number;
  readonly stallMs: number;
  /** Told when a client breaks the WebSocket protocol. */
  readonly onSocketError: (error: Error & { readonly code?: string }, connection: Connection) => void;
}

/** Bytes that the gateway reads of a client that it refuses: its calls, to be answered, and its part in the closing handshake. */
const MAX_REFUSED_BYTES = 64 * 1024;

/** One WebSocket of a connection. Its messages go to `onMessage`. */
export abstract class WebSocketWire implements Wire {
  readonly answersPings = true;
  readonly hasCloseFrames = true;
  readonly connection: Connection;
  protected readonly ws: WebSocket;
  protected readonly socket: Socket;
  protected readonly writer: WebSocketWriter;
  /** Bytes that came before the client was let in. */
  #unauthenticatedBytes = 0;

  constructor(connection: Connection, { ws, socket }: Upgraded, { highWaterBytes, stallMs, onSocketError }: WebSocketWireOptions) {
    this.connection = connection;
    this.ws = ws;
    this.socket = socket;
    const onStalled = () => connection.end(STALLED);
    this.writer = new WebSocketWriter(ws, socket, { ...(highWaterBytes !== undefined && { highWaterBytes }), stallMs, onStalled });
    ws.on('message', (data, isBinary) => this.onMessage(data as Buffer, isBinary));
    socket.on('data', this.#countUnauthenticated);
    ws.on('ping', (data) => this.writer.pong(data));
    ws.on('pong', () => this.writer.ponged());
    ws.on('error', (error) => onSocketError(error, connection));
    ws.once('close', (code) => {
      this.writer.end();
      this.onClose();
      connection.closed(code);
    });
  }

  /** How many bytes may come of a client that has yet to sign in. What it may not send yet waits in its socket. */
  protected get maxUnauthenticatedBytes(): number {
    return 0;
  }

  /** Reads nothing more of a client that sends too much before the gateway lets it in, or after it refused it. */
  readonly #countUnauthenticated = (chunk: Buffer): void => {
    const { state, ending } = this.connection;
    this.#unauthenticatedBytes += chunk.length;
    if (state === 'open') this.socket.off('data', this.#countUnauthenticated);
    else if (ending === undefined) {
      if (this.maxUnauthenticatedBytes > 0 && this.#unauthenticatedBytes > this.maxUnauthenticatedBytes)
        this.connection.end(TOO_MUCH_UNKNOWN);
    } else if (this.#unauthenticatedBytes > MAX_REFUSED_BYTES) this.closeUnread(ending);
  };

  /** Called for each message, in every state of the connection. */
  protected abstract onMessage(data: Buffer, isBinary: boolean): void;

  /** The socket is gone. */
  protected onClose(): void {}

  drain?(signal: AbortSignal): Promise<void>;

  abstract goodbye(ending: Ending): void;

  get bytesRead(): number {
    return this.socket.bytesRead;
  }

  get isRead(): boolean {
    return !this.ws.isPaused;
  }

  get bufferedBytes(): number {
    return this.writer.bufferedBytes;
  }

  ping(): void {
    this.writer.ping();
  }

  destroy(): void {
    this.ws.terminate();
  }

  /** Sends what is queued and the close frame. */
  protected close({ close, error }: Ending): void {
    // First, as a long reason is cut: 1008 alone does not tell a right that is missing from a token that is not valid.
    this.writer.close(close, error.code === 'FORBIDDEN' ? `forbidden: ${error.message}` : error.message);
  }

  /** Ends a client that never said who it is, or sends too much: the gateway reads nothing more of it, and does not wait for it. */
  protected closeUnread(ending: Ending): void {
    this.close(ending);
    this.ws.pause();
    if (ending.close === 4408) this.socket.destroySoon();
  }
}

const TOO_MUCH_UNKNOWN: Ending = {
  close: 1009,
  error: new CourierError('PAYLOAD_TOO_LARGE', 'too much was sent before the connection parameters'),
};
