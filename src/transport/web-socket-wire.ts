/** What the two kinds of WebSocket have in common: the socket, its control frames, its end. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Connection } from '../connections/connection.ts';
import { type Ending, STALLED, type Wire } from '../connections/wire.ts';
import { WebSocketWriter } from './web-socket-writer.ts';

/** A WebSocket whose handshake is done. */
export interface Upgraded {
  readonly ws: WebSocket;
  readonly socket: Socket;
}

export interface WebSocketWireOptions {
  readonly highWaterBytes?: number;
  readonly stallMs: number;
  /** Told when a client breaks the WebSocket protocol, or its connection breaks. */
  readonly onSocketError: (error: Error) => void;
}

/** One WebSocket of a connection. Its text messages go to `onMessage` as long as it may be read. */
export abstract class WebSocketWire implements Wire {
  readonly answersPings = true;
  readonly connection: Connection;
  protected readonly ws: WebSocket;
  protected readonly socket: Socket;
  protected readonly writer: WebSocketWriter;

  constructor(connection: Connection, { ws, socket }: Upgraded, { highWaterBytes, stallMs, onSocketError }: WebSocketWireOptions) {
    this.connection = connection;
    this.ws = ws;
    this.socket = socket;
    const onStalled = () => connection.end(STALLED);
    this.writer = new WebSocketWriter(ws, socket, { ...(highWaterBytes !== undefined && { highWaterBytes }), stallMs, onStalled });
    ws.on('message', (data, isBinary) => this.onMessage(data as Buffer, isBinary));
    ws.on('ping', (data) => this.writer.pong(data));
    ws.on('pong', () => this.writer.ponged());
    ws.on('error', onSocketError);
    ws.once('close', (code) => {
      this.writer.end();
      this.onClose();
      connection.closed(code);
    });
  }

  /** A message came, perhaps before or after the time in which the client may be read. */
  protected abstract onMessage(data: Buffer, isBinary: boolean): void;

  /** The socket is gone. */
  protected onClose(): void {}

  leave?(signal: AbortSignal): Promise<void>;

  abstract goodbye(ending: Ending): void;

  get bytesRead(): number {
    return this.socket.bytesRead;
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
    this.writer.close(close, error.message);
  }
}
