/**
 * Everything that is written to one socket, in order: answers and events go through one queue, and what is queued in one turn
 * of the event loop leaves in one write. Bytes may be shared with other sockets.
 *
 * Where there are many sockets to write to, the event loop gets its turns in between.
 */
import type { Socket } from 'node:net';
import type { Batch, Sink } from '../delivery/batch.ts';
import { upTo } from '../limits/bytes.ts';

/** Whole frames, perhaps shared with other sockets. */
export type Frames = Buffer | LentFrames;

/** Frames whose memory is changed for each socket in turn. */
export interface LentFrames {
  /** In bytes. */
  readonly length: number;
  /** Their bytes: good until somebody else asks for theirs. */
  lend(): Buffer;
  /** Who has them now keeps them as they are. */
  keep(): void;
}

/** How a sink's batches stand on the wire. */
export interface Encoding {
  framesOf(batch: Batch): Frames;
}

export interface SocketWriterOptions {
  /** From this many unsent bytes the writer is not writable. */
  readonly highWaterBytes?: number;
  /** How long a client may read nothing while the writer is not writable, in ms, at least: it is looked at so often. */
  readonly stallMs?: number;
  /** Called when it has read nothing for so long. */
  readonly onStalled: () => void;
}

const HIGH_WATER_BYTES = 256 * 1024;
/**
 * What the writers that were full of late may have together, in bytes, and at most as a part of the heap; each of them may have the
 * minimum. A batch or two come on top of it.
 */
const ALL_FULL_BYTES = upTo(256 * 1024 * 1024, 1 / 4);
const MIN_HIGH_WATER_BYTES = 16 * 1024;
const STALL_MS = 30_000;
/** From so many buffers in one turn on, the writer puts small ones together: each costs the socket some hundred bytes beyond its own. */
const MANY_BUFFERS = 16;
const SMALL_BYTES = 1024;
/** How long flushing may keep the event loop from others at a time, in ms. */
const FLUSH_SLICE_MS = 5;
/** Writers flushed between two looks at the clock. */
const WRITERS_BETWEEN_LOOKS = 32;

export class SocketWriter {
  protected readonly socket: Socket;
  protected readonly queue: Frames[] = [];
  #queuedBytes = 0;
  readonly #highWaterBytes: number;
  readonly #stallMs: number;
  readonly #onStalled: () => void;
  /** The last write left next to nothing in the socket: it need not be asked. */
  #socketIsFree = true;
  #hasEnded = false;
  /** It counts among those that are full. */
  #isFull = false;
  /** Told when what is queued has been handed to the socket, or the socket has drained. */
  #onMoved: Set<() => void> | undefined;
  #stallTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, { highWaterBytes = HIGH_WATER_BYTES, stallMs = STALL_MS, onStalled }: SocketWriterOptions) {
    this.socket = socket;
    this.#highWaterBytes = highWaterBytes;
    this.#stallMs = stallMs;
    this.#onStalled = onStalled;
  }

  /** Takes what is written. */
  get open(): boolean {
    return !this.#hasEnded;
  }

  /** Bytes that have not left for the kernel. */
  get bufferedBytes(): number {
    return this.#queuedBytes + this.socket.writableLength;
  }

  get writable(): boolean {
    return (this.#socketIsFree ? this.#queuedBytes : this.bufferedBytes) < Math.min(this.#highWaterBytes, maxBytesOfFull);
  }

  /** Something that the client has done shows that it reads, though the socket does not. */
  protected get progress(): number {
    return 0;
  }

  /** Dropped once the writer has ended. */
  write(frames: Frames): void {
    if (!this.open) return;
    if (this.queue.push(frames) === 1) scheduleFlush(this);
    this.#queuedBytes += frames.length;
  }

  sink(encoding: Encoding): Sink {
    return new EncodingSink(this, encoding);
  }

  /** Hands what is queued to the socket. */
  flush(): void {
    if (this.queue.length === 0) return;
    if (this.open) {
      this.beforeSending(this.#queuedBytes);
      this.#send();
    }
    this.queue.length = 0;
    this.#queuedBytes = 0;
    if (!this.#socketIsFree && !this.writable) this.#watchForStall();
    this.#moved();
  }

  /** May put more into the queue. */
  protected beforeSending(_bytes: number): void {}

  /** Hands over what is queued, and takes nothing more. */
  end(): void {
    this.flush();
    this.#hasEnded = true;
    clearTimeout(this.#stallTimer);
    this.#noteFull(false);
  }

  /** Resolves when the writer is writable; rejects when `signal` aborts. The end of the connection aborts its signals. */
  async drained(signal: AbortSignal): Promise<void> {
    while (!this.writable) {
      signal.throwIfAborted();
      // Its part may have become less since the last flush.
      if (!this.#socketIsFree) this.#watchForStall();
      await this.#untilMoved(signal);
    }
  }

  #send(): void {
    if (this.queue.length === 1) this.#sendAlone(this.queue[0] as Frames);
    else if (this.queue.length >= MANY_BUFFERS && this.#queuedBytes < this.queue.length * SMALL_BYTES)
      this.#socketIsFree = this.socket.write(Buffer.concat(this.queue.map(keptBytes)));
    else this.#sendTogether();
  }

  #sendAlone(frames: Frames): void {
    const isOwn = Buffer.isBuffer(frames);
    this.#socketIsFree = this.socket.write(isOwn ? frames : frames.lend());
    // What the kernel did not take at once stays with the socket.
    if (!isOwn && this.socket.writableLength > 0) frames.keep();
  }

  /** All in one write, without copying what others send too. */
  #sendTogether(): void {
    this.socket.cork();
    for (const frames of this.queue) this.#socketIsFree = this.socket.write(keptBytes(frames));
    this.socket.uncork();
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
        this.socket.on('drain', () => this.#moved());
      }
      this.#onMoved.add(done);
    });
  }

  #moved(): void {
    if (this.#onMoved !== undefined) for (const done of this.#onMoved) done();
  }

  #noteFull(isFull: boolean): void {
    if (this.#isFull === isFull) return;
    this.#isFull = isFull;
    fullWriters += isFull ? 1 : -1;
    const share = ALL_FULL_BYTES / Math.max(1, fullWriters);
    maxBytesOfFull = share >= HIGH_WATER_BYTES ? Number.POSITIVE_INFINITY : Math.max(MIN_HIGH_WATER_BYTES, share);
  }

  #watchForStall(): void {
    if (this.#stallTimer !== undefined) return;
    this.#noteFull(true);
    const { writableLength } = this.socket;
    const { progress } = this;
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = undefined;
      if (this.writable || !this.open) {
        this.#noteFull(false);
        return;
      }
      if (this.socket.writableLength !== writableLength || this.progress !== progress) this.#watchForStall();
      else this.#onStalled();
    }, this.#stallMs);
    this.#stallTimer.unref();
  }
}

function keptBytes(frames: Frames): Buffer {
  if (Buffer.isBuffer(frames)) return frames;
  const bytes = frames.lend();
  frames.keep();
  return bytes;
}

/** An object with methods: there is one for each of many thousand subscriptions. */
class EncodingSink implements Sink {
  readonly #writer: SocketWriter;
  readonly #encoding: Encoding;

  constructor(writer: SocketWriter, encoding: Encoding) {
    this.#writer = writer;
    this.#encoding = encoding;
  }

  get writable(): boolean {
    return this.#writer.writable;
  }

  deliver(batch: Batch): void {
    this.#writer.write(this.#encoding.framesOf(batch));
  }

  drained(signal: AbortSignal): Promise<void> {
    return this.#writer.drained(signal);
  }
}

/** How many writers are full, or were when their clients were looked at last; and how many bytes each may have. */
let fullWriters = 0;
let maxBytesOfFull = Number.POSITIVE_INFINITY;

/** Writers with something queued, in the order of their first write. */
let dirty: SocketWriter[] = [];
/** Index of the first of them that has not been flushed. */
let next = 0;

function scheduleFlush(writer: SocketWriter): void {
  if (dirty.length === 0) queueMicrotask(flushAll);
  dirty.push(writer);
}

/** Every writer in its turn; after a slice the event loop has its turn first. */
function flushAll(): void {
  const sliceEnds = performance.now() + FLUSH_SLICE_MS;
  while (next < dirty.length) {
    (dirty[next] as SocketWriter).flush();
    next += 1;
    if (next % WRITERS_BETWEEN_LOOKS === 0 && performance.now() > sliceEnds) {
      setImmediate(flushAll);
      return;
    }
  }
  dirty = [];
  next = 0;
}
