/**
 * Everything that is written to one WebSocket, in order: replies and events go through one queue, and what is queued
 * in one turn of the event loop leaves in one write. Frames from the server are unmasked, so one buffer serves every
 * socket; `ws` writes its own control frames in whole frames too, so the two never mix within one.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { CloseCode } from '../contract/codes.ts';

export interface SocketWriterOptions {
  /** From this many unsent bytes the writer is not writable. */
  readonly highWaterBytes?: number;
  /** A connection that is not writable, and whose client reads nothing for this long, is closed with 4509. */
  readonly stallTimeoutMs?: number;
}

const HIGH_WATER_BYTES = 256 * 1024;
const STALL_TIMEOUT_MS = 30_000;
/** Largest single write. The kernel takes writes one by one, so smaller ones make progress visible. */
const MAX_WRITE_BYTES = 64 * 1024;
/**
 * A ping follows every so many bytes. The kernel holds megabytes for a slow client and takes more only in lumps of
 * hundreds of kilobytes, minutes apart at 10 KB/s; the pongs show that such a client does read.
 */
const BYTES_BETWEEN_PINGS = 128 * 1024;
/** Pings without a pong, at most. Clients made with `ws` take 60 for a flood. */
const MAX_UNANSWERED_PINGS = 48;

/** A text message as one unmasked frame (RFC 6455, section 5.2). */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + length);
  frame[0] = 0x81;
  if (header === 2) frame[1] = length;
  else if (header === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, header, 'utf8');
  return frame;
}

export class SocketWriter {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #highWaterBytes: number;
  readonly #stallTimeoutMs: number;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #bytesSincePing = 0;
  #unansweredPings = 0;
  #pongs = 0;
  #stallTimer: NodeJS.Timeout | undefined;
  /** When something was last handed to the socket, in ms since 1970. */
  lastWriteAt = 0;

  constructor(ws: WebSocket, socket: Duplex, options: SocketWriterOptions = {}) {
    this.#ws = ws;
    this.#socket = socket;
    this.#highWaterBytes = options.highWaterBytes ?? HIGH_WATER_BYTES;
    this.#stallTimeoutMs = options.stallTimeoutMs ?? STALL_TIMEOUT_MS;
    ws.on('pong', () => {
      this.#pongs += 1;
      this.#unansweredPings = Math.max(0, this.#unansweredPings - 1);
    });
  }

  get open(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  /** Bytes that have not left for the kernel. */
  get bufferedBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  get writable(): boolean {
    return this.bufferedBytes < this.#highWaterBytes;
  }

  writeText(text: string): void {
    this.writeFrame(textFrame(text));
  }

  /** Queues a whole frame. Dropped once the connection is closing. */
  writeFrame(frame: Buffer): void {
    if (!this.open) return;
    if (this.#queue.length === 0) scheduleFlush(this);
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
  }

  /** Hands the queue to the socket; `share` makes one buffer of equal queues. */
  flush(share: (queue: readonly Buffer[]) => Buffer = Buffer.concat): void {
    if (this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    if (!this.open) return;
    this.lastWriteAt = Date.now();
    const bytes = share(queue);
    for (let start = 0; start < bytes.length; start += MAX_WRITE_BYTES) this.#socket.write(bytes.subarray(start, start + MAX_WRITE_BYTES));
    this.#bytesSincePing += bytes.length;
    if (this.#bytesSincePing >= BYTES_BETWEEN_PINGS && this.#unansweredPings < MAX_UNANSWERED_PINGS) {
      this.#bytesSincePing = 0;
      this.#unansweredPings += 1;
      this.#ws.ping();
    }
    if (!this.writable) this.#watchForStall();
  }

  /** Resolves when the writer is writable; rejects when `signal` aborts. The end of the connection aborts its signals. */
  async drained(signal: AbortSignal): Promise<void> {
    while (!this.writable) {
      signal.throwIfAborted();
      await this.#moved(signal);
    }
  }

  /** Resolves when the socket has drained, or aborts. */
  #moved(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#socket.off('drain', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      this.#socket.on('drain', done);
      // A queue that is flushed may leave nothing for the socket to drain.
      if (this.#queuedBytes > 0) queueMicrotask(done);
    });
  }

  /** Sends what is queued, then closes with `code`. */
  close(code: CloseCode, reason: string): void {
    this.flush();
    this.#ws.close(code, reason);
  }

  #watchForStall(): void {
    if (this.#stallTimer !== undefined) return;
    const { writableLength } = this.#socket;
    const pongs = this.#pongs;
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = undefined;
      if (this.writable || !this.open) return;
      if (this.#socket.writableLength !== writableLength || this.#pongs !== pongs) this.#watchForStall();
      else this.#giveUp();
    }, this.#stallTimeoutMs);
    this.#stallTimer.unref();
  }

  /** The close frame stands behind what the client has not read; `ws` cuts the connection if it does not get there. */
  #giveUp(): void {
    this.#ws.close(4509, 'no progress');
  }
}

let dirty: SocketWriter[] = [];

function scheduleFlush(writer: SocketWriter): void {
  if (dirty.length === 0) queueMicrotask(flushAll);
  dirty.push(writer);
}

/** Subscribers of one channel have the same frames in their queues: the last joined buffer often fits the next one. */
function flushAll(): void {
  const writers = dirty;
  dirty = [];
  let lastQueue: readonly Buffer[] = [];
  let lastJoined: Buffer = Buffer.alloc(0);
  const share = (queue: readonly Buffer[]): Buffer => {
    if (queue.length === 1) return queue[0] as Buffer;
    if (queue.length !== lastQueue.length || queue.some((frame, index) => frame !== lastQueue[index])) {
      lastQueue = queue;
      lastJoined = Buffer.concat(queue);
    }
    return lastJoined;
  };
  for (const writer of writers) writer.flush(share);
}
