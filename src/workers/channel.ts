/**
 * Messages between the supervisor and a worker, over a socket of the two: in order, those of one turn of the event loop in one write.
 * A message may have bytes with it, which are neither copied nor looked at.
 */
import type { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';

export interface ChannelListener {
  onMessage(message: unknown, bytes: Buffer): void;
  /** The other end is gone, or this one was closed. */
  onEnd(): void;
}

/** From so many bytes that the other end has not taken on, it is behind: what can be had in another way is not sent to it. */
const BEHIND_BYTES = 16 * 1024 * 1024;
/** A frame: the length of the messages and of the bytes, and both. */
const HEADER_BYTES = 8;
const NOTHING = Buffer.alloc(0);

export class Channel {
  readonly #socket: Socket;
  #outgoing: unknown[] = [];
  /** What has come of a frame that is not all there. */
  #chunks: Buffer[] = [];
  #gathered = 0;
  /** How long the next frame is, as soon as that is known, with its header. */
  #expected = HEADER_BYTES;
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The other end takes less than is sent. */
  get isBehind(): boolean {
    return this.#socket.writableLength > BEHIND_BYTES;
  }

  listen({ onMessage, onEnd }: ChannelListener): void {
    const end = () => {
      if (this.#ended) return;
      this.#ended = true;
      onEnd();
    };
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk, onMessage));
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', end);
  }

  /** Goes out with the others of this turn, or, where it has bytes, at once behind them. Dropped when the other end is gone. */
  post(message: unknown, bytes?: Uint8Array): void {
    if (this.#ended) return;
    if (this.#outgoing.length === 0 && bytes === undefined) setImmediate(this.#flush);
    this.#outgoing.push(message);
    if (bytes !== undefined) this.#send(bytes);
  }

  /** Hands over what was posted, and ends. */
  end(): void {
    this.#flush();
    this.#socket.end();
    this.#socket.unref();
  }

  readonly #flush = (): void => {
    if (this.#outgoing.length > 0) this.#send(NOTHING);
  };

  #send(bytes: Uint8Array): void {
    const messages = serialize(this.#outgoing);
    this.#outgoing = [];
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32LE(messages.length, 0);
    header.writeUInt32LE(bytes.length, 4);
    this.#socket.cork();
    this.#socket.write(header);
    this.#socket.write(messages);
    if (bytes.length > 0) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  #take(chunk: Buffer, onMessage: ChannelListener['onMessage']): void {
    this.#chunks.push(chunk);
    this.#gathered += chunk.length;
    if (this.#gathered < this.#expected) return;
    const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let at = 0;
    for (;;) {
      const left = all.length - at;
      this.#expected = left < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + all.readUInt32LE(at) + all.readUInt32LE(at + 4);
      if (left < this.#expected) break;
      const end = at + this.#expected;
      const bytesAt = at + HEADER_BYTES + all.readUInt32LE(at);
      const messages = deserialize(all.subarray(at + HEADER_BYTES, bytesAt)) as unknown[];
      const last = messages.length - 1;
      for (const [index, message] of messages.entries()) onMessage(message, index === last ? all.subarray(bytesAt, end) : NOTHING);
      at = end;
    }
    this.#chunks = at === all.length ? [] : [all.subarray(at)];
    this.#gathered = all.length - at;
  }
}
