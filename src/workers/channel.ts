/**
 * Messages between the supervisor and a worker, over a socket of the two: in order, those of one step of the event loop in one write.
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
/** A frame begins with how long it is, and how long the messages in it are; their bytes come behind them. */
const HEADER_BYTES = 8;
const NOTHING = Buffer.alloc(0);

/** What a frame says: messages, and how many bytes each has. */
type Outgoing = (readonly [message: unknown, bytes: number])[];

export class Channel {
  readonly #socket: Socket;
  #messages: Outgoing = [];
  #bytes: Uint8Array[] = [];
  /** What has come of a frame that is not all there. */
  #chunks: Buffer[] = [];
  #gathered = 0;
  /** How long the next frame is, as soon as that is known. */
  #expected = HEADER_BYTES;
  #ended = false;

  #listener: ChannelListener | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#ended = true;
      this.#listener?.onEnd();
    });
  }

  /** The other end takes less than is sent. */
  get isBehind(): boolean {
    return this.#socket.writableLength > BEHIND_BYTES;
  }

  /** What has come before waits for this. */
  listen(listener: ChannelListener): void {
    this.#listener = listener;
    if (this.#ended) queueMicrotask(() => listener.onEnd());
    else this.#socket.on('data', (chunk: Buffer) => this.#take(chunk, listener.onMessage));
  }

  /** Dropped when the other end is gone. */
  post(message: unknown, bytes?: Uint8Array): void {
    if (this.#ended) return;
    if (this.#messages.length === 0) queueMicrotask(this.#flush);
    this.#messages.push([message, bytes?.length ?? 0]);
    if (bytes !== undefined) this.#bytes.push(bytes);
  }

  /** Hands over what was posted, and ends. */
  end(): void {
    this.#flush();
    this.#socket.end();
    this.#socket.unref();
  }

  readonly #flush = (): void => {
    if (this.#messages.length === 0) return;
    const messages = serialize(this.#messages);
    const bytes = this.#bytes;
    this.#messages = [];
    this.#bytes = [];
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    const length = bytes.reduce((sum, each) => sum + each.length, HEADER_BYTES + messages.length);
    header.writeUInt32LE(length, 0);
    header.writeUInt32LE(messages.length, 4);
    this.#socket.cork();
    this.#socket.write(header);
    this.#socket.write(messages);
    for (const each of bytes) this.#socket.write(each);
    this.#socket.uncork();
  };

  #take(chunk: Buffer, onMessage: ChannelListener['onMessage']): void {
    this.#chunks.push(chunk);
    this.#gathered += chunk.length;
    if (this.#gathered < this.#expected) return;
    const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let at = 0;
    for (;;) {
      const left = all.length - at;
      this.#expected = left < HEADER_BYTES ? HEADER_BYTES : all.readUInt32LE(at);
      if (left < this.#expected) break;
      unpackFrame(all.subarray(at, at + this.#expected), onMessage);
      at += this.#expected;
    }
    this.#chunks = at === all.length ? [] : [all.subarray(at)];
    this.#gathered = all.length - at;
  }
}

function unpackFrame(frame: Buffer, onMessage: ChannelListener['onMessage']): void {
  let at = HEADER_BYTES + frame.readUInt32LE(4);
  for (const [message, length] of deserialize(frame.subarray(HEADER_BYTES, at)) as Outgoing) {
    onMessage(message, length === 0 ? NOTHING : frame.subarray(at, at + length));
    at += length;
  }
}
