/**
 * What is written to one WebSocket. Frames from the server are unmasked, so one buffer serves every socket; `ws` writes its
 * closing frames whole too, so the two never mix within one.
 */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { CloseCode } from '../contract/codes.ts';
import type { Delivery, Form } from '../delivery/batch.ts';
import type { Meter } from '../observe/meter.ts';
import { type Encoding, type LentFrames, SocketWriter, type SocketWriterOptions } from './socket-writer.ts';

/** Longest reason that fits a close frame, in bytes (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123;
/** `readyState` of an open WebSocket. */
const OPEN = 1;
const TEXT = 0x81;
const PONG = 0x8a;
/** A whole ping frame. */
const PING = Buffer.from([0x89, 0x00]);
/**
 * A ping follows every so many bytes. The kernel holds megabytes for a slow client and takes more only in lumps of
 * hundreds of kilobytes, minutes apart at 10 KB/s; the pongs show that such a client does read.
 */
const BYTES_BETWEEN_PINGS = 256 * 1024;
/** Pings without a pong, at most: enough for what a kernel holds, and fewer than the 60 that clients made with `ws` take for a flood. */
const MAX_UNANSWERED_PINGS = 32;

/** Text messages as unmasked frames (RFC 6455, section 5.2), one after another. @param meter counts each message. */
export function textFrames(texts: readonly string[], meter?: Pick<Meter, 'message'>): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  for (const length of lengths) meter?.message('out', length);
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
  bytes[offset] = TEXT;
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

/** Events as text messages, the same for all writers. Each is counted once. */
export function textEncoding(name: string, textOf: (delivery: Delivery) => string, meter: Pick<Meter, 'message'>): Encoding {
  const form: Form = { name, make: (deliveries) => textFrames(deliveries.map(textOf), meter) };
  return { framesOf: (batch) => batch.render(form) };
}

/** Text messages that have one text (ASCII) of the same length in them, another for each socket: it is written over the last one's. */
export class PatchedFrames {
  #bytes: Buffer;
  /** Where the text stands in each of them. */
  readonly #offsets: readonly number[];
  #text: string | undefined;
  #isKept = false;

  /** @param offset of the text in each message, in bytes. */
  constructor(frames: Buffer, offset: number) {
    this.#bytes = frames;
    this.#offsets = [...payloads(frames)].map((payload) => payload + offset);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Good until the next call with another text. */
  with(text: string): Buffer {
    if (text === this.#text) return this.#bytes;
    if (this.#isKept) this.#bytes = Buffer.from(this.#bytes);
    this.#isKept = false;
    this.#text = text;
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      for (const offset of this.#offsets) this.#bytes[offset + index] = unit;
    }
    return this.#bytes;
  }

  /** What was returned last stays as it is. */
  keep(): void {
    this.#isKept = true;
  }
}

/** Where the payload of each frame begins. */
function* payloads(frames: Buffer): Generator<number, void> {
  for (let at = 0; at < frames.length; ) {
    const length = payloadLength(frames, at);
    const payload = at + headerLength(length);
    yield payload;
    at = payload + length;
  }
}

/** Of the frame that begins at `at`. */
function payloadLength(frames: Buffer, at: number): number {
  const short = frames[at + 1] as number;
  if (short < 126) return short;
  return short === 126 ? frames.readUInt16BE(at + 2) : Number(frames.readBigUInt64BE(at + 2));
}

/** Those with the text of one socket. */
export class FramesWith implements LentFrames {
  readonly #frames: PatchedFrames;
  readonly #text: string;

  constructor(frames: PatchedFrames, text: string) {
    this.#frames = frames;
    this.#text = text;
  }

  get length(): number {
    return this.#frames.length;
  }

  lend(): Buffer {
    return this.#frames.with(this.#text);
  }

  keep(): void {
    this.#frames.keep();
  }
}

export class WebSocketWriter extends SocketWriter {
  readonly #ws: WebSocket;
  #bytesSincePing = 0;
  #unansweredPings = 0;
  #pongs = 0;

  constructor(ws: WebSocket, socket: Socket, options: SocketWriterOptions) {
    super(socket, options);
    this.#ws = ws;
  }

  /** The client may have begun the closing handshake. */
  override get open(): boolean {
    return super.open && this.#ws.readyState === OPEN;
  }

  protected override get progress(): number {
    return this.#pongs;
  }

  writeText(text: string): void {
    this.write(textFrames([text]));
  }

  ping(): void {
    this.write(PING);
  }

  /** Answers a ping, unless the client does not read: a pong may stand for all pings before it (RFC 6455, section 5.5.3). */
  pong(data: Buffer): void {
    if (this.writable) this.write(Buffer.concat([Buffer.from([PONG, data.length]), data]));
  }

  /** A pong came. */
  ponged(): void {
    this.#pongs += 1;
    this.#unansweredPings = Math.max(0, this.#unansweredPings - 1);
  }

  protected override beforeSending(bytes: number): void {
    this.#bytesSincePing += bytes;
    if (this.#bytesSincePing < BYTES_BETWEEN_PINGS || this.#unansweredPings >= MAX_UNANSWERED_PINGS) return;
    this.#bytesSincePing = 0;
    this.#unansweredPings += 1;
    this.queue.push(PING);
  }

  /** Sends what is queued, then closes with `code`. */
  close(code: CloseCode, reason: string): void {
    this.end();
    this.#ws.close(code, cut(reason));
  }
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
