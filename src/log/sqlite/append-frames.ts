/**
 * Appends on their way to the thread that owns the file, and from there to the other processes that use the log: as bytes, which nobody
 * has to take apart for others. Whoever wants no more than to know an event's channel does not read its body.
 */
import type { LaterText, NewEvent, StoredEvent } from '../log.ts';
import type { Moment } from '../steady-clock.ts';

/** The events of one append, and when it was made. */
export interface Append {
  readonly events: readonly NewEvent[];
  readonly now: Moment;
}

/** Which events of a frame were stored: all but those with these indices, under the numbers from `first` on. */
export interface Placed {
  readonly first: number;
  readonly duplicates: readonly number[];
}

/** An append begins with the number of its events, and its moment; an event with its form's version, and how long its texts are. */
const [APPEND_BYTES, EVENT_BYTES] = [20, 40];
/** How long a key or a correlation id is that an event does not have. */
const NO_TEXT = 0xffff_ffff;
/** Bytes of a UTF-16 unit in UTF-8, at most. */
const MAX_UNIT_BYTES = 3;
const FIRST_BYTES = 16 * 1024;
/** A frame that was larger is not kept for the next. */
const KEPT_BYTES = 256 * 1024;
/** Names that many events have are kept once, so many at most. */
const MAX_NAMES = 4096;

/** What is written appends to until it is taken. */
export class AppendFrame {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;

  add({ events, now }: Append): void {
    this.#reserve(APPEND_BYTES);
    this.#bytes.writeUInt32LE(events.length, this.#at);
    this.#bytes.writeDoubleLE(now.earliest, this.#at + 4);
    this.#bytes.writeDoubleLE(now.latest, this.#at + 12);
    this.#at += APPEND_BYTES;
    for (const event of events) this.#addEvent(event);
  }

  /** A copy of what was added, in memory of its own. The frame is empty then. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return taken;
  }

  #addEvent({ channel, family, type, version, body, idempotency, correlationId, causeSeq = 0 }: NewEvent): void {
    const { principal = '', key = '' } = idempotency ?? {};
    const units = channel.length + family.length + type.length + body.length + principal.length + key.length + (correlationId?.length ?? 0);
    this.#reserve(EVENT_BYTES + units * MAX_UNIT_BYTES);
    const head = this.#at;
    const bytes = this.#bytes;
    this.#at += EVENT_BYTES;
    bytes.writeUInt32LE(version, head);
    bytes.writeUInt32LE(this.#addText(channel), head + 4);
    bytes.writeUInt32LE(this.#addText(family), head + 8);
    bytes.writeUInt32LE(this.#addText(type), head + 12);
    bytes.writeUInt32LE(this.#addText(body), head + 16);
    bytes.writeUInt32LE(this.#addText(principal), head + 20);
    bytes.writeUInt32LE(idempotency === undefined ? NO_TEXT : this.#addText(key), head + 24);
    bytes.writeUInt32LE(correlationId === undefined ? NO_TEXT : this.#addText(correlationId), head + 28);
    bytes.writeDoubleLE(causeSeq, head + 32);
  }

  /** Returns how many bytes it takes. */
  #addText(text: string): number {
    const length = this.#bytes.write(text, this.#at, 'utf8');
    this.#at += length;
    return length;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + more));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Reads a frame from its beginning. */
class FrameReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor({ buffer, byteOffset, length }: Uint8Array) {
    this.#bytes = Buffer.from(buffer, byteOffset, length);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Of the next append. */
  append(): { readonly count: number; readonly now: Moment } {
    const at = this.#at;
    this.#at += APPEND_BYTES;
    const now = { earliest: this.#bytes.readDoubleLE(at + 4), latest: this.#bytes.readDoubleLE(at + 12) };
    return { count: this.#bytes.readUInt32LE(at), now };
  }

  event(): NewEvent {
    const head = this.#at;
    const bytes = this.#bytes;
    this.#at += EVENT_BYTES;
    const channel = this.#text(bytes.readUInt32LE(head + 4));
    const family = this.#text(bytes.readUInt32LE(head + 8));
    const type = this.#text(bytes.readUInt32LE(head + 12));
    const body = this.#text(bytes.readUInt32LE(head + 16));
    const principal = this.#text(bytes.readUInt32LE(head + 20));
    const keyBytes = bytes.readUInt32LE(head + 24);
    const idempotency = keyBytes === NO_TEXT ? undefined : { principal, key: this.#text(keyBytes) };
    const idBytes = bytes.readUInt32LE(head + 28);
    const correlationId = idBytes === NO_TEXT ? undefined : this.#text(idBytes);
    const causeSeq = bytes.readDoubleLE(head + 32) || undefined;
    return { channel, family, type, version: bytes.readUInt32LE(head), body, idempotency, correlationId, causeSeq };
  }

  /** The next event as it was stored; its body is read when it is asked for. */
  placed(seq: number): StoredEvent {
    const head = this.#at;
    const bytes = this.#bytes;
    this.#at += EVENT_BYTES;
    const channel = nameOf(this.#text(bytes.readUInt32LE(head + 4)));
    const family = nameOf(this.#text(bytes.readUInt32LE(head + 8)));
    const type = nameOf(this.#text(bytes.readUInt32LE(head + 12)));
    const end = this.#at + bytes.readUInt32LE(head + 16);
    const body = new TextInBytes(bytes, this.#at, end);
    this.#at = end;
    this.#skipRest(head);
    return new PlacedEvent(seq, { channel, family, type, version: bytes.readUInt32LE(head) }, body);
  }

  skip(): void {
    const head = this.#at;
    this.#at += EVENT_BYTES;
    for (const offset of [4, 8, 12, 16]) this.#at += this.#bytes.readUInt32LE(head + offset);
    this.#skipRest(head);
  }

  /** What nobody but the log wants to know. */
  #skipRest(head: number): void {
    this.#at += this.#bytes.readUInt32LE(head + 20);
    for (const offset of [24, 28]) {
      const bytes = this.#bytes.readUInt32LE(head + offset);
      if (bytes !== NO_TEXT) this.#at += bytes;
    }
  }

  #text(length: number): string {
    const at = this.#at;
    this.#at += length;
    return this.#bytes.toString('utf8', at, this.#at);
  }
}

export function readAppends(frame: Uint8Array): Append[] {
  const reader = new FrameReader(frame);
  const appends: Append[] = [];
  while (!reader.isAtEnd) {
    const { count, now } = reader.append();
    appends.push({ events: Array.from({ length: count }, () => reader.event()), now });
  }
  return appends;
}

/** The events of a frame that were stored. They hold the frame's memory, and read it when they are asked for their bodies. */
export function placedEvents(frame: Uint8Array, { first, duplicates }: Placed): StoredEvent[] {
  const reader = new FrameReader(frame);
  const known = new Set(duplicates);
  const placed: StoredEvent[] = [];
  for (let index = 0; !reader.isAtEnd; ) {
    const end = index + reader.append().count;
    for (; index < end; index += 1) {
      if (known.has(index)) reader.skip();
      else placed.push(reader.placed(first + placed.length));
    }
  }
  return placed;
}

class TextInBytes implements LaterText {
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get units(): number {
    return this.#end - this.#start;
  }

  read(): string {
    return this.#bytes.toString('utf8', this.#start, this.#end);
  }
}

class PlacedEvent implements StoredEvent {
  readonly seq: number;
  readonly channel: string;
  readonly family: string;
  readonly type: string;
  readonly version: number;
  readonly later: LaterText;

  constructor(seq: number, { channel, family, type, version }: Omit<StoredEvent, 'seq' | 'body'>, later: LaterText) {
    this.seq = seq;
    this.channel = channel;
    this.family = family;
    this.type = type;
    this.version = version;
    this.later = later;
  }

  get body(): string {
    return this.later.read();
  }
}

let names = new Map<string, string>();

/** The name as it is kept: events that stay for a while share it. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= MAX_NAMES) names = new Map();
  names.set(text, text);
  return text;
}
