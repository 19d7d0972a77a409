/**
 * A WebSocket client that counts frames and parses nothing, so that the load generator is not what is measured. It
 * speaks RFC 6455 over a TCP socket: text frames, the other end's frames skipped by their length.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Counted over all sockets of a process. */
export interface Counter {
  frames: number;
}

/** Shorter frames are the protocol's own: pings, and answers without an event. */
const EVENT_BYTES = 100;
/** Precedes the time of publishing in a payload: digits of `process.hrtime.bigint()`, which all processes share. */
export const TIME_MARK = 'at=';
const TIME_DIGITS = 20;

export interface RawSocketOptions {
  readonly port: number;
  readonly path: string;
  readonly counter: Counter;
  /** Sent as soon as the connection stands. */
  readonly hello: readonly string[];
  /** Told of every text until it returns true; from then on frames are counted. Without it the socket is ready once it stands, and counts nothing. */
  readonly untilReady?: (text: string, socket: RawSocket) => boolean;
  /** Told of every text that is not counted; what to answer. */
  readonly answer: (text: string) => string | undefined;
  /** The address that it connects from; any when absent. One address has ports for some 28,000 connections. */
  readonly localAddress?: string;
  /** Told once the connection is gone. */
  readonly onClose?: () => void;
}

export class RawSocket {
  readonly #socket: Socket;
  readonly #options: RawSocketOptions;
  readonly #ready = Promise.withResolvers<void>();
  #upgraded = false;
  #counting = false;
  /** The beginning of a frame that is not all there. */
  #rest: Buffer | undefined;
  /** Bytes of the current frame that have yet to come and are of no interest. */
  #skip = 0;
  /** Told of latencies in ms when set. */
  onLatency: ((ms: number) => void) | undefined;

  private constructor(socket: Socket, options: RawSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#ready.reject(error));
    socket.on('close', () => {
      this.#ready.reject(new Error('the connection was closed'));
      options.onClose?.();
    });
    this.#ready.promise.catch(() => undefined);
  }

  /** Resolves when the socket is ready. */
  static async open(options: RawSocketOptions): Promise<RawSocket> {
    const { port, localAddress } = options;
    const socket = connect({ port, host: '127.0.0.1', ...(localAddress !== undefined && { localAddress }) });
    await once(socket, 'connect');
    const raw = new RawSocket(socket, options);
    socket.write(
      `GET ${options.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: Y291cmllcmJlbmNobWFyaw==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    await raw.#ready.promise;
    return raw;
  }

  /** Sends a text frame, masked with zeros. */
  send(text: string): void {
    this.#socket.write(clientFrame(text));
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#skip > 0) {
      if (this.#skip >= bytes.length) {
        this.#skip -= bytes.length;
        return;
      }
      bytes = bytes.subarray(this.#skip);
      this.#skip = 0;
    }
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, bytes]);
      this.#rest = undefined;
    }
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#rest = bytes;
        return;
      }
      if (!bytes.toString('latin1', 0, 12).endsWith('101')) {
        this.#ready.reject(new Error(bytes.toString('latin1', 0, end)));
        this.close();
        return;
      }
      this.#upgraded = true;
      for (const text of this.#options.hello) this.send(text);
      if (this.#options.untilReady === undefined) this.#ready.resolve();
      bytes = bytes.subarray(end + 4);
    }
    this.#takeFrames(bytes);
  }

  #takeFrames(bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.length) {
      const left = bytes.length - offset;
      const second = bytes[offset + 1];
      const header = second === undefined ? Number.POSITIVE_INFINITY : second < 126 ? 2 : second === 126 ? 4 : 10;
      if (left < header) break;
      const length = header === 2 ? (second as number) : header === 4 ? bytes.readUInt16BE(offset + 2) : bytes.readUInt32BE(offset + 6);
      const complete = left >= header + length;
      if (this.#counting && length >= EVENT_BYTES && (complete || this.onLatency === undefined)) {
        this.#options.counter.frames += 1;
        if (this.onLatency !== undefined) this.#takeTime(bytes, offset + header, this.onLatency);
      } else if (!complete) break;
      else this.#takeText(bytes[offset] as number, bytes.toString('utf8', offset + header, offset + header + length));
      offset += header + length;
    }
    if (offset > bytes.length) this.#skip = offset - bytes.length;
    else if (offset < bytes.length) this.#rest = bytes.subarray(offset);
  }

  #takeTime(bytes: Buffer, start: number, onLatency: (ms: number) => void): void {
    const mark = bytes.indexOf(TIME_MARK, start) + TIME_MARK.length;
    const publishedAt = Number(bytes.toString('latin1', mark, mark + TIME_DIGITS));
    onLatency((Number(process.hrtime.bigint()) - publishedAt) / 1e6);
  }

  #takeText(first: number, text: string): void {
    if ((first & 0x0f) === 8) this.#socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    if ((first & 0x0f) === 9) this.#socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
    if ((first & 0x0f) !== 1) return;
    const answer = this.#options.answer(text);
    if (answer !== undefined) this.send(answer);
    if (this.#counting || !this.#options.untilReady?.(text, this)) return;
    this.#counting = true;
    this.#ready.resolve();
  }
}

/** The time now, as payloads carry it. */
export function timeMark(): string {
  return TIME_MARK + process.hrtime.bigint().toString().padStart(TIME_DIGITS, '0');
}

function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.alloc(header + 4 + length);
  frame[0] = 0x81;
  if (header === 2) frame[1] = 0x80 | length;
  else if (header === 4) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  payload.copy(frame, header + 4);
  return frame;
}
