/**
 * Everything that is written to one WebSocket, in order: replies and events go through one queue, and what is queued
 * in one turn of the event loop leaves in one write. Frames from the server are unmasked, so one buffer serves every
 * socket; `ws` writes its own control frames in whole frames too, so the two never mix within one.
 *
 * Where there are many sockets to write to, the event loop gets its turns in between.
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

/** Longest reason that fits a close frame, in bytes (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123;
/** A whole ping frame. */
const PING = Buffer.from([0x89, 0x00]);
/** `readyState` of an open WebSocket. */
const OPEN = 1;
const HIGH_WATER_BYTES = 256 * 1024;
const STALL_TIMEOUT_MS = 30_000;
/**
 * A ping follows every so many bytes. The kernel holds megabytes for a slow client and takes more only in lumps of
 * hundreds of kilobytes, minutes apart at 10 KB/s; the pongs show that such a client does read.
 */
const BYTES_BETWEEN_PINGS = 256 * 1024;
/** Pings without a pong, at most: enough for what a kernel holds, and fewer than the 60 that clients made with `ws` take for a flood. */
const MAX_UNANSWERED_PINGS = 32;
/** How long flushing may keep the event loop from others at a time, in ms. */
const FLUSH_SLICE_MS = 5;
/** Writers flushed between two looks at the clock. */
const WRITERS_BETWEEN_LOOKS = 32;

/** Text messages as unmasked frames (RFC 6455, section 5.2), one after another. */
export function textFrames(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + headerLength(length) + length, 0));
  let offset = 0;
  for (const [index, length] of lengths.entries()) {
    offset = writeHeader(bytes, offset, length);
    offset += bytes.write(texts[index] as string, offset, 'utf8');
  }
  return bytes;
}

function headerLength(length: number): 2 | 4 | 10 {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

/** Returns where the payload begins. */
function writeHeader(bytes: Buffer, offset: number, length: number): number {
  const header = headerLength(length);
  bytes[offset] = 0x81;
  if (header === 2) bytes[offset + 1] = length;
  else if (header === 4) {
    bytes[offset + 1] = 126;
    bytes.writeUInt16BE(length, offset + 2);
  } else {
    bytes[offset + 1] = 127;
    bytes.writeBigUInt64BE(BigInt(length), offset + 2);
  }
  return offset + header;
}

export class SocketWriter {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #highWaterBytes: number;
  readonly #stallTimeoutMs: number;
  /** Whole frames, each buffer perhaps shared with other sockets. */
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  /** The last write left next to nothing in the socket: it need not be asked. */
  #socketIsFree = true;
  /** Told when what is queued has been handed to the socket, or the socket has drained. */
  #onMoved: Set<() => void> | undefined;
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
    return this.#ws.readyState === OPEN;
  }

  /** Bytes that have not left for the kernel. */
  get bufferedBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  get writable(): boolean {
    return (this.#socketIsFree ? this.#queuedBytes : this.bufferedBytes) < this.#highWaterBytes;
  }

  writeText(text: string): void {
    this.write(textFrames([text]));
  }

  /** Queues whole frames. Dropped once the connection is closing. */
  write(frames: Buffer): void {
    if (!this.open) return;
    if (this.#queue.push(frames) === 1) scheduleFlush(this);
    this.#queuedBytes += frames.length;
  }

  /** Hands what is queued to the socket. `now`: ms since 1970. */
  flush(now: number): void {
    if (this.#queue.length === 0) return;
    if (this.open) this.#send(now);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    if (!this.#socketIsFree && !this.writable) this.#watchForStall();
    this.#moved();
  }

  #send(now: number): void {
    this.lastWriteAt = now;
    this.#bytesSincePing += this.#queuedBytes;
    if (this.#bytesSincePing >= BYTES_BETWEEN_PINGS && this.#unansweredPings < MAX_UNANSWERED_PINGS) {
      this.#bytesSincePing = 0;
      this.#unansweredPings += 1;
      this.#queue.push(PING);
    }
    if (this.#queue.length === 1) this.#socketIsFree = this.#socket.write(this.#queue[0]);
    else this.#sendTogether();
  }

  /** All in one write, without copying what others send too. */
  #sendTogether(): void {
    this.#socket.cork();
    for (const frames of this.#queue) this.#socketIsFree = this.#socket.write(frames);
    this.#socket.uncork();
  }

  /** Resolves when the writer is writable; rejects when `signal` aborts. The end of the connection aborts its signals. */
  async drained(signal: AbortSignal): Promise<void> {
    while (!this.writable) {
      signal.throwIfAborted();
      await this.#untilMoved(signal);
    }
  }

  /** Resolves when something has moved, or `signal` aborts. */
  #untilMoved(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#onMoved?.delete(done);
        resolve();
      };
      signal.addEventListener('abort', done);
      if (this.#onMoved === undefined) {
        this.#onMoved = new Set();
        this.#socket.on('drain', () => this.#moved());
      }
      this.#onMoved.add(done);
    });
  }

  #moved(): void {
    if (this.#onMoved !== undefined) for (const done of this.#onMoved) done();
  }

  /** Sends what is queued, then closes with `code`. */
  close(code: CloseCode, reason: string): void {
    this.flush(Date.now());
    this.#ws.close(code, cut(reason));
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

/** Writers with something queued, in the order of their first write. */
let dirty: SocketWriter[] = [];
/** Index of the first of them that has not been flushed. */
let next = 0;

function scheduleFlush(writer: SocketWriter): void {
  if (dirty.length === 0) queueMicrotask(flushAll);
  dirty.push(writer);
}

/** Every writer in its turn; after a slice the event loop has its own first. */
function flushAll(): void {
  const now = Date.now();
  const sliceEnds = performance.now() + FLUSH_SLICE_MS;
  while (next < dirty.length) {
    (dirty[next] as SocketWriter).flush(now);
    next += 1;
    if (next % WRITERS_BETWEEN_LOOKS === 0 && performance.now() > sliceEnds) {
      setImmediate(flushAll);
      return;
    }
  }
  dirty = [];
  next = 0;
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_REASON_BYTES
    ? text
    : `${bytes
        .subarray(0, MAX_REASON_BYTES - 3)
        .toString('utf8')
        .replace(/\uFFFD$/, '')}…`;
}
