/** WebSocket, byte by byte: the request that opens one, a client's frames, and following a server's up to its end. */
import { pick, type Random, upTo } from './random.ts';

const TEXT = 0x81;
const CLOSE = 0x88;
const MASKED = 0x80;
/** Frames that are sent unmasked, which clients must not do. */
const UNMASKED_SHARE = 0.02;

export function handshake(target: string, headers: readonly string[] = []): Buffer {
  const lines = [
    `GET ${target} HTTP/1.1`,
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** A client's frame. The mask is zero, so that what it carries can be read, and filled in later. */
export function frame(first: number, payload: Buffer, isMasked = true): Buffer {
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = (isMasked ? MASKED : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat(isMasked ? [header, Buffer.alloc(4), payload] : [header, payload]);
}

export function textFrame(text: string): Buffer {
  return frame(TEXT, Buffer.from(text));
}

export function closeFrame(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(CLOSE, Buffer.concat([payload, Buffer.from(reason)]));
}

/** Any frame, now and then without its mask. */
export function oddFrame(random: Random, first: number, payload: Buffer): Buffer {
  return frame(first, payload, random() > UNMASKED_SHARE);
}

/** One message as several frames, perhaps with a ping among them. */
export function inPieces(random: Random, text: string): Buffer {
  const payload = Buffer.from(text);
  const frames: Buffer[] = [];
  for (let start = 0; start < payload.length; ) {
    const end = Math.min(payload.length, start + 1 + upTo(random, pick(random, [4, 40, 400])));
    frames.push(oddFrame(random, (start === 0 ? 0x01 : 0x00) | (end === payload.length ? 0x80 : 0), payload.subarray(start, end)));
    if (random() < 0.05) frames.push(frame(0x89, Buffer.alloc(0)));
    start = end;
  }
  return Buffer.concat(frames);
}

const NOTHING = Buffer.alloc(0);
const END_OF_HEAD = '\r\n\r\n';

/** Follows what a server sends over an upgraded connection: whether its close frame has come, and which pongs. */
export class ServerFrames {
  hasClosed = false;
  pongs = 0;
  #isOpen = false;
  #rest: Buffer = NOTHING;
  #skip = 0;

  push(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    if (!this.#isOpen) {
      const head = bytes.indexOf(END_OF_HEAD);
      if (head < 0) {
        this.#rest = bytes;
        return;
      }
      this.#isOpen = true;
      bytes = bytes.subarray(head + END_OF_HEAD.length);
    }
    this.#follow(bytes);
  }

  #follow(bytes: Buffer): void {
    let at = Math.min(this.#skip, bytes.length);
    this.#skip -= at;
    while (at < bytes.length) {
      const length = frameLength(bytes, at);
      if (length === undefined) {
        this.#rest = bytes.subarray(at);
        return;
      }
      if (bytes[at] === CLOSE) this.hasClosed = true;
      if (bytes[at] === 0x8a) this.pongs += 1;
      this.#skip = Math.max(0, at + length - bytes.length);
      at += length;
    }
  }
}

/** With its header; undefined while that has not come. */
function frameLength(bytes: Buffer, at: number): number | undefined {
  const length = bytes[at + 1];
  if (length === undefined) return undefined;
  if (length < 126) return 2 + length;
  const header = length === 126 ? 4 : 10;
  if (bytes.length < at + header) return undefined;
  return header + (length === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2)));
}
